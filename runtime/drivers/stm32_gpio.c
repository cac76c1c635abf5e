#include "stm32_gpio.h"

#include "registers.h"

/* Offsets of a port's registers. */
enum { MODER = 0x00, PUPDR = 0x0c, AFRL = 0x20, AFRH = 0x24 };

enum { MODER_ALTERNATE = 2, PUPDR_UP = 1 };

void vq_stm32_gpio_alternate(uint32_t port, uint32_t pin, uint32_t function) {
    const uint32_t pair = 2u * pin;        /* MODER and PUPDR have two bits a pin */
    const uint32_t four = 4u * (pin & 7u); /* AFRL and AFRH four */
    vq_reg_change(port + (pin < 8u ? AFRL : AFRH), 15u << four, function << four);
    vq_reg_change(port + PUPDR, 3u << pair, (uint32_t)PUPDR_UP << pair);
    /* last, so that the pin does not show another function for a moment */
    vq_reg_change(port + MODER, 3u << pair, (uint32_t)MODER_ALTERNATE << pair);
}
