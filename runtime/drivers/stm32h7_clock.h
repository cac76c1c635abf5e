/* The clock of an STM32H743: 400 MHz out of PLL1, which every revision of the part reaches (480 MHz
 * needs revision V and the core's highest voltage).
 *
 *     HSE, else HSI 64 MHz -- / M --> 4 MHz -- * 200 --> 800 MHz -- / 2 --> core
 *                                                                     '- / 2 --> AXI, AHB   200 MHz
 *                                                                     '- / 4 --> APBs       100 MHz
 */
#ifndef VQ_STM32H7_CLOCK_H
#define VQ_STM32H7_CLOCK_H

#include <stdint.h>

/* The APBs run at the core's clock divided by this, whatever it is. */
enum { VQ_STM32H7_APB_DIVIDER = 4 };

/* Sets up supply, flash and clock after reset. There is a clock of `hse_hz`, a multiple of 4 MHz,
 * at OSC_IN, and the core is fed by the part's LDO. Returns the core's clock in Hz: 400 MHz, out of
 * the internal oscillator where HSE does not start; 64 MHz, the internal oscillator's, where
 * voltage or PLL are not ready in time. */
uint32_t vq_stm32h7_clock_open(uint32_t hse_hz);

#endif
