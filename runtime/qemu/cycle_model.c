/*
 * QEMU TCG plugin: modelled Cortex-M4 cycles and instructions of a firmware's inferences.
 *
 * An inference lasts from the call of the begin function to that of the end function; each writes
 * one JSON line to the output file, with the counts of every layer function entered in between, in
 * order, and of every function by itself (without what it calls).
 *
 * Arguments: out=FILE, start=ADDRESS, stop=ADDRESS (entries of the begin and end functions),
 * layer=LOW-HIGH:NAME and function=LOW-HIGH:NAME (the address range of a layer function or of any
 * other function, repeatable), cycles=0|1 (whether to model cycles; 0 for cores other than the
 * Cortex-M4), limit=INSTRUCTIONS (since reset; the emulator ends with status 1 there), p=CYCLES
 * (pipeline refill of a taken branch), ws=CYCLES (flash wait states), div=CYCLES, it=CYCLES.
 *
 * Most of a translated block's cycles are known when it is translated and are added at once when it
 * is entered. What only execution shows is added as it happens: taken branches on entry to the next
 * block, misaligned loads and transfers under an IT condition at their memory accesses.
 *
 * Flash wait states follow a simple model: sequential fetches are prefetched in time; each taken
 * branch and each load from the code region waits for them.
 */
#include "inference_record.h"
#include "options.h"
#include "qemu_plugin_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t code_region_end = 0x20000000; /* the architecture's; RAM lies above */

/* A translated block. It is never freed: code that QEMU generated refers to it. */
struct block {
    uint64_t address, end; /* [address, end) */
    struct counts cost;
    struct thumb_instruction first, last;
    struct function *function;
};

/* An IT block that a translated block leaves unfinished, with ITSTATE where the next one begins. */
struct open_it {
    uint64_t address;
    uint8_t state;
    struct open_it *next;
};

static struct options options;
static struct inference_record record;
static struct counts totals; /* since the machine started */
static const struct block before_reset;
static const struct block *previous = &before_reset;
static struct open_it *open_its;

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (!memory) {
        abort();
    }
    return memory;
}

/* --- execution ------------------------------------------------------------------------------ */

/* Adds what depends on how `block` was reached; it belongs to the block before. */
static void count_transition(const struct block *block) {
    const struct thumb_instruction *last = &previous->last;
    bool follows = block->address == previous->end;
    if (last->writes_pc) {
        bool is_taken = !follows || !thumb_is_conditional(last);
        totals.cycles += is_taken ? m4_taken_branch_cycles(&options.timing) : 0;
    } else if (follows && !thumb_is_conditional(last) && !thumb_is_conditional(&block->first)) {
        totals.cycles += (uint64_t)m4_cycles_of_pair(last, &block->first);
    }
}

static void enter_function(const struct block *block) {
    struct function *function = block->function;
    bool is_entry = block->address == function->low;
    if (record.is_open) {
        record_function(&record, function, totals);
        if (is_entry && function->is_layer) {
            record_layer(&record, function, totals);
        }
    }
}

static void stop_at_limit(void) {
    fprintf(stderr, "more than %" PRIu64 " instructions\n", options.instruction_limit);
    fflush(NULL);
    _Exit(EXIT_FAILURE);
}

static void block_executed(unsigned int vcpu, void *user_data) {
    (void)vcpu;
    const struct block *block = user_data;
    if (options.counts_cycles) {
        count_transition(block);
    }
    if (block->address == options.begin_address) {
        record_begin(&record, block->function, totals);
    } else if (block->address == options.end_address && record.is_open) {
        record_end(&record, totals);
    } else if (block->function != previous->function) {
        enter_function(block);
    }
    totals.instructions += block->cost.instructions;
    totals.cycles += block->cost.cycles;
    if (options.instruction_limit && totals.instructions > options.instruction_limit) {
        stop_at_limit();
    }
    previous = block;
}

static void load_executed(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
                          void *user_data) {
    (void)vcpu;
    (void)info;
    totals.cycles += m4_unaligned_load_cycles(address, (unsigned)(uintptr_t)user_data);
    if (address < code_region_end) {
        totals.cycles += options.timing.flash_wait_states;
    }
}

/* --- translation ---------------------------------------------------------------------------- */

static uint8_t take_up_it(uint64_t address) {
    for (const struct open_it *open = open_its; open; open = open->next) {
        if (open->address == address) {
            return open->state;
        }
    }
    return 0;
}

static void leave_open_it(uint64_t address, uint8_t state) {
    if (state == 0 || take_up_it(address) == state) {
        return;
    }
    struct open_it *open = allocate(sizeof *open);
    *open = (struct open_it){address, state, open_its};
    open_its = open;
}

/* An instruction and the handle by which its memory accesses are observed. */
struct translated {
    struct qemu_plugin_insn *handle;
    struct thumb_instruction decoded;
};

static bool may_skip_transfer(const struct thumb_instruction *instruction) {
    return instruction->access_bytes > 0 && thumb_is_conditional(instruction);
}

static void add_at_access(const struct translated *translated, int32_t cycles) {
    if (cycles) {
        qemu_plugin_register_vcpu_mem_inline(translated->handle, QEMU_PLUGIN_MEM_RW,
                                             QEMU_PLUGIN_INLINE_ADD_U64, &totals.cycles,
                                             (uint64_t)cycles);
    }
}

/* The instruction's cycles by itself: returns those that are certain. */
static uint32_t cost_alone(const struct translated *now) {
    const struct thumb_instruction *instruction = &now->decoded;
    uint32_t cycles = m4_cycles_alone(&options.timing, instruction);
    if (!may_skip_transfer(instruction)) {
        return cycles;
    }
    bool is_multiple = instruction->words > 0;
    add_at_access(now, is_multiple ? instruction->access_bytes / 4 : (int32_t)cycles - 1);
    return 1;
}

/*
 * Cycles between two neighbours in a block: returns those that are certain. A pair under opposite
 * conditions is never executed. Elsewhere it is if its conditional transfer is; arithmetic under a
 * condition leaves no trace and is taken as executed.
 */
static int32_t cost_of_pair(const struct translated *before, const struct translated *now) {
    int32_t cycles = m4_cycles_of_pair(&before->decoded, &now->decoded);
    bool are_both_conditional =
        thumb_is_conditional(&before->decoded) && thumb_is_conditional(&now->decoded);
    if (are_both_conditional && before->decoded.condition != now->decoded.condition) {
        return 0;
    }
    bool is_single = now->decoded.words == 0;
    if (may_skip_transfer(&now->decoded) && is_single) {
        add_at_access(now, cycles);
        return 0;
    }
    if (may_skip_transfer(&before->decoded)) {
        add_at_access(before, cycles);
        return 0;
    }
    return cycles;
}

static void observe_loads(const struct translated *now) {
    const struct thumb_instruction *instruction = &now->decoded;
    bool is_load = instruction->access_bytes > 0 && !thumb_is_store(instruction);
    uint16_t unaligned_bases = (uint16_t)(instruction->address_registers & ~(1u << THUMB_SP));
    bool may_be_unaligned =
        instruction->kind == THUMB_LOAD && instruction->access_bytes > 1 && unaligned_bases != 0;
    if (may_be_unaligned || (is_load && options.timing.flash_wait_states)) {
        unsigned bytes = may_be_unaligned ? instruction->access_bytes : 0;
        qemu_plugin_register_vcpu_mem_cb(now->handle, load_executed, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, (void *)(uintptr_t)bytes);
    }
}

static void model_block(struct block *block, const struct qemu_plugin_tb *tb) {
    uint8_t it_state = take_up_it(block->address);
    struct translated before = {0};
    for (size_t i = 0; i < block->cost.instructions; i++) {
        struct translated now = {.handle = qemu_plugin_tb_get_insn(tb, i)};
        const uint8_t *code = qemu_plugin_insn_data(now.handle);
        now.decoded = thumb_decode(code);
        thumb_advance_it(&it_state, &now.decoded, code);
        block->cost.cycles += cost_alone(&now);
        if (i == 0) {
            block->first = now.decoded;
        } else {
            block->cost.cycles += (uint64_t)cost_of_pair(&before, &now);
        }
        observe_loads(&now);
        before = now;
    }
    block->last = before.decoded;
    block->end = qemu_plugin_insn_vaddr(before.handle) + before.decoded.bytes;
    leave_open_it(block->end, it_state);
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    struct block *block = allocate(sizeof *block);
    block->address = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    block->function = function_at(&options.table, block->address);
    block->cost.instructions = qemu_plugin_tb_n_insns(tb);
    if (options.counts_cycles) {
        model_block(block, tb);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, block_executed, QEMU_PLUGIN_CB_NO_REGS, block);
}

int qemu_plugin_version = QEMU_PLUGIN_API_VERSION;

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv) {
    (void)info;
    if (!options_parse(&options, argc, argv)) {
        return -1;
    }
    record.table = options.table;
    record.has_cycles = options.counts_cycles;
    record.output = fopen(options.output_path, "w");
    if (!record.output) {
        perror(options.output_path);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    return 0;
}
