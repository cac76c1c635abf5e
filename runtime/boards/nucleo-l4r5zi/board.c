/* NUCLEO-L4R5ZI. LPUART1 on PG7 (out) and PG8 (in) is the ST-LINK's virtual COM port. */
#include "vq/board.h"

#include "../../drivers/registers.h"
#include "../../drivers/stm32_gpio.h"
#include "../../drivers/stm32_usart_v2.h"
#include "../../drivers/stm32l4_clock.h"

#define RCC_AHB2ENR 0x4002104cu
#define RCC_AHB2ENR_GPIOGEN (1u << 6)
#define RCC_APB1ENR2 0x4002105cu
#define RCC_APB1ENR2_LPUART1EN (1u << 0)

/* Pins 2 to 15 of port G have a supply of their own, VDDIO2: cut off until this says it is there.
 */
#define PWR_CR2 0x40007004u
#define PWR_CR2_IOSV (1u << 9)

#define GPIOG 0x48001800u
#define LPUART1 0x40008000u

enum { AF_LPUART1 = 8 };

const char vq_board_name[] = "nucleo-l4r5zi";

uint32_t vq_board_open(void) {
    const uint32_t clock_hz = vq_stm32l4_clock_open();
    vq_reg_set(PWR_CR2, PWR_CR2_IOSV);
    vq_reg_enable(RCC_AHB2ENR, RCC_AHB2ENR_GPIOGEN);
    vq_reg_enable(RCC_APB1ENR2, RCC_APB1ENR2_LPUART1EN);
    vq_stm32_gpio_alternate(GPIOG, 7, AF_LPUART1);
    vq_stm32_gpio_alternate(GPIOG, 8, AF_LPUART1);
    vq_stm32_lpuart_open(LPUART1, clock_hz, VQ_BAUD);
    return clock_hz;
}

int32_t vq_board_get(void) { return vq_stm32_usart_v2_get(LPUART1); }

void vq_board_put(uint8_t byte) { vq_stm32_usart_v2_put(LPUART1, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_stm32_usart_v2_errors(); }
