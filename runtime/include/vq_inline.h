/* Arithmetic that generated code is written in: pure, branch-free where the core can. */
#ifndef VQ_INLINE_H
#define VQ_INLINE_H

#include <stdint.h>

static inline int32_t vq_min_s32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t vq_max_s32(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int64_t vq_min_s64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vq_max_s64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline float vq_min_f32(float a, float b) { return a < b ? a : b; }
static inline float vq_max_f32(float a, float b) { return a > b ? a : b; }

/* To nearest, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves no bits for the fraction, so
 * the addition itself rounds. Wrong under -ffast-math. */
static inline int32_t vq_round_f32(float v)
{
    const float magic = 12582912.0f;
    return (int32_t)((v + magic) - magic);
}

#endif
