/* An MPS2 or MPS3 board, whose image's preset says where UART0 is and what clocks there are. */
#include "vq/board.h"

#include "cmsdk_uart.h"

const char vq_board_name[] = VQ_MPS_NAME;

uint32_t vq_board_open(void) {
    vq_cmsdk_uart_open(VQ_MPS_UART0, VQ_MPS_PERIPHERALS_HZ, VQ_BAUD);
    return VQ_MPS_CORE_HZ;
}

int32_t vq_board_get(void) { return vq_cmsdk_uart_get(VQ_MPS_UART0); }

void vq_board_put(uint8_t byte) { vq_cmsdk_uart_put(VQ_MPS_UART0, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_cmsdk_uart_errors(); }
