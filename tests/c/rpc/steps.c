/* Four steps of a model whose app tells of fewer. */
#include "../../../runtime/rpc/cycles.h"
#include "../../../runtime/rpc/layers.h"

enum { STEPS = 4, UNTOUCHED = 99 };

uint32_t steps_cycles[STEPS];

static uint32_t cycles;

/* Each look takes a cycle. */
uint32_t vq_cycles(void) { return ++cycles; }

void steps_run(uint32_t told) {
    const struct vq_app app = {.layer_cycles = steps_cycles, .layer_count = (uint16_t)told};
    for (uint32_t i = 0; i < STEPS; ++i) {
        steps_cycles[i] = UNTOUCHED;
    }
    vq_layers_begin(&app);
    for (uint32_t i = 0; i < STEPS; ++i) {
        vq_step_done(i);
    }
}
