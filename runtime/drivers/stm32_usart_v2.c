/* Registers after ST's RM0385 (F7), RM0432 (L4+) and RM0433 (H7), "USART". */
#include "stm32_usart_v2.h"

#include "registers.h"

/* Offsets of its registers. */
enum { CR1 = 0x00, BRR = 0x0c, ISR = 0x1c, ICR = 0x20, RDR = 0x24, TDR = 0x28 };

#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)

/* Parity and framing errors, noise, overrun: the same bits of ICR clear them. */
#define ISR_ERRORS 15u
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)

static uint32_t errors;

static void open_at(uint32_t usart, uint32_t divider) {
    vq_reg_write(usart + BRR, divider); /* before UE, after which it cannot be written */
    vq_reg_write(usart + CR1, CR1_UE | CR1_RE | CR1_TE);
    errors = 0;
}

void vq_stm32_usart_v2_open(uint32_t usart, uint32_t clock_hz, uint32_t baud) {
    open_at(usart, (clock_hz + baud / 2u) / baud);
}

/* An LPUART divides by 256ths; in two steps, which fit 32 bits. */
void vq_stm32_lpuart_open(uint32_t lpuart, uint32_t clock_hz, uint32_t baud) {
    open_at(lpuart, 256u * (clock_hz / baud) + (256u * (clock_hz % baud) + baud / 2u) / baud);
}

int32_t vq_stm32_usart_v2_get(uint32_t usart) {
    const uint32_t status = vq_reg_read(usart + ISR);
    if ((status & ISR_ERRORS) != 0) {
        /* an overrun that is not cleared stops the receiver */
        vq_reg_write(usart + ICR, ISR_ERRORS);
        ++errors;
    }
    return (status & ISR_RXNE) != 0 ? (int32_t)(vq_reg_read(usart + RDR) & 0xffu) : -1;
}

void vq_stm32_usart_v2_put(uint32_t usart, uint8_t byte) {
    if (vq_reg_wait(usart + ISR, ISR_TXE, ISR_TXE)) {
        vq_reg_write(usart + TDR, byte);
    }
}

uint32_t vq_stm32_usart_v2_errors(void) { return errors; }
