/* Registers after ST's RM0041 (F100) and RM0090 (F4), "USART". */
#include "stm32_usart_v1.h"

#include "registers.h"

/* Offsets of its registers. */
enum { SR = 0x00, DR = 0x04, BRR = 0x08, CR1 = 0x0c };

/* Parity and framing errors, noise, overrun: reading DR after SR clears them. */
#define SR_ERRORS 15u
#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)

#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_UE (1u << 13)

static uint32_t errors;

void vq_stm32_usart_v1_open(uint32_t usart, uint32_t clock_hz, uint32_t baud) {
    vq_reg_write(usart + BRR, (clock_hz + baud / 2u) / baud);
    vq_reg_write(usart + CR1, CR1_UE | CR1_RE | CR1_TE);
    errors = 0;
}

int32_t vq_stm32_usart_v1_get(uint32_t usart) {
    const uint32_t status = vq_reg_read(usart + SR);
    if ((status & (SR_ERRORS | SR_RXNE)) == 0) {
        return -1;
    }
    const uint32_t data = vq_reg_read(usart + DR);
    errors += (status & SR_ERRORS) != 0;
    return (status & SR_RXNE) != 0 ? (int32_t)(data & 0xffu) : -1;
}

void vq_stm32_usart_v1_put(uint32_t usart, uint8_t byte) {
    if (vq_reg_wait(usart + SR, SR_TXE, SR_TXE)) {
        vq_reg_write(usart + DR, byte);
    }
}

uint32_t vq_stm32_usart_v1_errors(void) { return errors; }
