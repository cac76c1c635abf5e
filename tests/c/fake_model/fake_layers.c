#include "fake_layers.h"

#include "fake.h"

/* Initialised data of the model, beside the arena. */
int8_t fake_divisor_shift = 2;

void fake_scale(const int8_t *values, int8_t bias, int8_t *result) {
    for (int32_t i = 0; i < FAKE_RESULT_BYTES; ++i) {
        int32_t sum = ((values[i] * fake_weights[i]) >> fake_divisor_shift) + bias;
        sum = sum > 127 ? 127 : sum;
        sum = sum < -128 ? -128 : sum;
        result[i] = (int8_t)sum;
    }
}

uint32_t fake_recurse(uint32_t depth) {
    volatile uint32_t kept = depth;
    return depth == 0 ? 0 : fake_recurse(depth + 1) + kept;
}

void fake_use_stack(uint32_t bytes) {
    volatile uint8_t frame[bytes];
    for (uint32_t i = 0; i < bytes; ++i) {
        frame[i] = (uint8_t)i;
    }
}
