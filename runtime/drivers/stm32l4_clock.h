/* The clock of an STM32L4R5 and its kin (L4+): 120 MHz out of the PLL.
 *
 *     HSI 16 MHz -- / 2 --> 8 MHz -- * 30 --> 240 MHz -- / 2 --> core, AHB, APB1, APB2 */
#ifndef VQ_STM32L4_CLOCK_H
#define VQ_STM32L4_CLOCK_H

#include <stdint.h>

/* Sets up flash and clock after reset. Returns the core's clock in Hz, which is the buses' too: 120
 * MHz; 4 MHz, MSI's, where the PLL is not ready in time. Leaves PWR's clock on. */
uint32_t vq_stm32l4_clock_open(void);

#endif
