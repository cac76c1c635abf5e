/* STM32F4-Discovery, all revisions. USART2 on PA2 (out) and PA3 (in): the ST-LINK's serial port is
 * not connected to the part, so these pins need a USB adapter of 3.3 V, or two wires to the header
 * of an ST-LINK/V2-A that has one. */
#include "vq/board.h"

#include "../../drivers/registers.h"
#include "../../drivers/stm32_gpio.h"
#include "../../drivers/stm32_usart_v1.h"
#include "../../drivers/stm32f4_clock.h"

#define RCC_AHB1ENR 0x40023830u
#define RCC_AHB1ENR_GPIOAEN (1u << 0)
#define RCC_APB1ENR 0x40023840u
#define RCC_APB1ENR_USART2EN (1u << 17)

#define GPIOA 0x40020000u
#define USART2 0x40004400u

enum { AF_USART2 = 7 };

const char vq_board_name[] = "stm32f4-discovery";

uint32_t vq_board_open(void) {
    static const struct vq_stm32f4_clock clock = {
        .core_hz = 168000000,
        .hse_hz = 8000000,
        .flash = VQ_STM32F4_FLASH_168_MHZ,
    };
    const uint32_t clock_hz = vq_stm32f4_clock_open(&clock);
    vq_reg_enable(RCC_AHB1ENR, RCC_AHB1ENR_GPIOAEN);
    vq_reg_enable(RCC_APB1ENR, RCC_APB1ENR_USART2EN);
    vq_stm32_gpio_alternate(GPIOA, 2, AF_USART2);
    vq_stm32_gpio_alternate(GPIOA, 3, AF_USART2);
    vq_stm32_usart_v1_open(USART2, clock_hz / VQ_STM32F4_APB1_DIVIDER, VQ_BAUD);
    return clock_hz;
}

int32_t vq_board_get(void) { return vq_stm32_usart_v1_get(USART2); }

void vq_board_put(uint8_t byte) { vq_stm32_usart_v1_put(USART2, byte); }

uint32_t vq_board_receiver_errors(void) { return vq_stm32_usart_v1_errors(); }
