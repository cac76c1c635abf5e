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
};

/* 0, or 7 on FAKE_ERROR. */
int32_t tvmgen_fake_run(struct tvmgen_fake_inputs *inputs, struct tvmgen_fake_outputs *outputs);

void tvmgen_fake_map_io(struct tvmgen_fake_inputs *inputs, struct tvmgen_fake_outputs *outputs);

#endif
