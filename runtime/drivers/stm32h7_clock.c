/* Registers and values after ST's RM0433 (STM32H743, H753): "RCC", "PWR", "Embedded flash". */
#include "stm32h7_clock.h"

#include "registers.h"

#define RCC_CR 0x58024400u
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_HSEBYP (1u << 18)
#define RCC_CR_PLL1ON (1u << 24)
#define RCC_CR_PLL1RDY (1u << 25)

#define RCC_CFGR 0x58024410u
#define RCC_CFGR_SW (7u << 0)
#define RCC_CFGR_SW_PLL1 (3u << 0)
#define RCC_CFGR_SWS (7u << 3)
#define RCC_CFGR_SWS_PLL1 (3u << 3)

/* Dividers of the domains: the core by 1; AXI, AHBs by 2; each APB by 2 more. */
#define RCC_D1CFGR 0x58024418u
#define RCC_D1CFGR_HPRE_DIV2 (8u << 0)
#define RCC_D1CFGR_D1PPRE_DIV2 (4u << 4)
#define RCC_D2CFGR 0x5802441cu
#define RCC_D2CFGR_D2PPRE1_DIV2 (4u << 4)
#define RCC_D2CFGR_D2PPRE2_DIV2 (4u << 8)
#define RCC_D3CFGR 0x58024420u
#define RCC_D3CFGR_D3PPRE_DIV2 (4u << 4)

#define RCC_PLLCKSELR 0x58024428u
#define RCC_PLLCKSELR_PLLSRC_HSI 0u
#define RCC_PLLCKSELR_PLLSRC_HSE 2u
#define RCC_PLLCKSELR_DIVM1_SHIFT 4

/* VCOSEL 0 is the wide VCO, 192 to 836 MHz. */
#define RCC_PLLCFGR 0x5802442cu
#define RCC_PLLCFGR_PLL1RGE_4_TO_8_MHZ (2u << 2)
#define RCC_PLLCFGR_DIVP1EN (1u << 16)

/* Each divider less one. */
#define RCC_PLL1DIVR 0x58024430u
#define RCC_PLL1DIVR_N1_200 (199u << 0)
#define RCC_PLL1DIVR_P1_2 (1u << 9)
#define RCC_PLL1DIVR_Q1_4 (3u << 16)
#define RCC_PLL1DIVR_R1_4 (3u << 24)

#define PWR_CR3 0x5802480cu
#define PWR_CR3_BYPASS (1u << 0)
#define PWR_CR3_LDOEN (1u << 1)
#define PWR_CR3_SCUEN (1u << 2)
#define PWR_CSR1 0x58024804u
#define PWR_CSR1_ACTVOSRDY (1u << 13)
#define PWR_D3CR 0x58024818u
#define PWR_D3CR_VOSRDY (1u << 13)
#define PWR_D3CR_VOS (3u << 14)
#define PWR_D3CR_VOS_SCALE_1 (3u << 14)

/* At 200 MHz of the AXI bus and scale 1. */
#define FLASH_ACR 0x52002000u
#define FLASH_ACR_LATENCY_2WS (2u << 0)
#define FLASH_ACR_WRHIGHFREQ_2 (2u << 4)

enum { HSI_HZ = 64000000, PLL_INPUT_HZ = 4000000, PLL_HZ = 400000000 };

/* The supply is confirmed once after power-up: until then the voltage cannot be changed. */
static bool raise_voltage(void) {
    vq_reg_change(PWR_CR3, PWR_CR3_BYPASS | PWR_CR3_LDOEN | PWR_CR3_SCUEN,
                  PWR_CR3_LDOEN | PWR_CR3_SCUEN);
    if (!vq_reg_wait(PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY)) {
        return false;
    }
    vq_reg_change(PWR_D3CR, PWR_D3CR_VOS, PWR_D3CR_VOS_SCALE_1);
    return vq_reg_wait(PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
}

static bool start_pll(uint32_t hse_hz) {
    vq_reg_set(RCC_CR, RCC_CR_HSEBYP);
    vq_reg_set(RCC_CR, RCC_CR_HSEON);
    const bool hse = vq_reg_wait(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
    const uint32_t source = hse ? RCC_PLLCKSELR_PLLSRC_HSE : RCC_PLLCKSELR_PLLSRC_HSI;
    const uint32_t m = (hse ? hse_hz : (uint32_t)HSI_HZ) / PLL_INPUT_HZ;
    vq_reg_write(RCC_PLLCKSELR, source | m << RCC_PLLCKSELR_DIVM1_SHIFT);
    vq_reg_write(RCC_PLLCFGR, RCC_PLLCFGR_PLL1RGE_4_TO_8_MHZ | RCC_PLLCFGR_DIVP1EN);
    vq_reg_write(RCC_PLL1DIVR,
                 RCC_PLL1DIVR_N1_200 | RCC_PLL1DIVR_P1_2 | RCC_PLL1DIVR_Q1_4 | RCC_PLL1DIVR_R1_4);
    vq_reg_set(RCC_CR, RCC_CR_PLL1ON);
    return vq_reg_wait(RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

uint32_t vq_stm32h7_clock_open(uint32_t hse_hz) {
    /* slower buses before the faster core */
    vq_reg_write(RCC_D1CFGR, RCC_D1CFGR_HPRE_DIV2 | RCC_D1CFGR_D1PPRE_DIV2);
    vq_reg_write(RCC_D2CFGR, RCC_D2CFGR_D2PPRE1_DIV2 | RCC_D2CFGR_D2PPRE2_DIV2);
    vq_reg_write(RCC_D3CFGR, RCC_D3CFGR_D3PPRE_DIV2);
    if (!raise_voltage() || !start_pll(hse_hz)) {
        return HSI_HZ;
    }
    vq_reg_write(FLASH_ACR, FLASH_ACR_LATENCY_2WS | FLASH_ACR_WRHIGHFREQ_2);
    vq_reg_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL1);
    return vq_reg_wait(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL1) ? PLL_HZ : HSI_HZ;
}
