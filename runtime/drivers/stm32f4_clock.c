/* Registers and values after ST's RM0090 (F4) and RM0385 (F7): "RCC", "PWR", "Embedded flash". */
#include "stm32f4_clock.h"

#include "registers.h"

#define RCC_CR 0x40023800u
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_HSEBYP (1u << 18)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)

/* M in bits 0 to 5, N from 6, P from 16 (0 divides by 2), Q from 24. */
#define RCC_PLLCFGR 0x40023804u
#define RCC_PLLCFGR_N_SHIFT 6
#define RCC_PLLCFGR_PLLSRC_HSE (1u << 22)
#define RCC_PLLCFGR_Q_SHIFT 24

#define RCC_CFGR 0x40023808u
#define RCC_CFGR_SW (3u << 0)
#define RCC_CFGR_SW_PLL (2u << 0)
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_CFGR_PPRE1 (7u << 10)
#define RCC_CFGR_PPRE1_DIV4 (5u << 10)
#define RCC_CFGR_PPRE2 (7u << 13)
#define RCC_CFGR_PPRE2_DIV2 (4u << 13)

#define RCC_APB1ENR 0x40023840u
#define RCC_APB1ENR_PWREN (1u << 28)

#define PWR_CR1 0x40007000u
#define PWR_CR1_ODEN (1u << 16)
#define PWR_CR1_ODSWEN (1u << 17)
#define PWR_CSR1 0x40007004u
#define PWR_CSR1_ODRDY (1u << 16)
#define PWR_CSR1_ODSWRDY (1u << 17)

#define FLASH_ACR 0x40023c00u

enum { MHZ = 1000000, USB_MHZ = 48 };

static bool start_hse(const struct vq_stm32f4_clock *clock) {
    vq_reg_set(RCC_CR, clock->hse_bypass ? RCC_CR_HSEBYP : 0u);
    vq_reg_set(RCC_CR, RCC_CR_HSEON);
    return vq_reg_wait(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
}

/* The regulator's highest voltage, which full speed needs, holds from reset on. */
static bool start_over_drive(void) {
    vq_reg_set(RCC_APB1ENR, RCC_APB1ENR_PWREN);
    vq_reg_set(PWR_CR1, PWR_CR1_ODEN);
    if (!vq_reg_wait(PWR_CSR1, PWR_CSR1_ODRDY, PWR_CSR1_ODRDY)) {
        return false;
    }
    vq_reg_set(PWR_CR1, PWR_CR1_ODSWEN);
    return vq_reg_wait(PWR_CSR1, PWR_CSR1_ODSWRDY, PWR_CSR1_ODSWRDY);
}

uint32_t vq_stm32f4_clock_open(const struct vq_stm32f4_clock *clock) {
    const uint32_t n = 2u * clock->core_hz / MHZ;
    const uint32_t dividers = n << RCC_PLLCFGR_N_SHIFT | n / USB_MHZ << RCC_PLLCFGR_Q_SHIFT;
    if (start_hse(clock)) {
        vq_reg_write(RCC_PLLCFGR, dividers | RCC_PLLCFGR_PLLSRC_HSE | clock->hse_hz / MHZ);
    } else {
        vq_reg_write(RCC_PLLCFGR, dividers | VQ_STM32F4_RESET_HZ / MHZ);
    }
    vq_reg_set(RCC_CR, RCC_CR_PLLON);
    const bool over_drive = !clock->over_drive || start_over_drive();

    /* slower buses and flash before the faster core */
    vq_reg_change(RCC_CFGR, RCC_CFGR_PPRE1 | RCC_CFGR_PPRE2,
                  RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2);
    vq_reg_write(FLASH_ACR, clock->flash);

    if (!over_drive || !vq_reg_wait(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return VQ_STM32F4_RESET_HZ;
    }
    vq_reg_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    const bool switched = vq_reg_wait(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
    return switched ? clock->core_hz : VQ_STM32F4_RESET_HZ;
}
