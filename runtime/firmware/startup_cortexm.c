/* Start-up of any Cortex-M: vectors, FPU, memory, stack paint and guard. No interrupt is ever
 * enabled; SysTick's exception is, where it counts cycles. */
#include <stdint.h>
#include <string.h>

#include "vq/stack.h"

/* From the linker script; the paint is a value, the others are places. */
extern uint8_t __vq_stack_limit[], __vq_stack_top[], __vq_stack_paint[];
extern uint8_t __vq_load_start[], __vq_load_end[], __vq_load_source[];
extern uint8_t __vq_zero_start[], __vq_zero_end[];

int main(void);
void vq_fault(void);
void vq_tick(void);
void vq_reset(void);
_Noreturn void vq_start(void);

/* The sixteen of the architecture; the first is the stack pointer. */
__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))__vq_stack_top, vq_reset, [2 ... 14] = vq_fault, vq_tick};

/* In assembly, for no frame may lie on the stack while it is painted. */
__attribute__((naked)) void vq_reset(void) {
    __asm__ volatile("ldr r0, =__vq_stack_limit\n"
                     "ldr r1, =__vq_stack_paint\n"
                     "mov r2, sp\n"
                     "1: str r1, [r0]\n"
                     "add r0, #4\n"
                     "cmp r0, r2\n"
                     "blo 1b\n"
                     "bl vq_start\n"
                     ".ltorg\n");
}

void vq_start(void) {
#if defined(__ARM_FP)
    /* CPACR: full access to coprocessors 10 and 11, the FPU, before its first instruction */
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    memcpy(__vq_load_start, __vq_load_source, (uint32_t)(__vq_load_end - __vq_load_start));
    memset(__vq_zero_start, 0, (uint32_t)(__vq_zero_end - __vq_zero_start));
    vq_stack_guard();
    main();
    __builtin_unreachable();
}

uint32_t vq_stack_size(void) { return (uint32_t)(__vq_stack_top - __vq_stack_limit); }

uint32_t vq_stack_peak(void) {
    const volatile uint32_t *word = (const volatile uint32_t *)(const void *)__vq_stack_limit;
    while (*word == (uint32_t)__vq_stack_paint) {
        ++word;
    }
    return (uint32_t)(__vq_stack_top - (const uint8_t *)(uint32_t)word);
}
