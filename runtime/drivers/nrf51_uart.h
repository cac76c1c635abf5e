/* The UART of an nRF51, or nRF52 without EasyDMA. 8 data bits, no parity, 1 stop bit; polled. A
 * firmware has one. */
#ifndef VQ_NRF51_UART_H
#define VQ_NRF51_UART_H

#include <stdint.h>

/* The register's value for a speed, in 2^32ths of the UART's 16 MHz; its lowest 12 bits are not
 * used. */
static inline uint32_t vq_nrf51_uart_rate(uint32_t baud) {
    return (uint32_t)(((uint64_t)baud << 32) / 16000000u + 0x800u) & ~0xfffu;
}

/* Opens the UART at address `uart` on two pins of port 0. */
void vq_nrf51_uart_open(uint32_t uart, uint32_t tx_pin, uint32_t rx_pin, uint32_t rate);

/* The next byte that was received, or -1 where there is none now. */
int32_t vq_nrf51_uart_get(uint32_t uart);

/* Sends a byte and waits until it is out, but not too long. */
void vq_nrf51_uart_put(uint32_t uart, uint8_t byte);

/* Overruns and damaged bytes since the UART was opened. */
uint32_t vq_nrf51_uart_errors(void);

#endif
