/* What the generic firmware needs to know of a model; the generated vq_app.c says it. */
#ifndef VQ_APP_H
#define VQ_APP_H

#include <stdint.h>

/* One input or output of the model. */
struct vq_tensor {
    void *data;
    uint32_t bytes;
};

struct vq_app {
    const char *name;
    const struct vq_tensor *inputs;
    uint32_t input_count;
    const struct vq_tensor *outputs;
    uint32_t output_count;
    /* One inference from inputs to outputs; may overwrite the inputs. Returns 0 if all is well. */
    int32_t (*run)(void);
    /* Of a model with two paths, else NULL: the one that the last inference took, 0 or 1; ... */
    int32_t (*path)(void);
    /* ... and what it decides by: thresholds below the count can be set, and 0 is returned. */
    uint32_t threshold_count;
    int32_t (*get_threshold)(uint32_t index, int32_t *threshold);
    int32_t (*set_threshold)(uint32_t index, int32_t threshold);
    /* Of a firmware that runs by itself: one sample, the bytes of all inputs, in order, without
     * gaps. */
    const uint8_t *sample;
    /* Of one that is driven over the link: a sample that is written to; ... */
    uint8_t *staged;
    /* ... the cycles of each layer, 0 of those that did not run; ... */
    uint32_t *layer_cycles;
    uint32_t layer_count;
    /* ... and the first bytes of the SHA-256 over the model's sources. */
    const uint8_t *fingerprint;
};

enum { VQ_FINGERPRINT_BYTES = 8 };

/* The descriptor, with all pointers filled in. It stays valid for good. */
const struct vq_app *vq_app_open(void);

#endif
