#include <string.h>

#include "fake.h"
#include "fake_layers.h"

#define FAKE_ARENA_BYTES 48

static int8_t arena[FAKE_ARENA_BYTES] __attribute__((section(".bss.vq_arena"), aligned(16)));

void tvmgen_fake_map_io(struct tvmgen_fake_inputs *inputs, struct tvmgen_fake_outputs *outputs) {
    inputs->values = arena;
    inputs->command = arena + 16;
    outputs->result = arena + 32;
}

int32_t tvmgen_fake_run(struct tvmgen_fake_inputs *inputs, struct tvmgen_fake_outputs *outputs) {
    volatile int running = 1;
    switch (inputs->command[0]) {
    case FAKE_ERROR:
        return 7;
    case FAKE_FAULT:
        __builtin_trap();
    case FAKE_ENDLESS:
        while (running) {
        }
        break;
    case FAKE_LARGE_FRAME:
        fake_use_stack(1000);
        break;
    case FAKE_STACK_OVERFLOW:
        fake_use_stack(5000);
        break;
    default:
        break;
    }
    fake_scale(inputs->values, inputs->command[1], outputs->result);
    /* a run may overwrite its inputs */
    memset(inputs->values, 0x55, FAKE_VALUES_BYTES);
    return 0;
}
