/* Pins of an STM32 other than the F1: which peripheral a pin belongs to. */
#ifndef VQ_STM32_GPIO_H
#define VQ_STM32_GPIO_H

#include <stdint.h>

/* Gives a pin (0 to 15) of the port at address `port` to its alternate function (0 to 15), with a
 * pull-up: an open receiving pin reads as an idle line. The port's clock must be on. */
void vq_stm32_gpio_alternate(uint32_t port, uint32_t pin, uint32_t function);

#endif
