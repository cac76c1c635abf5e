#include "layers.h"

#include <string.h>

#include "cycles.h"

static uint32_t *layer_cycles;
static uint32_t layer_count;
static uint32_t step_start;

void vq_layers_begin(const struct vq_app *app) {
    layer_cycles = app->layer_cycles;
    layer_count = app->layer_count;
    memset(layer_cycles, 0, layer_count * sizeof *layer_cycles);
    step_start = vq_cycles();
}

void vq_step_done(uint32_t step) {
    const uint32_t now = vq_cycles();
    /* what the app says of a model may be of another one than the code */
    if (step < layer_count) {
        layer_cycles[step] = now - step_start;
    }
    step_start = now;
}
