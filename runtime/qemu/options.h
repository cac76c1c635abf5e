/* Plugin arguments and the functions of the firmware that is run. */
#ifndef VQ_OPTIONS_H
#define VQ_OPTIONS_H

#include "m4_timing.h"

#include <stddef.h>

struct counts {
    uint64_t instructions;
    uint64_t cycles;
};

struct function {
    uint64_t low, high; /* addresses: [low, high) */
    const char *name;
    bool is_layer;
    struct counts self; /* of the inference that is being counted */
};

/* Sorted by address, followed by one function without a name or range for all other code. */
struct function_table {
    struct function *functions;
    size_t count; /* without that last one */
};

struct options {
    const char *output_path;
    uint64_t begin_address, end_address; /* of vq_bench_begin, vq_bench_end */
    bool counts_cycles;
    uint64_t instruction_limit; /* since reset; 0: none */
    struct m4_timing timing;
    struct function_table table;
};

/* Reads the plugin's arguments; says on stderr what is wrong with them and returns false. */
bool options_parse(struct options *options, int argc, char **argv);

/* The function that holds `address`; never null. */
struct function *function_at(const struct function_table *table, uint64_t address);

#endif
