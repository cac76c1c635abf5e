/* Netduino Plus 2, STM32F405 at 168 MHz. USART1 on PB6 (out) and PB7 (in). */
#include "vq/board.h"

#include "../../drivers/registers.h"
#include "../../drivers/stm32_gpio.h"
#include "../../drivers/stm32_usart_v1.h"
#include "../../drivers/stm32f4_clock.h"

#define RCC_AHB1ENR 0x40023830u
#define RCC_AHB1ENR_GPIOBEN (1u << 1)
#define RCC_APB2ENR 0x40023844u
#define RCC_APB2ENR_USART1EN (1u << 4)

#define GPIOB 0x40020400u
#define USART1 0x40011000u

enum { AF_USART1 = 7 };

const char vq_board_name[] = "netduinoplus2";

uint32_t vq_board_open(void) {
    static const struct vq_stm32f4_clock clock = {
        .core_hz = 168000000,
        .hse_hz = 25000000,
        .flash = VQ_STM32F4_FLASH_168_MHZ,
    };
    const uint32_t clock_hz = vq_stm32f4_clock_open(&clock);
    vq_reg_enable(RCC_AHB1ENR, RCC_AHB1ENR_GPIOBEN);
    vq_reg_enable(RCC_APB2ENR, RCC_APB2ENR_USART1EN);
    vq_stm32_gpio_alternate(GPIOB, 6, AF_USART1);
    vq_stm32_gpio_alternate(GPIOB, 7, AF_USART1);
    vq_stm32_usart_v1_open(USART1, clock_hz / VQ_STM32F4_APB2_DIVIDER, VQ_BAUD);
    return clock_hz;
}

int32_t vq_board_get(void) { return vq_stm32_usart_v1_get(USART1); }

void vq_board_put(uint8_t byte) { vq_stm32_usart_v1_put(USART1, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_stm32_usart_v1_errors(); }
