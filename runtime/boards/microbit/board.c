/* BBC micro:bit. The UART on P0.24 (out) and P0.25 (in) is the interface chip's virtual COM port.
 */
#include "vq/board.h"

#include "../../drivers/nrf51_uart.h"
#include "../../drivers/registers.h"

/* The crystal's oscillator, for a UART needs a better clock than the one after reset. */
#define CLOCK_HFCLKSTART 0x40000000u
#define CLOCK_HFCLKSTARTED 0x40000100u

#define UART0 0x40002000u

enum { CORE_HZ = 16000000, TX_PIN = 24, RX_PIN = 25 };

const char vq_board_name[] = "microbit";

uint32_t vq_board_open(void) {
    vq_reg_write(CLOCK_HFCLKSTART, 1);
    vq_reg_wait(CLOCK_HFCLKSTARTED, 1, 1);
    vq_nrf51_uart_open(UART0, TX_PIN, RX_PIN, vq_nrf51_uart_rate(VQ_BAUD));
    return CORE_HZ;
}

int32_t vq_board_get(void) { return vq_nrf51_uart_get(UART0); }

void vq_board_put(uint8_t byte) { vq_nrf51_uart_put(UART0, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_nrf51_uart_errors(); }
