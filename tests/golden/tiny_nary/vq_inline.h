/* Arithmetic that generated code is written in: pure, branch-free where the core can. */
#ifndef VQ_INLINE_H
#define VQ_INLINE_H

#include <stdint.h>
#include <string.h>

/* Between places that do not overlap. */
static inline void vq_copy(void *to, const void *from, int32_t bytes) {
    memcpy(to, from, (size_t)bytes);
}

static inline int32_t vq_min_s32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t vq_max_s32(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int64_t vq_min_s64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vq_max_s64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline float vq_min_f32(float a, float b) { return a < b ? a : b; }
static inline float vq_max_f32(float a, float b) { return a > b ? a : b; }

/* The upper word of the 64-bit product, rounded towards minus infinity. */
static inline int32_t vq_high_product_s32(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b) >> 32);
}

/* gemmlowp's saturating rounding doubling high multiply; not for a = b = INT32_MIN. */
static inline int32_t vq_doubling_high_product_s32(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* v / 2^exponent to nearest, halves away from zero; exponent in [0, 30]. */
static inline int32_t vq_divide_by_power_s32(int32_t v, int32_t exponent) {
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1);
    const int32_t threshold = (mask >> 1) + (v < 0);
    return (v >> exponent) + ((v & mask) > threshold);
}

static inline int32_t vq_leading_zeros_s32(int32_t v) { return __builtin_clz((uint32_t)v); }

/* To nearest, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves no bits for the fraction, so
 * the addition itself rounds. Wrong under -ffast-math. */
static inline int32_t vq_round_f32(float v) {
    const float magic = 12582912.0f;
    return (int32_t)((v + magic) - magic);
}

#endif
