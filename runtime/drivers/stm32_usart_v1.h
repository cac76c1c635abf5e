/* The USART of an STM32 F1, F2, F4 or L1: one data register. 8 data bits, no parity, 1 stop bit;
 * polled. A firmware has one. */
#ifndef VQ_STM32_USART_V1_H
#define VQ_STM32_USART_V1_H

#include <stdint.h>

/* Opens the USART at address `usart`, whose clock is on and at least 16 times `baud`. */
void vq_stm32_usart_v1_open(uint32_t usart, uint32_t clock_hz, uint32_t baud);

/* The next byte that was received, or -1 where there is none now. */
int32_t vq_stm32_usart_v1_get(uint32_t usart);

/* Sends a byte as soon as there is room; drops it where there is none for too long. */
void vq_stm32_usart_v1_put(uint32_t usart, uint8_t byte);

/* Overruns and damaged bytes since the USART was opened. */
uint32_t vq_stm32_usart_v1_errors(void);

#endif
