/*
 * Cycles of the Cortex-M4, after the instruction timing table of its Technical Reference Manual.
 *
 * A cost has three parts: what an instruction takes by itself, what the instruction executed just
 * before it changes, and what only execution shows (alignment, taken branches, skipped transfers).
 */
#ifndef VQ_M4_TIMING_H
#define VQ_M4_TIMING_H

#include "thumb_decode.h"

struct m4_timing {
    uint32_t branch_refill_cycles;
    uint32_t flash_wait_states; /* cycles; see m4_taken_branch_cycles and cycle_model.c */
    uint32_t division_cycles;   /* the hardware takes 2 to 12, depending on the operands */
    uint32_t it_cycles;         /* 0 where IT folds into its neighbour */
};

/* Cycles of an executed instruction after one that has no influence on it; branches not taken. */
uint32_t m4_cycles_alone(const struct m4_timing *timing,
                         const struct thumb_instruction *instruction);

/* Cycles that `after` takes more than alone (may be negative) when executed just after `before`. */
int32_t m4_cycles_of_pair(const struct thumb_instruction *before,
                          const struct thumb_instruction *after);

/* Cycles of refilling the pipeline; the fetch of the target meets the flash's wait states. */
uint32_t m4_taken_branch_cycles(const struct m4_timing *timing);

/* Additional cycles of a load of `bytes` at `address`. */
uint32_t m4_unaligned_load_cycles(uint64_t address, unsigned bytes);

#endif
