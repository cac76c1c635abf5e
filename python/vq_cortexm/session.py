"""What the command line's verbs share: a model file or folder to a compiled model and samples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import target as targets
from .bcnet import Policy, compose
from .build import build, build_folded
from .c_names import c_identifier
from .compiled_model import METADATA_FILE, MODULE_FILE, CompiledModel, Sample
from .errors import ModelError, UsageError, naming
from .files import digest
from .frontend import load
from .module_file import MODULE_CHECKSUM, load_module_file
from .op.bc_net import ALWAYS_ESCALATE, NEVER_ESCALATE
from .run_result import RunResult
from .samples import load_samples, random_samples
from .target import Board
from .transform.lower_to_tir import DEFAULT_OBJECTIVE
from .transform.virtual_quantize import virtual_quantization
from .transform.vq_config import requested_quantization

ROUNDING = "vq.rounding"
"""The attribute of folded modules."""


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
    db: Path | None = None,
    float_io: bool = False,
    allow_float: bool = False,
) -> tuple[CompiledModel, Board | None]:
    """Builds a model file, or a folder that `compile` made, for a target or a board's core. A
    folder's model keeps its name, a file's is named after the file."""
    target, chosen = _target(target, board)
    quantization = requested_quantization(bits, levels, vq)
    if name is None:
        own = model.stem if model.is_file() else _kept_name(model) or model.resolve().name
        name = c_identifier(own, "model")
    if model.is_dir():
        folded = load_folder(model)
        kept = str(folded["main"].attrs[ROUNDING])
        if rounding not in (None, kept):
            raise UsageError(
                f"{model} is compiled with rounding {kept}; --rounding {rounding} needs the model"
            )
        if quantization is not None and quantization.to_json() != virtual_quantization(folded):
            raise UsageError(f"{model} is compiled; --bits, --levels and --vq need the model")
        if float_io or allow_float:
            raise UsageError(f"{model} is compiled; --float-io and --allow-float need the model")
        how = {"io": io, "objective": objective, "db": db, "name": name}
        with naming(model):
            return build_folded(folded, target, **how), chosen
    with naming(model):
        built = build(
            load(model),
            target,
            rounding=rounding or "single",
            io=io,
            objective=objective or DEFAULT_OBJECTIVE,
            db=db,
            name=name,
            vq=quantization,
            float_io=float_io,
            allow_float=allow_float,
        )
    return built, chosen


def compose_models(
    fast: Path,
    accurate: Path,
    policy: Policy,
    *,
    target: str | None = None,
    board: str | None = None,
    rounding: Any = None,
    io: Any = "arena",
    name: str,
    objective: Any = None,
    db: Path | None = None,
) -> tuple[CompiledModel, Board | None]:
    """Builds two model files or compiled folders as one model. A folder keeps its rounding, which
    the other net has then too."""
    target, chosen = _target(target, board)
    nets = [load_folder(net) if net.is_dir() else load(net) for net in (fast, accurate)]
    attrs = [net["main"].attrs or {} for net in nets]
    kept = [str(own[ROUNDING]) for own in attrs if ROUNDING in own]
    every: Any = rounding or next(iter(kept), "single")
    module = compose(nets[0], nets[1], policy, rounding=every)
    composed_with = str(module["main"].attrs[ROUNDING])
    if rounding not in (None, composed_with):
        raise UsageError(
            f"both nets are compiled with rounding {composed_with}; --rounding {rounding} needs "
            "the models"
        )
    built = build_folded(
        module,
        target,
        io=io,
        objective=objective or DEFAULT_OBJECTIVE,
        db=db,
        name=c_identifier(name, "model"),
    )
    return built, chosen


def profile_paths(
    compiled: CompiledModel, samples: Sequence[Sample], board: Board, **how: Any
) -> RunResult:
    """`run`; of two nets on each path, with the figures of the accurate one, the longest. How often
    each is taken is not asked here, so there are no means."""
    if compiled.program.branch is None:
        return compiled.run(samples, board, **how)
    fast, accurate = (
        compiled.run(samples, board, thresholds=[threshold], **how)
        for threshold in (NEVER_ESCALATE, ALWAYS_ESCALATE)
    )
    return replace(
        accurate,
        paths=(*fast.paths, *accurate.paths),
        path_cycles={**fast.path_cycles, **accurate.path_cycles},
        inference_cycles=(),
    )


def _target(target: str | None, board: str | None) -> tuple[str, Board | None]:
    """The target, by default of the board's core, and the board."""
    chosen = targets.board_by_name(board) if board else None
    if target is None and chosen is not None and chosen.emulation != "host":
        target = f"{targets.DEFAULT_TARGET}/{chosen.core.name}"
    return target or targets.DEFAULT_TARGET, chosen


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


def _kept_name(folder: Path) -> str | None:
    """The model's name in a folder that `compile` or `compose` made; None where there is none."""
    name = _metadata(folder).get("model")
    return None if name is None else str(name)


def _metadata(folder: Path) -> dict[str, Any]:
    """What a folder says of its model; {} where that cannot be read."""
    try:
        found = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def load_folder(folder: Path) -> Any:
    """The folded module of a folder that `compile` or `compose` made; ModelError if it is none, or
    if its module is not the one that was written there."""
    path = folder / MODULE_FILE
    damaged = ModelError(f"{path}: damaged; compile the model again")
    try:
        text = path.read_bytes().decode()
    except OSError:
        raise ModelError(
            f"{folder}: no {MODULE_FILE} in it; folders that `vq-cortexm compile` made work"
        ) from None
    except UnicodeDecodeError:
        raise damaged from None
    # folders of earlier versions have no checksum
    if _metadata(folder).get(MODULE_CHECKSUM) not in (None, digest(text)):
        raise ModelError(
            f"{path}: damaged, its checksum is not that in {METADATA_FILE}; compile the model again"
        )
    try:
        folded = load_module_file(text)
        folded["main"].attrs[ROUNDING]
    except Exception as error:
        raise damaged from error
    return folded
