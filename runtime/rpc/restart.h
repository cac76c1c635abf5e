/* Starting anew, and what is kept across it. */
#ifndef VQ_RPC_RESTART_H
#define VQ_RPC_RESTART_H

#include <stdint.h>

/* Values of `status` besides those of the core's fault status register, CFSR. */
#define VQ_FAULT_NONE 0u
#define VQ_FAULT_STACK_OVERFLOW (1u << 20) /* CFSR.STKOF of Armv8-M, which the others lack */
#define VQ_FAULT_UNKNOWN 0xffffffffu       /* the core says nothing */

struct vq_fault {
    uint32_t status;
    uint32_t address; /* of the instruction; 0 where nobody knows */
};

/* The fault that ended the program that ran before this one. To be asked once, after start. */
struct vq_fault vq_restart_fault(void);

/* Starts anew. Inputs, thresholds and session are lost. */
_Noreturn void vq_restart(struct vq_fault fault);

#endif
