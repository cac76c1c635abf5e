"""A trained float model to a trained quantized one."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import fx, nn

from ..transform.vq_config import VirtualQuantizeConfig, requested_quantization
from .convert import quantize_model
from .loop import Augment, Samples, Schedule, fit

CALIBRATION_SAMPLES = 256
"""Inputs that quantizers begin at."""


def train_quantized(
    model: nn.Module,
    data: Samples,
    schedule: Schedule | None = None,
    *,
    bits: int | None = None,
    levels: int | None = None,
    vq: VirtualQuantizeConfig | str | Path | None = None,
    input_scale: float | None = None,
    augment: Augment | None = None,
    checkpoint: str | Path | None = None,
    title: str = "training",
) -> fx.GraphModule:
    """The model with quantizers, trained further on `data` with itself as the teacher.

    `model` is a float classifier that is trained already; it stays as it is. One of `bits` (2 to
    8), `levels` (3 to 256) and `vq` (a configuration or its JSON file, layers by their modules'
    names) gives the weights' levels, 256 by default; activations have 8 bits. `input_scale` fixes
    the step of the input. The rest is as `fit` has it. Raises UsageError or ModelError before
    anything is trained.
    """
    config = requested_quantization(bits, levels, vq) or VirtualQuantizeConfig()
    teacher = copy.deepcopy(model).eval()
    first = data.x[:CALIBRATION_SAMPLES]
    quantized = quantize_model(teacher, config, first, input_scale=input_scale)
    fit(
        quantized,
        data,
        schedule or Schedule(),
        augment=augment,
        teacher=teacher,
        checkpoint=checkpoint,
        title=title,
    )
    return quantized
