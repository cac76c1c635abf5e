#include <string.h>

#include "fake.h"
#include "fake_layers.h"

#define FAKE_ARENA_BYTES 48

/* As in a generated model. */
#if defined(VQ_PROFILE)
void vq_step_done(uint32_t step);
#else
#define vq_step_done(step) ((void)0)
#endif

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
        vq_step_done(0);
        break;
    case FAKE_STACK_OVERFLOW:
        fake_use_stack(5000);
        break;
    case FAKE_RECURSION:
        return (int32_t)fake_recurse(1);
    default:
        break;
    }
    fake_scale(inputs->values, inputs->command[1], outputs->result);
    vq_step_done(1);
    /* a run may overwrite its inputs */
    memset(inputs->values, 0x55, FAKE_VALUES_BYTES);
    return 0;
}

/* --- of a model with two paths; else nobody asks --- */

static int32_t thresholds[FAKE_THRESHOLDS] = {-3, 70000};

int32_t tvmgen_fake_path(void) { return thresholds[0] > 0; }

int32_t tvmgen_fake_get_threshold(uint32_t index, int32_t *threshold) {
    if (index >= FAKE_THRESHOLDS) {
        return -1;
    }
    *threshold = thresholds[index];
    return 0;
}

int32_t tvmgen_fake_set_threshold(uint32_t index, int32_t threshold) {
    if (index >= FAKE_THRESHOLDS) {
        return -1;
    }
    thresholds[index] = threshold;
    return 0;
}
