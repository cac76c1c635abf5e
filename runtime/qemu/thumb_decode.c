#include "thumb_decode.h"
#include "thumb_fp.h"

static uint16_t halfword(const uint8_t *code) { return (uint16_t)(code[0] | code[1] << 8); }

static unsigned field(unsigned word, unsigned low, unsigned width) {
    return word >> low & ((1u << width) - 1u);
}

/* Mask of one core register; PC is never a hazard, so it has no bit. */
static uint16_t core(unsigned number) { return number == THUMB_PC ? 0 : (uint16_t)(1u << number); }

static uint8_t count_registers(unsigned list) { return (uint8_t)__builtin_popcount(list); }

static struct thumb_instruction simple(enum thumb_kind kind) {
    return (struct thumb_instruction){.kind = kind, .condition = THUMB_ALWAYS};
}

static struct thumb_instruction data_processing(unsigned destination) {
    struct thumb_instruction result = simple(THUMB_DATA_PROCESSING);
    result.result_registers = core(destination);
    return result;
}

static struct thumb_instruction branch(unsigned condition) {
    struct thumb_instruction result = simple(THUMB_BRANCH);
    result.condition = (uint8_t)condition;
    result.writes_pc = true;
    return result;
}

static struct thumb_instruction load(unsigned target, uint16_t address_registers, unsigned bytes) {
    struct thumb_instruction result = simple(THUMB_LOAD);
    result.access_bytes = (uint8_t)bytes;
    result.address_registers = address_registers;
    result.result_registers = core(target);
    result.writes_pc = target == THUMB_PC;
    return result;
}

static struct thumb_instruction store(enum thumb_kind kind, uint16_t address_registers,
                                      unsigned bytes) {
    struct thumb_instruction result = simple(kind);
    result.access_bytes = (uint8_t)bytes;
    result.address_registers = address_registers;
    return result;
}

static struct thumb_instruction multiple(bool is_load, unsigned base, unsigned words) {
    struct thumb_instruction result = simple(is_load ? THUMB_LOAD_MULTIPLE : THUMB_STORE_MULTIPLE);
    result.access_bytes = 4;
    result.words = (uint8_t)words;
    result.address_registers = core(base);
    return result;
}

static struct thumb_instruction register_list(bool is_load, unsigned base, unsigned list) {
    struct thumb_instruction result = multiple(is_load, base, count_registers(list));
    result.writes_pc = is_load && (list >> THUMB_PC & 1u);
    return result;
}

/* 010000 and 010001: register data processing, high registers, BX and BLX. */
static struct thumb_instruction decode_register_operations(unsigned code) {
    if (field(code, 10, 1) == 0) {
        enum { TST = 8, CMP = 10, CMN = 11 };
        unsigned operation = field(code, 6, 4);
        bool compares = operation == TST || operation == CMP || operation == CMN;
        return compares ? simple(THUMB_DATA_PROCESSING) : data_processing(field(code, 0, 3));
    }
    unsigned operation = field(code, 8, 2);
    if (operation == 3) {
        return branch(THUMB_ALWAYS);
    }
    if (operation == 1) { /* CMP */
        return simple(THUMB_DATA_PROCESSING);
    }
    unsigned destination = field(code, 7, 1) << 3 | field(code, 0, 3);
    struct thumb_instruction result = data_processing(destination);
    result.writes_pc = destination == THUMB_PC;
    return result;
}

/* 0101: loads and stores with a register offset. */
static struct thumb_instruction decode_indexed(unsigned code) {
    /* STR, STRH, STRB, LDRSB, LDR, LDRH, LDRB, LDRSH */
    static const uint8_t widths[8] = {4, 2, 1, 1, 4, 2, 1, 2};
    unsigned operation = field(code, 9, 3);
    uint16_t address = core(field(code, 3, 3)) | core(field(code, 6, 3));
    if (operation < 3) {
        return store(THUMB_STORE_INDEXED, address, widths[operation]);
    }
    return load(field(code, 0, 3), address, widths[operation]);
}

/* 1011: stack adjustment, extension, PUSH, POP, CBZ, IT and hints. */
static struct thumb_instruction decode_miscellaneous(unsigned code) {
    unsigned group = field(code, 8, 4);
    switch (group) {
    case 0x0: /* ADD, SUB of SP */
        return data_processing(THUMB_SP);
    case 0x1: /* CBZ, CBNZ: the condition is not one of the flags; any but "always" will do */
    case 0x3:
    case 0x9:
    case 0xb:
        return branch(0);
    case 0x2: /* sign and zero extension */
    case 0xa: /* byte reversal */
        return data_processing(field(code, 0, 3));
    case 0x4: /* PUSH, with LR */
    case 0x5:
        return register_list(false, THUMB_SP, code & 0x1ffu);
    case 0xc: /* POP, with PC */
    case 0xd:
        return register_list(true, THUMB_SP, field(code, 8, 1) << THUMB_PC | (code & 0xffu));
    case 0xf:
        return simple(field(code, 0, 4) ? THUMB_IT : THUMB_DATA_PROCESSING);
    default:
        return simple(THUMB_DATA_PROCESSING);
    }
}

static struct thumb_instruction decode_16_bits(unsigned code) {
    unsigned low = field(code, 0, 3), base = field(code, 3, 3), high = field(code, 8, 3);
    switch (field(code, 11, 5)) {
    case 0x05: /* CMP with an immediate */
        return simple(THUMB_DATA_PROCESSING);
    case 0x04: /* MOV, ADD, SUB with an immediate; ADR; ADD of SP */
    case 0x06:
    case 0x07:
    case 0x14:
    case 0x15:
        return data_processing(high);
    case 0x08:
        return decode_register_operations(code);
    case 0x09: /* literal */
        return load(high, 0, 4);
    case 0x0a:
    case 0x0b:
        return decode_indexed(code);
    case 0x0c:
        return store(THUMB_STORE, core(base), 4);
    case 0x0d:
        return load(low, core(base), 4);
    case 0x0e:
        return store(THUMB_STORE, core(base), 1);
    case 0x0f:
        return load(low, core(base), 1);
    case 0x10:
        return store(THUMB_STORE, core(base), 2);
    case 0x11:
        return load(low, core(base), 2);
    case 0x12:
        return store(THUMB_STORE, core(THUMB_SP), 4);
    case 0x13:
        return load(high, core(THUMB_SP), 4);
    case 0x16:
    case 0x17:
        return decode_miscellaneous(code);
    case 0x18:
        return register_list(false, high, code & 0xffu);
    case 0x19:
        return register_list(true, high, code & 0xffu);
    case 0x1a:
    case 0x1b: /* the last two conditions are an undefined instruction and SVC */
        return field(code, 8, 4) < THUMB_ALWAYS ? branch(field(code, 8, 4))
                                                : simple(THUMB_DATA_PROCESSING);
    case 0x1c:
        return branch(THUMB_ALWAYS);
    default: /* shifts, three-register ADD and SUB */
        return data_processing(low);
    }
}

/* 1110100x: LDM and STM; LDRD, STRD, exclusive accesses and table branches. */
static struct thumb_instruction decode_transfers(unsigned first, unsigned second) {
    bool is_load = field(first, 4, 1);
    unsigned base = field(first, 0, 4);
    if (field(first, 6, 1) == 0) {
        return register_list(is_load, base, second);
    }
    bool pre_indexed = field(first, 8, 1), writes_back = field(first, 5, 1);
    if (pre_indexed || writes_back) {
        return multiple(is_load, base, 2);
    }
    if (field(first, 7, 1) && is_load && field(second, 5, 3) == 0) {
        struct thumb_instruction result = simple(THUMB_TABLE_BRANCH);
        result.writes_pc = true;
        result.access_bytes = (uint8_t)(1u << field(second, 4, 1));
        result.address_registers = core(base) | core(field(second, 0, 4));
        return result;
    }
    /* Exclusive accesses fault when unaligned: as if of one byte, they are never found to be so. */
    return is_load ? load(field(second, 12, 4), core(base), 1)
                   : store(THUMB_STORE_INDEXED, core(base), 1);
}

/* 1111100x: one register loaded or stored. */
static struct thumb_instruction decode_single_transfer(unsigned first, unsigned second) {
    unsigned base = field(first, 0, 4), bytes = 1u << field(first, 5, 2);
    bool is_load = field(first, 4, 1), long_immediate = field(first, 7, 1);
    bool is_literal = is_load && base == THUMB_PC;
    bool is_indexed = !long_immediate && !is_literal && field(second, 11, 1) == 0;
    uint16_t address = core(base);
    if (is_indexed) {
        address |= core(field(second, 0, 4));
    }
    if (!is_load) {
        return store(is_indexed ? THUMB_STORE_INDEXED : THUMB_STORE, address, bytes);
    }
    unsigned target = field(second, 12, 4);
    if (target == THUMB_PC && bytes < 4) { /* PLD, PLI */
        return simple(THUMB_DATA_PROCESSING);
    }
    return load(target, address, bytes);
}

/* 11110 with bit 15 of the second half: branches and system instructions. */
static struct thumb_instruction decode_control(unsigned first, unsigned second) {
    if (field(second, 12, 1) || field(second, 14, 1)) { /* B.W, BL */
        return branch(THUMB_ALWAYS);
    }
    if (field(first, 7, 3) != 7) {
        return branch(field(first, 6, 4));
    }
    enum { MSR = 0x38, MRS = 0x3e };
    unsigned operation = field(first, 4, 7);
    bool moves_status = (operation & ~1u) == MSR || (operation & ~1u) == MRS;
    return simple(moves_status ? THUMB_STATUS_MOVE : THUMB_DATA_PROCESSING);
}

/* 111110111: multiplications with a 64-bit result, and division. */
static struct thumb_instruction decode_long_multiply(unsigned first, unsigned second) {
    enum { SDIV = 1, UDIV = 3 };
    unsigned operation = field(first, 4, 3);
    struct thumb_instruction result = data_processing(field(second, 8, 4));
    if (operation == SDIV || operation == UDIV) {
        result.kind = THUMB_DIVIDE;
    } else {
        result.result_registers |= core(field(second, 12, 4));
    }
    return result;
}

static struct thumb_instruction decode_32_bits(unsigned first, unsigned second) {
    if (thumb_is_fp(first, second)) {
        return thumb_decode_fp(first, second);
    }
    unsigned group = field(first, 9, 4); /* below the three ones that all of these begin with */
    switch (group) {
    case 0x4:
        return decode_transfers(first, second);
    case 0x5: /* shifted register; comparisons have PC as the destination: no result */
        return data_processing(field(second, 8, 4));
    case 0x8:
    case 0x9:
    case 0xa:
    case 0xb:
        return second & 0x8000u ? decode_control(first, second)
                                : data_processing(field(second, 8, 4));
    case 0xc:
        return decode_single_transfer(first, second);
    case 0xd:
        return (first & 0x180u) == 0x180u ? decode_long_multiply(first, second)
                                          : data_processing(field(second, 8, 4));
    default: /* other coprocessors */
        return simple(THUMB_DATA_PROCESSING);
    }
}

struct thumb_instruction thumb_decode(const uint8_t *code) {
    unsigned first = halfword(code);
    bool is_wide = first >= 0xe800u;
    struct thumb_instruction result =
        is_wide ? decode_32_bits(first, halfword(code + 2)) : decode_16_bits(first);
    result.bytes = is_wide ? 4 : 2;
    return result;
}

void thumb_advance_it(uint8_t *it_state, struct thumb_instruction *instruction,
                      const uint8_t *code) {
    if (instruction->kind == THUMB_IT) {
        *it_state = code[0];
        return;
    }
    if (*it_state == 0) {
        return;
    }
    instruction->condition = *it_state >> 4;
    bool was_last = (*it_state & 0x7u) == 0;
    *it_state = was_last ? 0 : (uint8_t)((*it_state & 0xe0u) | (*it_state << 1 & 0x1fu));
}
