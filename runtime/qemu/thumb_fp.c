#include "thumb_fp.h"

static unsigned bits(unsigned word, unsigned low, unsigned width) {
    return word >> low & ((1u << width) - 1u);
}

/* Mask of the S registers that an S or D register covers; the D file has 16 registers. */
static uint32_t fp_register(unsigned number, unsigned extra_bit, bool is_double) {
    return is_double ? 3u << (number * 2u) : 1u << (number * 2u | extra_bit);
}

static struct thumb_instruction fp_operation(enum thumb_kind kind, uint32_t sources,
                                             uint32_t results) {
    return (struct thumb_instruction){
        .kind = kind, .condition = THUMB_ALWAYS, .fp_sources = sources, .fp_results = results};
}

/* VLDR, VSTR, VLDM, VSTM, VPUSH, VPOP. */
static struct thumb_instruction decode_memory(unsigned first, unsigned second) {
    bool is_load = bits(first, 4, 1), is_double = bits(second, 8, 1);
    bool is_single_transfer = bits(first, 8, 1) && !bits(first, 5, 1);
    unsigned base = bits(first, 0, 4);
    unsigned words =
        is_single_transfer ? 1u + is_double : bits(second, 0, 8) & ~(unsigned)is_double;
    return (struct thumb_instruction){
        .kind = is_load ? THUMB_LOAD_MULTIPLE : THUMB_STORE_MULTIPLE,
        .condition = THUMB_ALWAYS,
        .words = (uint8_t)words,
        .access_bytes = is_double ? 8 : 4,
        .address_registers = base == THUMB_PC ? 0 : (uint16_t)(1u << base),
    };
}

/* VMOV between core and floating-point registers, VMRS, VMSR. */
static struct thumb_instruction decode_register_move(unsigned first, unsigned second) {
    enum { SYSTEM_REGISTER = 7 };
    if (bits(first, 5, 3) == SYSTEM_REGISTER) {
        return fp_operation(THUMB_FP, 0, 0);
    }
    bool to_core = bits(first, 4, 1);
    uint32_t moved = fp_register(bits(first, 0, 4), bits(second, 7, 1), bits(second, 8, 1));
    return fp_operation(THUMB_FP, to_core ? moved : 0, 0);
}

static struct thumb_instruction decode_pair_move(unsigned first, unsigned second) {
    bool to_core = bits(first, 4, 1), is_double = bits(second, 8, 1);
    unsigned lowest = bits(second, 0, 4) * 2u | (is_double ? 0u : bits(second, 5, 1));
    uint32_t moved = 3u << lowest;
    return fp_operation(THUMB_FP_PAIR_MOVE, to_core ? moved : 0, 0);
}

/* Operations with one operand or none: moves, conversions, comparisons, square root. */
static struct thumb_instruction decode_unary(unsigned first, unsigned second, uint32_t target,
                                             uint32_t operand) {
    bool is_immediate_move = bits(second, 6, 1) == 0;
    if (is_immediate_move) {
        return fp_operation(THUMB_FP, 0, 0);
    }
    unsigned operation = bits(first, 0, 4);
    bool upper = bits(second, 7, 1);
    switch (operation) {
    case 0x0: /* VMOV, VABS */
        return fp_operation(THUMB_FP, operand, 0);
    case 0x1: /* VNEG, VSQRT */
        return upper ? fp_operation(THUMB_FP_DIVIDE, operand, target)
                     : fp_operation(THUMB_FP, operand, 0);
    case 0x4: /* VCMP */
        return fp_operation(THUMB_FP, operand | target, 0);
    case 0x5: /* VCMP with zero */
        return fp_operation(THUMB_FP, target, 0);
    case 0xa: /* VCVT of fixed point works in place */
    case 0xb:
    case 0xe:
    case 0xf:
        return fp_operation(THUMB_FP, target, target);
    default: /* VCVT */
        return fp_operation(THUMB_FP, operand, target);
    }
}

static struct thumb_instruction decode_arithmetic(unsigned first, unsigned second) {
    bool is_double = bits(second, 8, 1);
    uint32_t target = fp_register(bits(second, 12, 4), bits(first, 6, 1), is_double);
    uint32_t left = fp_register(bits(first, 0, 4), bits(second, 7, 1), is_double);
    uint32_t right = fp_register(bits(second, 0, 4), bits(second, 5, 1), is_double);
    switch (bits(first, 7, 1) << 2 | bits(first, 4, 2)) {
    case 2: /* VMUL */
    case 3: /* VADD, VSUB */
        return fp_operation(THUMB_FP, left | right, target);
    case 4:
        return fp_operation(THUMB_FP_DIVIDE, left | right, target);
    case 7:
        return decode_unary(first, second, target, right);
    default: /* VMLA, VFMA and their negated forms accumulate */
        return fp_operation(THUMB_FP_MULTIPLY_ADD, left | right | target, target);
    }
}

bool thumb_is_fp(unsigned first, unsigned second) {
    bool is_coprocessor = bits(first, 10, 6) == 0x3b;
    return is_coprocessor && bits(second, 9, 3) == 5;
}

struct thumb_instruction thumb_decode_fp(unsigned first, unsigned second) {
    if (bits(first, 9, 1) == 0) {
        bool moves_pair = bits(first, 5, 7) == 0x62;
        return moves_pair ? decode_pair_move(first, second) : decode_memory(first, second);
    }
    bool is_register_move = bits(second, 4, 1);
    return is_register_move ? decode_register_move(first, second)
                            : decode_arithmetic(first, second);
}
