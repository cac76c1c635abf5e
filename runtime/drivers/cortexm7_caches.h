/* The caches of a Cortex-M7. */
#ifndef VQ_CORTEXM7_CACHES_H
#define VQ_CORTEXM7_CACHES_H

/* Empties and switches on both caches, after reset. Nobody but the core writes to memory here
 * (there is no DMA), so the data cache is never at odds with what it caches. */
void vq_cortexm7_caches_open(void);

#endif
