/* STM32VLDISCOVERY, STM32F100 at 24 MHz. USART1 on PA9 (out) and PA10 (in). */
#include "vq/board.h"

#include <stdbool.h>

#include "../../drivers/registers.h"
#include "../../drivers/stm32_usart_v1.h"

/* Registers after ST's RM0041: "RCC", "GPIO". */
#define RCC_CR 0x40021000u
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_CFGR 0x40021004u
#define RCC_CFGR_SW (3u << 0)
#define RCC_CFGR_SW_PLL (2u << 0)
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_CFGR_PLLSRC_HSE (1u << 16)
#define RCC_CFGR_PLLMUL_SHIFT 18 /* of the factor less 2 */
#define RCC_APB2ENR 0x40021018u
#define RCC_APB2ENR_IOPAEN (1u << 2)
#define RCC_APB2ENR_USART1EN (1u << 14)

#define GPIOA_CRH 0x40010804u
#define GPIOA_BSRR 0x40010810u
/* Four bits a pin, from PA8 on: an output of its peripheral at 10 MHz, an input with a pull-up. */
#define GPIOA_CRH_PA9_PA10 (0xffu << 4)
#define GPIOA_CRH_PA9_OUT_PA10_IN (0x9u << 4 | 0x8u << 8)

#define USART1 0x40013800u

enum { HSI_HZ = 8000000, HSE_HZ = 8000000, PLL_FACTOR = 3 };

const char vq_board_name[] = "stm32vldiscovery";

/* HSE times PLL_FACTOR for the core and all buses, else HSI. Its flash needs no wait states. */
static uint32_t open_clock(void) {
    vq_reg_set(RCC_CR, RCC_CR_HSEON);
    if (!vq_reg_wait(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        return HSI_HZ;
    }
    vq_reg_set(RCC_CFGR, RCC_CFGR_PLLSRC_HSE | (PLL_FACTOR - 2u) << RCC_CFGR_PLLMUL_SHIFT);
    vq_reg_set(RCC_CR, RCC_CR_PLLON);
    if (!vq_reg_wait(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return HSI_HZ;
    }
    vq_reg_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    const bool switched = vq_reg_wait(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
    return switched ? (uint32_t)HSE_HZ * PLL_FACTOR : HSI_HZ;
}

uint32_t vq_board_open(void) {
    const uint32_t clock_hz = open_clock();
    vq_reg_enable(RCC_APB2ENR, RCC_APB2ENR_IOPAEN | RCC_APB2ENR_USART1EN);
    vq_reg_change(GPIOA_CRH, GPIOA_CRH_PA9_PA10, GPIOA_CRH_PA9_OUT_PA10_IN);
    vq_reg_write(GPIOA_BSRR, 1u << 10); /* up, not down */
    vq_stm32_usart_v1_open(USART1, clock_hz, VQ_BAUD);
    return clock_hz;
}

int32_t vq_board_get(void) { return vq_stm32_usart_v1_get(USART1); }

void vq_board_put(uint8_t byte) { vq_stm32_usart_v1_put(USART1, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_stm32_usart_v1_errors(); }
