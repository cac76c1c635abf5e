/* NUCLEO-F746ZG. USART3 on PD8 (out) and PD9 (in) is the ST-LINK's virtual COM port, and the
 * ST-LINK's 8 MHz clock is at OSC_IN. */
#include "vq/board.h"

#include "../../drivers/cortexm7_caches.h"
#include "../../drivers/registers.h"
#include "../../drivers/stm32_gpio.h"
#include "../../drivers/stm32_usart_v2.h"
#include "../../drivers/stm32f4_clock.h"

#define RCC_AHB1ENR 0x40023830u
#define RCC_AHB1ENR_GPIODEN (1u << 3)
#define RCC_APB1ENR 0x40023840u
#define RCC_APB1ENR_USART3EN (1u << 18)

#define GPIOD 0x40020c00u
#define USART3 0x40004800u

enum { AF_USART3 = 7 };

const char vq_board_name[] = "nucleo-f746zg";

uint32_t vq_board_open(void) {
    static const struct vq_stm32f4_clock clock = {
        .core_hz = 216000000,
        .hse_hz = 8000000,
        .hse_bypass = true,
        .over_drive = true,
        .flash = VQ_STM32F7_FLASH_216_MHZ,
    };
    const uint32_t clock_hz = vq_stm32f4_clock_open(&clock);
    vq_cortexm7_caches_open();
    vq_reg_enable(RCC_AHB1ENR, RCC_AHB1ENR_GPIODEN);
    vq_reg_enable(RCC_APB1ENR, RCC_APB1ENR_USART3EN);
    vq_stm32_gpio_alternate(GPIOD, 8, AF_USART3);
    vq_stm32_gpio_alternate(GPIOD, 9, AF_USART3);
    vq_stm32_usart_v2_open(USART3, clock_hz / VQ_STM32F4_APB1_DIVIDER, VQ_BAUD);
    return clock_hz;
}

int32_t vq_board_get(void) { return vq_stm32_usart_v2_get(USART3); }

void vq_board_put(uint8_t byte) { vq_stm32_usart_v2_put(USART3, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_stm32_usart_v2_errors(); }
