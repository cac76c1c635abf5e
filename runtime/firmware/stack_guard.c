/* Cortex-M: an overflow of the stack faults at once, where the core can watch for it.
 *
 * Armv8-M has a register that the stack pointer may not fall below. Armv7-M has, where the part has
 * an MPU, a region that nobody may touch; its smallest is 32 bytes, which the linker script leaves
 * below the stack:
 *
 *     __vq_stack_guard   32 bytes, no access
 *     __vq_kept          16 bytes, what a restart keeps
 *     __vq_stack_limit   the stack, up to __vq_stack_top
 *
 * A handler of faults may touch it: the MPU is off there. Armv6-M has neither. */
#include "../drivers/registers.h"
#include "vq/stack.h"

extern uint8_t __vq_stack_guard[], __vq_stack_limit[];

#define CFSR 0xe000ed28u /* what kind of fault it was, as the lists below */

#if defined(__ARM_ARCH_6M__)

void vq_stack_guard(void) {}

bool vq_stack_has_overflowed(void) { return false; }

#elif defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)

#define CFSR_STKOF (1u << 20) /* the stack pointer fell below its limit */

void vq_stack_guard(void) { __asm__ volatile("msr msplim, %0" ::"r"((uint32_t)__vq_stack_limit)); }

bool vq_stack_has_overflowed(void) { return (vq_reg_read(CFSR) & CFSR_STKOF) != 0; }

#else

#define CFSR_MSTKERR (1u << 4)   /* the frame of an exception met a region */
#define CFSR_MLSPERR (1u << 5)   /* so did the FPU's part of it */
#define CFSR_MMARVALID (1u << 7) /* MMFAR has the address that met one */
#define MMFAR 0xe000ed34u

#define MPU_TYPE 0xe000ed90u
#define MPU_TYPE_REGIONS (0xffu << 8)
#define MPU_CTRL 0xe000ed94u
#define MPU_CTRL_ON (1u << 0 | 1u << 2) /* elsewhere the memory map is as without an MPU */
#define MPU_RBAR 0xe000ed9cu
#define MPU_RBAR_REGION_0 (1u << 4)
#define MPU_RASR 0xe000eda0u
#define MPU_RASR_NO_ACCESS (1u << 28 | 0u << 24) /* not executable; access permission 0 */
#define MPU_RASR_32_BYTES (4u << 1)              /* 2 to the power of 4 + 1 */
#define MPU_RASR_ON 1u

#define GUARD_BYTES 32u

void vq_stack_guard(void) {
    if ((vq_reg_read(MPU_TYPE) & MPU_TYPE_REGIONS) == 0) {
        return;
    }
    vq_reg_write(MPU_RBAR, (uint32_t)__vq_stack_guard | MPU_RBAR_REGION_0);
    vq_reg_write(MPU_RASR, MPU_RASR_NO_ACCESS | MPU_RASR_32_BYTES | MPU_RASR_ON);
    vq_reg_write(MPU_CTRL, MPU_CTRL_ON);
    __asm__ volatile("dsb\n isb" ::: "memory");
}

bool vq_stack_has_overflowed(void) {
    const uint32_t status = vq_reg_read(CFSR);
    const bool has_address = (status & CFSR_MMARVALID) != 0;
    return (status & (CFSR_MSTKERR | CFSR_MLSPERR)) != 0 ||
           (has_address && vq_reg_read(MMFAR) - (uint32_t)__vq_stack_guard < GUARD_BYTES);
}

#endif
