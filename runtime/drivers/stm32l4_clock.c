/* Registers and values after ST's RM0432 (STM32L4R, L4S): "RCC", "PWR", "Embedded flash". */
#include "stm32l4_clock.h"

#include "registers.h"

#define RCC_CR 0x40021000u
#define RCC_CR_HSION (1u << 8)
#define RCC_CR_HSIRDY (1u << 10)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)

#define RCC_CFGR 0x40021008u
#define RCC_CFGR_SW (3u << 0)
#define RCC_CFGR_SW_PLL (3u << 0)
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (3u << 2)
#define RCC_CFGR_HPRE (15u << 4)
#define RCC_CFGR_HPRE_DIV1 (0u << 4)
#define RCC_CFGR_HPRE_DIV2 (8u << 4)

#define RCC_PLLCFGR 0x4002100cu
#define RCC_PLLCFGR_PLLSRC_HSI (2u << 0)
#define RCC_PLLCFGR_M_2 (1u << 4)
#define RCC_PLLCFGR_N_30 (30u << 8)
#define RCC_PLLCFGR_R_2 (0u << 25)
#define RCC_PLLCFGR_REN (1u << 24)

#define RCC_APB1ENR1 0x40021058u
#define RCC_APB1ENR1_PWREN (1u << 28)

/* Range 1, which holds from reset on, has a normal and a boost mode; only boost allows 120 MHz. */
#define PWR_CR5 0x40007080u
#define PWR_CR5_R1MODE_NORMAL (1u << 8)

#define FLASH_ACR 0x40022000u
#define FLASH_ACR_LATENCY (15u << 0)
#define FLASH_ACR_LATENCY_5WS 5u /* at 120 MHz in boost mode */
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)

/* Looks at a register, each several cycles long: more than 1 us at 60 MHz. */
enum { SETTLE_LOOKS = 60 };

enum { MSI_HZ = 4000000, PLL_HZ = 120000000 };

static bool start_pll(void) {
    vq_reg_set(RCC_CR, RCC_CR_HSION);
    if (!vq_reg_wait(RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return false;
    }
    vq_reg_write(RCC_PLLCFGR, RCC_PLLCFGR_PLLSRC_HSI | RCC_PLLCFGR_M_2 | RCC_PLLCFGR_N_30 |
                                  RCC_PLLCFGR_R_2 | RCC_PLLCFGR_REN);
    vq_reg_set(RCC_CR, RCC_CR_PLLON);
    return vq_reg_wait(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

uint32_t vq_stm32l4_clock_open(void) {
    vq_reg_enable(RCC_APB1ENR1, RCC_APB1ENR1_PWREN);
    if (!start_pll()) {
        return MSI_HZ;
    }
    vq_reg_change(PWR_CR5, PWR_CR5_R1MODE_NORMAL, 0);
    vq_reg_write(FLASH_ACR,
                 FLASH_ACR_LATENCY_5WS | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN);
    if (!vq_reg_wait(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_5WS)) {
        return MSI_HZ;
    }
    /* the core goes from MSI over 60 MHz, for at least 1 us, to 120 MHz */
    vq_reg_change(RCC_CFGR, RCC_CFGR_HPRE | RCC_CFGR_SW, RCC_CFGR_HPRE_DIV2 | RCC_CFGR_SW_PLL);
    const bool switched = vq_reg_wait(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
    for (uint32_t look = 0; look < SETTLE_LOOKS; ++look) {
        (void)vq_reg_read(RCC_CFGR);
    }
    vq_reg_change(RCC_CFGR, RCC_CFGR_HPRE, RCC_CFGR_HPRE_DIV1);
    return switched ? PLL_HZ : MSI_HZ;
}
