#ifndef FAKE_LAYERS_H
#define FAKE_LAYERS_H

#include <stdint.h>

extern const int8_t fake_weights[];

/* result = saturate(values * weights / 4 rounded down, plus bias) */
void fake_scale(const int8_t *values, int8_t bias, int8_t *result);

/* Calls itself without an end. */
uint32_t fake_recurse(uint32_t depth);

/* Uses `bytes` of stack. */
void fake_use_stack(uint32_t bytes);

#endif
