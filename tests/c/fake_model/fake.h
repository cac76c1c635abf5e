/* A model written by hand in the shape of a generated one, for the tests of the firmware. */
#ifndef FAKE_H
#define FAKE_H

#include <stdint.h>

/* command[0] is a `fake_command`, command[1] is added to every output. */
struct tvmgen_fake_inputs {
    int8_t *values;
    int8_t *command;
};

struct tvmgen_fake_outputs {
    int8_t *result;
};

#define FAKE_VALUES_BYTES 15
#define FAKE_COMMAND_BYTES 2
#define FAKE_RESULT_BYTES 15

enum fake_command {
    FAKE_NORMAL,
    FAKE_ERROR,
    FAKE_FAULT,
    FAKE_ENDLESS,
    FAKE_LARGE_FRAME,
    FAKE_STACK_OVERFLOW,
    FAKE_RECURSION,
};

/* 0, or 7 on FAKE_ERROR. */
int32_t tvmgen_fake_run(struct tvmgen_fake_inputs *inputs, struct tvmgen_fake_outputs *outputs);

void tvmgen_fake_map_io(struct tvmgen_fake_inputs *inputs, struct tvmgen_fake_outputs *outputs);

#define FAKE_THRESHOLDS 2

/* 1 if the first threshold is above 0. */
int32_t tvmgen_fake_path(void);
int32_t tvmgen_fake_get_threshold(uint32_t index, int32_t *threshold);
int32_t tvmgen_fake_set_threshold(uint32_t index, int32_t threshold);

#endif
