/* NUCLEO-H743ZI and -H743ZI2. USART3 on PD8 (out) and PD9 (in) is the ST-LINK's virtual COM port,
 * and the ST-LINK's 8 MHz clock is at OSC_IN. */
#include "vq/board.h"

#include "../../drivers/cortexm7_caches.h"
#include "../../drivers/registers.h"
#include "../../drivers/stm32_gpio.h"
#include "../../drivers/stm32_usart_v2.h"
#include "../../drivers/stm32h7_clock.h"

#define RCC_AHB4ENR 0x580244e0u
#define RCC_AHB4ENR_GPIODEN (1u << 3)
#define RCC_APB1LENR 0x580244e8u
#define RCC_APB1LENR_USART3EN (1u << 18)

#define GPIOD 0x58020c00u
#define USART3 0x40004800u

/* Revision in the upper half: 0x1003 is Y, 0x2001 X, 0x2003 V. */
#define DBGMCU_IDC 0x5c001000u
#define DBGMCU_IDC_REVISION_X 0x20010000u

/* How many reads of the AXI SRAM may be under way. */
#define AXI_TARG7_FN_MOD 0x51008108u
#define AXI_TARG7_FN_MOD_READ_ISS_OVERRIDE (1u << 0)

enum { AF_USART3 = 7, HSE_HZ = 8000000 };

const char vq_board_name[] = "nucleo-h743zi";

/* Erratum of the first revisions (ES0392): what is read from the AXI SRAM, where all data is, may
 * be wrong unless one read waits for the other. */
static void mend_axi_sram(void) {
    if (vq_reg_read(DBGMCU_IDC) < DBGMCU_IDC_REVISION_X) {
        vq_reg_write(AXI_TARG7_FN_MOD, AXI_TARG7_FN_MOD_READ_ISS_OVERRIDE);
    }
}

uint32_t vq_board_open(void) {
    mend_axi_sram();
    const uint32_t clock_hz = vq_stm32h7_clock_open(HSE_HZ);
    vq_cortexm7_caches_open();
    vq_reg_enable(RCC_AHB4ENR, RCC_AHB4ENR_GPIODEN);
    vq_reg_enable(RCC_APB1LENR, RCC_APB1LENR_USART3EN);
    vq_stm32_gpio_alternate(GPIOD, 8, AF_USART3);
    vq_stm32_gpio_alternate(GPIOD, 9, AF_USART3);
    vq_stm32_usart_v2_open(USART3, clock_hz / VQ_STM32H7_APB_DIVIDER, VQ_BAUD);
    return clock_hz;
}

int32_t vq_board_get(void) { return vq_stm32_usart_v2_get(USART3); }

void vq_board_put(uint8_t byte) { vq_stm32_usart_v2_put(USART3, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_stm32_usart_v2_errors(); }
