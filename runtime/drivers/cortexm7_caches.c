/* Registers after Arm's "Cortex-M7 Devices Generic User Guide" (DUI 0646), "Cache maintenance". */
#include "cortexm7_caches.h"

#include "registers.h"

#define SCB_CCR 0xe000ed14u
#define SCB_CCR_DC (1u << 16)
#define SCB_CCR_IC (1u << 17)

/* Of the cache that CSSELR names: sets - 1 from bit 13, ways - 1 from bit 3. */
#define SCB_CCSIDR 0xe000ed80u
#define SCB_CSSELR 0xe000ed84u
#define SCB_CSSELR_L1_DATA 0u

#define SCB_ICIALLU 0xe000ef50u

/* Set from bit 5, since a line has 32 bytes; way from bit 30, since there are four. */
#define SCB_DCISW 0xe000ef60u

static void barrier(void) {
#ifndef VQ_FAKE_REGISTERS
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
}

static void invalidate_data_cache(void) {
    vq_reg_write(SCB_CSSELR, SCB_CSSELR_L1_DATA);
    barrier();
    const uint32_t size = vq_reg_read(SCB_CCSIDR);
    const uint32_t last_set = size >> 13 & 0x7fffu;
    const uint32_t last_way = size >> 3 & 0x3ffu;
    for (uint32_t set = 0; set <= last_set; ++set) {
        for (uint32_t way = 0; way <= last_way; ++way) {
            vq_reg_write(SCB_DCISW, set << 5 | way << 30);
        }
    }
}

void vq_cortexm7_caches_open(void) {
    barrier();
    vq_reg_write(SCB_ICIALLU, 0);
    invalidate_data_cache();
    barrier();
    vq_reg_set(SCB_CCR, SCB_CCR_IC | SCB_CCR_DC);
    barrier();
}
