/* Registers after Arm's DDI 0479, "APB UART". */
#include "cmsdk_uart.h"

#include "registers.h"

/* Offsets of its registers. */
enum { DATA = 0x00, STATE = 0x04, CTRL = 0x08, BAUDDIV = 0x10 };

#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)
#define STATE_RX_OVERRUN (1u << 3) /* writing it clears it */

#define CTRL_TX_ENABLE (1u << 0)
#define CTRL_RX_ENABLE (1u << 1)

static uint32_t errors;

void vq_cmsdk_uart_open(uint32_t uart, uint32_t clock_hz, uint32_t baud) {
    vq_reg_write(uart + BAUDDIV, (clock_hz + baud / 2u) / baud);
    vq_reg_write(uart + CTRL, CTRL_TX_ENABLE | CTRL_RX_ENABLE);
    errors = 0;
}

int32_t vq_cmsdk_uart_get(uint32_t uart) {
    const uint32_t state = vq_reg_read(uart + STATE);
    if ((state & STATE_RX_OVERRUN) != 0) {
        vq_reg_write(uart + STATE, STATE_RX_OVERRUN);
        ++errors;
    }
    return (state & STATE_RX_FULL) != 0 ? (int32_t)(vq_reg_read(uart + DATA) & 0xffu) : -1;
}

void vq_cmsdk_uart_put(uint32_t uart, uint8_t byte) {
    if (vq_reg_wait(uart + STATE, STATE_TX_FULL, 0)) {
        vq_reg_write(uart + DATA, byte);
    }
}

uint32_t vq_cmsdk_uart_errors(void) { return errors; }
