/* The "APB UART" of Arm's Cortex-M System Design Kit, on the MPS2 and MPS3 boards. 8 data bits, no
 * parity, 1 stop bit; polled. A firmware has one. */
#ifndef VQ_CMSDK_UART_H
#define VQ_CMSDK_UART_H

#include <stdint.h>

/* Opens the UART at address `uart`, whose clock is at least 16 times `baud`. */
void vq_cmsdk_uart_open(uint32_t uart, uint32_t clock_hz, uint32_t baud);

/* The next byte that was received, or -1 where there is none now. */
int32_t vq_cmsdk_uart_get(uint32_t uart);

/* Sends a byte as soon as there is room; drops it where there is none for too long. */
void vq_cmsdk_uart_put(uint32_t uart, uint8_t byte);

/* Overruns since the UART was opened. */
uint32_t vq_cmsdk_uart_errors(void);

#endif
