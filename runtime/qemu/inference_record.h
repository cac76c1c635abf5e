/* Counts of one inference at a time, split by layer and by function, written as JSON lines. */
#ifndef VQ_INFERENCE_RECORD_H
#define VQ_INFERENCE_RECORD_H

#include "options.h"

#include <stdio.h>

struct layer_counts {
    const struct function *function;
    struct counts counts;
};

struct inference_record {
    struct function_table table;
    FILE *output;
    bool has_cycles; /* whether the counts' cycles mean anything */
    bool is_open;
    struct counts start; /* totals when the inference began, when ... */
    struct counts layer_start;
    struct counts function_start;
    struct function *function;   /* ... this function was entered or returned to */
    struct layer_counts *layers; /* in the order of execution; the last is still running */
    size_t layer_count, layer_capacity;
};

/*
 * Execution in time order. `totals` are the counts since the machine started, before anything of
 * `function` is counted.
 */
void record_begin(struct inference_record *record, struct function *function, struct counts totals);
void record_function(struct inference_record *record, struct function *function,
                     struct counts totals);
void record_layer(struct inference_record *record, const struct function *function,
                  struct counts totals);
void record_end(struct inference_record *record, struct counts totals);

#endif
