/* Functions of real numbers for layers that stay in float32: sums, products and quotients alone, so
 * that every machine with IEEE 754 arithmetic gives the same bits. Polynomials after Cephes (exp,
 * log, tanh) and after Abramowitz and Stegun 7.1.26 (erf, to 5e-7); the others are good to some
 * units in the last place. What is not a number stays so. */
#ifndef VQ_FLOAT_H
#define VQ_FLOAT_H

#include <math.h> /* INFINITY and NAN alone */
#include <stdint.h>
#include <string.h>

#include "vq_inline.h"

static inline float vq_float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t vq_bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float vq_fabs_f32(float x) {
    return vq_float_of_bits(vq_bits_of_float(x) & UINT32_C(0x7fffffff));
}

static inline float vq_floor_f32(float x) {
    if (!(vq_fabs_f32(x) < 8388608.0f)) {
        return x;
    }
    const float whole = (float)(int32_t)x;
    return whole > x ? whole - 1.0f : whole;
}

/* 2^n * p(r) with x = n * ln 2 + r; 0 and the largest numbers beyond float32's range. */
static inline float vq_exp_f32(float x) {
    if (!(x > -87.0f)) {
        return x == x ? 0.0f : x;
    }
    const float bounded = x < 88.0f ? x : 88.0f;
    const int32_t n = vq_round_f32(bounded * 1.44269504f);
    float r = bounded - (float)n * 0.693359375f;
    r = r - (float)n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * vq_float_of_bits((uint32_t)(n + 127) << 23);
}

/* n * ln 2 + log m for x = 2^n * m with m in [sqrt 1/2, sqrt 2); of normal numbers above 0, and of
 * infinity; else what is not a number. */
static inline float vq_log_f32(float x) {
    const uint32_t bits = vq_bits_of_float(x);
    if (!(x >= 1.17549435e-38f)) {
        return NAN;
    }
    if (x > 3.40282347e+38f) {
        return x;
    }
    int32_t n = (int32_t)(bits >> 23) - 126;
    float m = vq_float_of_bits((bits & UINT32_C(0x007fffff)) | UINT32_C(0x3f000000));
    if (m < 0.707106781f) {
        n = n - 1;
        m = m + m - 1.0f;
    } else {
        m = m - 1.0f;
    }
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float y = m * z * p;
    y = y + (float)n * -2.12194440e-4f - 0.5f * z;
    return m + y + (float)n * 0.693359375f;
}

/* Products of x for a whole y, else exp(y log x), which is no number for an x below 0. A y of 2^24
 * or more is even. */
static inline float vq_pow_f32(float x, float y) {
    const float whole = vq_fabs_f32(y);
    if (whole < 16777216.0f && vq_floor_f32(whole) == whole) {
        float power = 1.0f;
        for (uint32_t bits = (uint32_t)whole; bits != 0; bits >>= 1) {
            power = (bits & 1u) != 0 ? power * x : power;
            x = x * x;
        }
        return y < 0.0f ? 1.0f / power : power;
    }
    if (x == 0.0f) {
        return y > 0.0f ? 0.0f : y < 0.0f ? INFINITY : y;
    }
    return vq_exp_f32(y * vq_log_f32(whole < 16777216.0f ? x : vq_fabs_f32(x)));
}

static inline float vq_tanh_f32(float x) {
    const float a = vq_fabs_f32(x);
    if (a < 0.625f) {
        const float z = x * x;
        float p = -5.70498872745e-3f;
        p = p * z + 2.06390887954e-2f;
        p = p * z - 5.37397155531e-2f;
        p = p * z + 1.33314422036e-1f;
        p = p * z - 3.33332819422e-1f;
        return p * z * x + x;
    }
    const float y = 1.0f - 2.0f / (vq_exp_f32(a + a) + 1.0f);
    return x < 0.0f ? -y : y;
}

static inline float vq_erf_f32(float x) {
    const float a = vq_fabs_f32(x);
    const float t = 1.0f / (1.0f + 0.3275911f * a);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const float y = 1.0f - p * t * vq_exp_f32(-(a * a));
    return x < 0.0f ? -y : y;
}

/* Newton's steps from a guess that halves the exponent; of normal numbers, 0 below them. */
static inline float vq_sqrt_f32(float x) {
    if (!(x >= 1.17549435e-38f)) {
        return x < 0.0f ? NAN : x == x ? 0.0f : x;
    }
    if (x > 3.40282347e+38f) {
        return x;
    }
    float y = vq_float_of_bits((vq_bits_of_float(x) >> 1) + UINT32_C(0x1fbd1df5));
    y = 0.5f * (y + x / y);
    y = 0.5f * (y + x / y);
    y = 0.5f * (y + x / y);
    return y;
}

#endif
