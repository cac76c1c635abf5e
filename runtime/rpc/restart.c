/* Cortex-M: restarts the core; where it faults, or the stack overflowed, a few words tell the next
 * program so. */
#include "restart.h"

#include "../drivers/registers.h"
#include "vq/stack.h"

#define AIRCR 0xe000ed0cu
#define AIRCR_KEY (0x05fau << 16)
#define AIRCR_SYSRESETREQ (1u << 2)

/* RAM that the linker script gives to nobody, so that start-up leaves it as it is. */
struct kept {
    uint32_t magic;
    struct vq_fault fault;
    uint32_t check; /* the exclusive or of the others: after power-up all are random */
};

extern struct kept __vq_kept;

static const uint32_t magic = 0x76713031;

static uint32_t check_of(const volatile struct kept *kept) {
    return kept->magic ^ kept->fault.status ^ kept->fault.address;
}

#if defined(__ARM_ARCH_6M__)

static uint32_t fault_status(void) { return VQ_FAULT_UNKNOWN; }

static void write_back(const volatile struct kept *kept) {
    (void)kept;
    __asm__ volatile("dsb" ::: "memory");
}

#else

#define CFSR 0xe000ed28u
#define CCR 0xe000ed14u
#define CCR_DC (1u << 16)   /* the data cache is on; 0 on a core that has none */
#define DCCMVAC 0xe000ef68u /* writes a line of the data cache back, by address */

static uint32_t fault_status(void) {
    const uint32_t status = vq_reg_read(CFSR);
    return status != 0 ? status : VQ_FAULT_UNKNOWN;
}

static void write_back(const volatile struct kept *kept) {
    __asm__ volatile("dsb" ::: "memory");
    if ((vq_reg_read(CCR) & CCR_DC) != 0) {
        vq_reg_write(DCCMVAC, (uint32_t)kept);
    }
    __asm__ volatile("dsb" ::: "memory");
}

#endif

struct vq_fault vq_restart_fault(void) {
    volatile struct kept *kept = &__vq_kept;
    struct vq_fault fault = {VQ_FAULT_NONE, 0};
    if (kept->magic == magic && kept->check == check_of(kept)) {
        fault.status = kept->fault.status;
        fault.address = kept->fault.address;
    }
    kept->magic = 0;
    write_back(kept);
    return fault;
}

void vq_restart(struct vq_fault fault) {
    volatile struct kept *kept = &__vq_kept;
    kept->fault.status = fault.status;
    kept->fault.address = fault.address;
    kept->magic = magic;
    kept->check = check_of(kept);
    write_back(kept);
    vq_reg_write(AIRCR, AIRCR_KEY | AIRCR_SYSRESETREQ);
    for (;;) {
    }
}

void vq_fault(void);
_Noreturn void vq_restart_from(uint32_t address);

void vq_restart_from(uint32_t address) {
    if (vq_stack_has_overflowed()) {
        /* what the core pushed, if it did, is no frame */
        vq_restart((struct vq_fault){VQ_FAULT_STACK_OVERFLOW, 0});
    }
    vq_restart((struct vq_fault){fault_status(), address});
}

/* Any exception of the core. It has pushed r0-r3, r12, lr, pc, xpsr, if there was RAM where its
 * stack pointer was; which goes back to the top, as the fault may be an overflow of the stack. */
__attribute__((naked)) void vq_fault(void) {
    __asm__ volatile("mov r2, sp\n"
                     "ldr r3, =__vq_zero_start\n"
                     "mov r0, #0\n"
                     "cmp r2, r3\n"
                     "blo 1f\n"
                     "ldr r0, [r2, #24]\n"
                     "1: ldr r3, =__vq_stack_top\n"
                     "mov sp, r3\n"
                     "bl vq_restart_from\n"
                     ".ltorg\n");
}
