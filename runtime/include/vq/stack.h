/* How deep the stack has been. The start-up code paints it, the peak is where the paint ends. */
#ifndef VQ_STACK_H
#define VQ_STACK_H

#include <stdbool.h>
#include <stdint.h>

/* The most bytes of stack used since reset; vq_stack_size() or more means that it overflowed. */
uint32_t vq_stack_peak(void);

/* The bytes that the linker script reserves. */
uint32_t vq_stack_size(void);

/* From now on an overflow faults, where the core can watch for it: firmware/stack_guard.c. */
void vq_stack_guard(void);

/* Whether the fault that is being handled was one of those. */
bool vq_stack_has_overflowed(void);

#endif
