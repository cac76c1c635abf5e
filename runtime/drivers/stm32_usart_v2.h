/* The USART of an STM32 F0, F3, F7, G0, G4, H7, L0, L4 or L5, and its LPUART: ISR, RDR and TDR in
 * place of the older SR and DR. 8 data bits, no parity, 1 stop bit; polled. A firmware has one. */
#ifndef VQ_STM32_USART_V2_H
#define VQ_STM32_USART_V2_H

#include <stdint.h>

/* Opens the USART at address `usart`, whose kernel clock is on and at least 16 times `baud`. */
void vq_stm32_usart_v2_open(uint32_t usart, uint32_t clock_hz, uint32_t baud);

/* The same for an LPUART, whose kernel clock is 3 to 4,096 times `baud`. */
void vq_stm32_lpuart_open(uint32_t lpuart, uint32_t clock_hz, uint32_t baud);

/* The next byte that was received, or -1 where there is none now. */
int32_t vq_stm32_usart_v2_get(uint32_t usart);

/* Sends a byte as soon as there is room; drops it where there is none for too long. */
void vq_stm32_usart_v2_put(uint32_t usart, uint8_t byte);

/* Overruns and damaged bytes since the USART was opened. */
uint32_t vq_stm32_usart_v2_errors(void);

#endif
