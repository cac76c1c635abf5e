"""What tests of the kernels for cores without the DSP extension share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from one_layer import routines

from vq_cortexm.build import build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.samples import random_samples

TARGETS = (
    ("cortex-m3", "host"),
    ("cortex-m3", "mps2-an385"),
    ("cortex-m0", "host"),
    ("cortex-m0", "microbit"),
)
"""(core, board): on the host the twins run, on a board the assembly."""


def draw_quantization(rng: np.random.Generator, x_dtype: str) -> dict[str, Any]:
    """Attributes of a layer that requantizes; clamped to less than its type in 3 of 10."""
    y_dtype = str(rng.choice(["int8", "uint8"]))
    x_info, y_info = np.iinfo(x_dtype), np.iinfo(y_dtype)
    margin = 30 if rng.random() < 0.3 else 0
    return {
        "x_scale": float(np.float32(rng.uniform(0.01, 0.1))),
        "x_zero_point": int(rng.integers(x_info.min, x_info.max + 1)),
        "y_scale": float(np.float32(rng.uniform(0.05, 0.3))),
        "y_zero_point": int(rng.integers(y_info.min, y_info.max + 1)),
        "y_min": y_info.min + margin,
        "y_max": y_info.max - margin,
        "y_dtype": y_dtype,
        "rounding": "single",
    }


def draw_constants(
    rng: np.random.Generator, shape: tuple[int, ...], channels: int, shared: bool = False
) -> list[Any]:
    """Weights, biases, scales; with `shared` one scale for all channels."""
    weight = rng.integers(-127, 128, shape).astype(np.int8)
    bias = rng.integers(-3000, 3000, channels).astype(np.int32)
    scale = rng.uniform(0.2, 1.0, channels) / (20 * np.sqrt(weight.size / channels))
    scale = scale[:1].repeat(channels) if shared else scale
    return [weight, bias, scale.astype(np.float32)]


def check(
    module: Any,
    core: str,
    board: str,
    seed: int,
    families: list[str],
    samples: list[Any] | None = None,
) -> CompiledModel:
    """Compiles for `core`, checks that these routines are used and that `board` is exact; on
    samples of `seed` unless there are others."""
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    compiled = build_folded(module, f"vq-cortexm/{core}", io=io, name="layer")
    assert routines(compiled) == families
    samples = samples or random_samples(compiled.program.inputs, 3, seed)
    assert compiled.run(samples, board, check=True, poison=True).bit_exact
    return compiled
