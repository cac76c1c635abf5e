/* Cycles of each layer of an inference, by way of the hook in the generated code. */
#ifndef VQ_RPC_LAYERS_H
#define VQ_RPC_LAYERS_H

#include "vq/app.h"

/* An inference begins now: no layer has run yet. */
void vq_layers_begin(const struct vq_app *app);

/* The generated code calls it after each step that ran, if built with VQ_PROFILE. */
void vq_step_done(uint32_t step);

#endif
