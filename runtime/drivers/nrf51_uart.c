/* Registers after Nordic's nRF51 Series Reference Manual, "UART" and "GPIO". */
#include "nrf51_uart.h"

#include "registers.h"

/* Offsets of its registers. */
enum {
    STARTRX = 0x000,
    STARTTX = 0x008,
    RXDRDY = 0x108,
    TXDRDY = 0x11c,
    ERRORSRC = 0x480, /* writing bits clears them */
    ENABLE = 0x500,
    PSELTXD = 0x50c,
    PSELRXD = 0x514,
    RXD = 0x518,
    TXD = 0x51c,
    BAUDRATE = 0x524,
};

enum { ENABLE_ENABLED = 4 };

#define GPIO_OUTSET 0x50000508u
#define GPIO_DIRSET 0x50000518u
#define GPIO_PIN_CNF 0x50000700u
#define GPIO_PIN_CNF_INPUT_PULL_UP (3u << 2)

static uint32_t errors;

void vq_nrf51_uart_open(uint32_t uart, uint32_t tx_pin, uint32_t rx_pin, uint32_t rate) {
    /* an idle line is high */
    vq_reg_write(GPIO_OUTSET, 1u << tx_pin);
    vq_reg_write(GPIO_DIRSET, 1u << tx_pin);
    vq_reg_write(GPIO_PIN_CNF + 4u * rx_pin, GPIO_PIN_CNF_INPUT_PULL_UP);
    vq_reg_write(uart + PSELTXD, tx_pin);
    vq_reg_write(uart + PSELRXD, rx_pin);
    vq_reg_write(uart + BAUDRATE, rate);
    vq_reg_write(uart + ENABLE, ENABLE_ENABLED);
    vq_reg_write(uart + RXDRDY, 0);
    vq_reg_write(uart + STARTRX, 1);
    vq_reg_write(uart + STARTTX, 1);
    errors = 0;
}

int32_t vq_nrf51_uart_get(uint32_t uart) {
    const uint32_t source = vq_reg_read(uart + ERRORSRC);
    if (source != 0) {
        vq_reg_write(uart + ERRORSRC, source);
        ++errors;
    }
    if (vq_reg_read(uart + RXDRDY) == 0) {
        return -1;
    }
    /* in this order: the next byte of the queue raises the event again */
    vq_reg_write(uart + RXDRDY, 0);
    return (int32_t)(vq_reg_read(uart + RXD) & 0xffu);
}

void vq_nrf51_uart_put(uint32_t uart, uint8_t byte) {
    vq_reg_write(uart + TXDRDY, 0);
    vq_reg_write(uart + TXD, byte);
    vq_reg_wait(uart + TXDRDY, 1, 1);
}

uint32_t vq_nrf51_uart_errors(void) { return errors; }
