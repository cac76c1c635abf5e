"""What the command line's verbs share: a model file or folder to a compiled model and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import target as targets
from .build import build, build_folded
from .c_names import c_identifier
from .compat import load_module
from .compiled_model import MODULE_FILE, CompiledModel, Sample
from .errors import ModelError, UsageError
from .frontend import load
from .samples import load_samples, random_samples
from .target import Board
from .transform.lower_to_tir import DEFAULT_OBJECTIVE
from .transform.virtual_quantize import virtual_quantization
from .transform.vq_config import requested_quantization


def compile_model(
    model: Path,
    *,
    target: str | None = None,
    board: str | None = None,
    rounding: Any = None,
    io: Any = "arena",
    name: str | None = None,
    bits: int | None = None,
    levels: int | None = None,
    vq: Path | None = None,
    objective: Any = None,
) -> tuple[CompiledModel, Board | None]:
    """Builds a model file, or a folder that `compile` made, for a target or a board's core."""
    chosen = targets.board_by_name(board) if board else None
    if target is None and chosen is not None and chosen.emulation != "host":
        target = f"{targets.DEFAULT_TARGET}/{chosen.core.name}"
    target = target or targets.DEFAULT_TARGET
    quantization = requested_quantization(bits, levels, vq)
    name = name or c_identifier(model.stem if model.is_file() else model.resolve().name, "model")
    if model.is_dir():
        folded = _load_folder(model)
        kept = str(folded["main"].attrs["vq.rounding"])
        if rounding not in (None, kept):
            raise UsageError(
                f"{model} is compiled with rounding {kept}; --rounding {rounding} needs the model"
            )
        if quantization is not None and quantization.to_json() != virtual_quantization(folded):
            raise UsageError(f"{model} is compiled; --bits, --levels and --vq need the model")
        return build_folded(folded, target, io=io, objective=objective, name=name), chosen
    built = build(
        load(model),
        target,
        rounding=rounding or "single",
        io=io,
        objective=objective or DEFAULT_OBJECTIVE,
        name=name,
        vq=quantization,
    )
    return built, chosen


def choose_samples(
    compiled: CompiledModel, file: Path | None, count: int | None, seed: int
) -> list[Sample]:
    """Samples of `--input` or `--random N --seed S`; one random sample if neither is given."""
    if file is not None and count is not None:
        raise UsageError("--input and --random exclude each other")
    inputs = compiled.program.inputs
    if file is not None:
        return list(load_samples(file, inputs))
    return list(random_samples(inputs, count or 1, seed))


def _load_folder(folder: Path) -> Any:
    path = folder / MODULE_FILE
    try:
        folded = load_module(path.read_text(encoding="utf-8"))
        folded["main"].attrs["vq.rounding"]
    except OSError:
        raise ModelError(
            f"{folder}: no {MODULE_FILE} in it; folders that `vq-cortexm compile` made work"
        ) from None
    except Exception as error:
        raise ModelError(f"{path}: damaged; compile the model again") from error
    return folded
