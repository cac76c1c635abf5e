#include "m4_timing.h"

uint32_t m4_cycles_alone(const struct m4_timing *timing,
                         const struct thumb_instruction *instruction) {
    switch (instruction->kind) {
    case THUMB_DIVIDE:
        return timing->division_cycles;
    case THUMB_IT:
        return timing->it_cycles;
    case THUMB_STATUS_MOVE:
    case THUMB_LOAD:
    case THUMB_STORE_INDEXED:
    case THUMB_FP_PAIR_MOVE:
        return 2;
    case THUMB_LOAD_MULTIPLE:
    case THUMB_STORE_MULTIPLE:
        return 1u + instruction->words;
    case THUMB_TABLE_BRANCH:
    case THUMB_FP_MULTIPLY_ADD:
        return 3;
    case THUMB_FP_DIVIDE:
        return 14;
    default:
        return 1;
    }
}

static bool is_core_arithmetic(const struct thumb_instruction *instruction) {
    return instruction->kind == THUMB_DATA_PROCESSING || instruction->kind == THUMB_DIVIDE;
}

int32_t m4_cycles_of_pair(const struct thumb_instruction *before,
                          const struct thumb_instruction *after) {
    bool address_depends = before->result_registers & after->address_registers;
    if (is_core_arithmetic(before) && address_depends) {
        return 1;
    }
    bool can_follow_load = after->kind == THUMB_LOAD || after->kind == THUMB_STORE_INDEXED;
    if (before->kind == THUMB_LOAD && can_follow_load && !address_depends) {
        return -1;
    }
    if (before->fp_results & after->fp_sources) {
        return 1;
    }
    return 0;
}

uint32_t m4_taken_branch_cycles(const struct m4_timing *timing) {
    return timing->branch_refill_cycles + timing->flash_wait_states;
}

uint32_t m4_unaligned_load_cycles(uint64_t address, unsigned bytes) {
    if (bytes < 2 || address % bytes == 0) {
        return 0;
    }
    return bytes == 4 && address % 2 ? 2 : 1;
}
