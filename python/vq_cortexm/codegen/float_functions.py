"""The functions of real numbers that C code calls in place of the C library's."""

from __future__ import annotations

import math

HEADER = "vq_float.h"
"""Of the runtime; only models with layers that stay in float32 include it."""

FLOAT_FUNCTIONS = {
    "tirx.fabs": "vq_fabs_f32",
    "erff": "vq_erf_f32",
    "expf": "vq_exp_f32",
    "floorf": "vq_floor_f32",
    "logf": "vq_log_f32",
    "powf": "vq_pow_f32",
    "sqrtf": "vq_sqrt_f32",
    "tanhf": "vq_tanh_f32",
}
"""By TIR's intrinsic, or the C library's name that TVM lowers it to."""


def float_literal(value: float) -> str:
    """A float32 in C, to the bit; INFINITY and NAN are of `<math.h>`, which the header includes."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value.hex()}f"
