/* Any exception of the core ends the program, with one line that says where. */
#include <stdint.h>

#include "console.h"
#include "vq/semihost.h"
#include "vq/stack.h"

enum { STATUS_FAULT = 99 };

/* What kind of fault it was; Armv6-M does not tell. */
#if defined(__ARM_ARCH_6M__)
#define CFSR 0u
#else
#define CFSR (*(const volatile uint32_t *)0xe000ed28u)
#endif

void vq_fault(void);
_Noreturn void vq_report_fault(uint32_t pc, uint32_t lr);

/* The core has pushed r0-r3, r12, lr, pc, xpsr. The stack pointer goes back to the top, as the
 * fault may be an overflow of the stack. */
__attribute__((naked)) void vq_fault(void) {
    __asm__ volatile("mov r2, sp\n"
                     "ldr r0, [r2, #24]\n"
                     "ldr r1, [r2, #20]\n"
                     "ldr r3, =__vq_stack_top\n"
                     "mov sp, r3\n"
                     "bl vq_report_fault\n"
                     ".ltorg\n");
}

void vq_report_fault(uint32_t pc, uint32_t lr) {
    const int32_t error = vq_console_error();
    if (vq_stack_has_overflowed()) {
        /* what the core pushed, if it did, is no frame */
        vq_put_text(error, "stack overflow\n");
        vq_semihost_exit(STATUS_FAULT);
    }
    vq_put_text(error, "fault pc=");
    vq_put_word(error, pc);
    vq_put_text(error, " lr=");
    vq_put_word(error, lr);
    vq_put_text(error, " cfsr=");
    vq_put_word(error, CFSR);
    vq_put_text(error, "\n");
    vq_semihost_exit(STATUS_FAULT);
}
