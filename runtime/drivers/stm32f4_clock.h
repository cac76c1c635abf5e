/* The clock of an STM32F4 or F7, whose RCCs are one: full speed out of the PLL.
 *
 *     HSE, else HSI 16 MHz -- / M --> 1 MHz -- * N --> VCO -- / 2 --> core, AHB
 *                                                               |- / 4 --> APB1
 *                                                               '- / 2 --> APB2 */
#ifndef VQ_STM32F4_CLOCK_H
#define VQ_STM32F4_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* APB1 and APB2 run at the core's clock divided by these, whatever it is. */
enum { VQ_STM32F4_APB1_DIVIDER = 4, VQ_STM32F4_APB2_DIVIDER = 2 };

/* The core's clock until it is set up, and where that fails. */
enum { VQ_STM32F4_RESET_HZ = 16000000 };

struct vq_stm32f4_clock {
    uint32_t core_hz; /* wanted, a multiple of 24 MHz */
    uint32_t hse_hz;  /* of the board's crystal, or clock at OSC_IN; a multiple of 1 MHz */
    bool hse_bypass;  /* a clock at OSC_IN, no crystal */
    bool over_drive;  /* F7 above 180 MHz */
    uint32_t flash;   /* FLASH_ACR: wait states at core_hz, and what hides them */
};

/* FLASH_ACR of an F405 or F407 at 168 MHz, and of an F746 at 216 MHz, both at 2.7 to 3.6 V. The
 * accelerator of the F7 only serves the ITCM's view of the flash, which nothing here uses. */
#define VQ_STM32F4_FLASH_168_MHZ                                                                   \
    (5u | 1u << 8 /* PRFTEN */ | 1u << 9 /* ICEN */ | 1u << 10 /* DCEN */)
#define VQ_STM32F7_FLASH_216_MHZ 7u

/* Sets up flash and clock after reset. Returns the core's clock in Hz: what is wanted, out of the
 * internal oscillator where HSE does not start; VQ_STM32F4_RESET_HZ where the PLL or the over-drive
 * is not ready in time. */
uint32_t vq_stm32f4_clock_open(const struct vq_stm32f4_clock *clock);

#endif
