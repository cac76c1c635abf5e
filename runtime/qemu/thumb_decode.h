/* Thumb and Thumb-2 instructions (ARMv7E-M with FPv4-SP), reduced to what timing depends on. */
#ifndef VQ_THUMB_DECODE_H
#define VQ_THUMB_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum thumb_kind {
    THUMB_DATA_PROCESSING, /* and everything that takes one cycle whatever surrounds it */
    THUMB_DIVIDE,
    THUMB_STATUS_MOVE, /* MRS, MSR */
    THUMB_IT,
    THUMB_LOAD,           /* of one core register */
    THUMB_LOAD_MULTIPLE,  /* LDM, POP, LDRD, VLDM, VPOP and VLDR */
    THUMB_STORE,          /* immediate offset */
    THUMB_STORE_INDEXED,  /* register offset */
    THUMB_STORE_MULTIPLE, /* STM, PUSH, STRD, VSTM, VPUSH and VSTR */
    THUMB_BRANCH,
    THUMB_TABLE_BRANCH, /* TBB, TBH */
    THUMB_FP,           /* one cycle: add, multiply, convert, move, compare */
    THUMB_FP_PAIR_MOVE, /* two core registers to or from S registers */
    THUMB_FP_MULTIPLY_ADD,
    THUMB_FP_DIVIDE, /* and square root */
};

enum { THUMB_ALWAYS = 14, THUMB_SP = 13, THUMB_PC = 15 };

struct thumb_instruction {
    enum thumb_kind kind;
    uint8_t bytes;        /* 2 or 4 */
    uint8_t condition;    /* THUMB_ALWAYS, or the condition of a branch or of the IT block */
    uint8_t words;        /* 32-bit words moved by a multiple transfer */
    uint8_t access_bytes; /* width of one memory access; 0 without memory access */
    bool writes_pc;       /* a branch, or a load or data processing with PC as the destination */
    uint16_t address_registers; /* mask of core registers that form the address, PC excepted */
    uint16_t result_registers;  /* mask of core registers written by THUMB_LOAD, data processing
                                   and division; an updated base register is not in it */
    /* Masks of S registers (a D register is two of them), of floating-point instructions whose
       timing depends on them: results are those of arithmetic and conversions; moves, loads and
       stores have none, and stores wait for no source. */
    uint32_t fp_sources, fp_results;
};

/* Decodes the instruction whose bytes begin at `code`, outside any IT block. */
struct thumb_instruction thumb_decode(const uint8_t *code);

static inline bool thumb_is_conditional(const struct thumb_instruction *instruction) {
    return instruction->condition != THUMB_ALWAYS;
}

static inline bool thumb_is_store(const struct thumb_instruction *instruction) {
    return instruction->kind == THUMB_STORE || instruction->kind == THUMB_STORE_INDEXED ||
           instruction->kind == THUMB_STORE_MULTIPLE;
}

/*
 * The state of an IT block, as the architecture's ITSTATE holds it: zero outside a block. Call it
 * for every instruction in order: it gives those of an IT block their condition.
 */
void thumb_advance_it(uint8_t *it_state, struct thumb_instruction *instruction,
                      const uint8_t *code);

#endif
