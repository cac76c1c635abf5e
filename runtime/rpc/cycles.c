/* Cortex-M: the DWT's counter; on Armv6-M, which has none, SysTick and a count of its rounds. */
#include "cycles.h"

#include "../drivers/registers.h"

/* SysTick is optional on Armv6-M. */
#ifndef VQ_BOARD_HAS_SYSTICK
#define VQ_BOARD_HAS_SYSTICK 1
#endif

static enum vq_cycles_source source;

#if defined(__ARM_ARCH_6M__)

#define SYST_CSR 0xe000e010u
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CLKSOURCE (1u << 2) /* the core's own clock */
#define SYST_RVR 0xe000e014u
#define SYST_CVR 0xe000e018u /* counts down to 0, then anew from RVR */

enum { COUNTER_BITS = 24, LARGEST_COUNT = (1 << COUNTER_BITS) - 1 };

static volatile uint32_t rounds;

/* The only exception of the firmware that is not a fault. */
void vq_tick(void);
void vq_tick(void) { ++rounds; }

static void start(void) {
    if (VQ_BOARD_HAS_SYSTICK) {
        vq_reg_write(SYST_RVR, LARGEST_COUNT);
        vq_reg_write(SYST_CVR, 0);
        vq_reg_write(SYST_CSR, SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE);
        source = VQ_CYCLES_SYSTICK;
    }
}

static uint32_t count(void) {
    uint32_t round;
    uint32_t low;
    do {
        round = rounds;
        low = LARGEST_COUNT - vq_reg_read(SYST_CVR);
    } while (round != rounds); /* a round ended in between */
    return round << COUNTER_BITS | low;
}

#else

#define DEMCR 0xe000edfcu
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL 0xe0001000u
#define DWT_CTRL_CYCCNTENA (1u << 0)
#define DWT_CTRL_NOCYCCNT (1u << 25)
#define DWT_CYCCNT 0xe0001004u
#define DWT_LAR 0xe0001fb0u /* of a Cortex-M7: writing is locked without its key */
#define DWT_LAR_KEY 0xc5acce55u

static void start(void) {
    vq_reg_set(DEMCR, DEMCR_TRCENA);
    vq_reg_write(DWT_LAR, DWT_LAR_KEY);
    if ((vq_reg_read(DWT_CTRL) & DWT_CTRL_NOCYCCNT) == 0) {
        vq_reg_write(DWT_CYCCNT, 0);
        vq_reg_set(DWT_CTRL, DWT_CTRL_CYCCNTENA);
        source = VQ_CYCLES_DWT;
    }
}

static uint32_t count(void) { return vq_reg_read(DWT_CYCCNT); }

#endif

enum vq_cycles_source vq_cycles_open(void) {
    start();
    const uint32_t first = vq_cycles();
    /* some cycles, whatever the compiler makes of them */
    for (volatile uint32_t i = 0; i < 16; ++i) {
    }
    if (vq_cycles() == first) {
        source = VQ_CYCLES_NONE; /* as in an emulator, whose registers read as zero */
    }
    return source;
}

uint32_t vq_cycles(void) { return source == VQ_CYCLES_NONE ? 0 : count(); }
