/* How deep the stack has been. The start-up code paints it, the peak is where the paint ends. */
#ifndef VQ_STACK_H
#define VQ_STACK_H

#include <stdint.h>

/* The most bytes of stack used since reset; vq_stack_size() or more means that it overflowed. */
uint32_t vq_stack_peak(void);

/* The bytes that the linker script reserves. */
uint32_t vq_stack_size(void);

#endif
