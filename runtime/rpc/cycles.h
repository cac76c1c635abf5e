/* The core's own cycle counter. */
#ifndef VQ_RPC_CYCLES_H
#define VQ_RPC_CYCLES_H

#include <stdint.h>

/* As hello tells it. */
enum vq_cycles_source { VQ_CYCLES_NONE, VQ_CYCLES_DWT, VQ_CYCLES_SYSTICK };

/* Starts the counter, and sees whether it counts. */
enum vq_cycles_source vq_cycles_open(void);

/* Modulo 2^32; always 0 where nothing counts. */
uint32_t vq_cycles(void);

#endif
