"""One comparison: a model file, a reference, and optionally a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..build import build_folded
from ..compat import IRModule, kept_attrs
from ..errors import UsageError, naming
from ..frontend import load
from ..op.rounding import Rounding
from ..samples import Sample, load_samples, random_samples
from ..target import DEFAULT_TARGET, Board
from ..transform.fold_float import Floats
from ..transform.pipeline import INTEGERS, fold_pipeline
from ..transform.rewriting import bindings_of
from .differences import Difference, compare
from .on_device import first_wrong_layer
from .own import OwnLayer, OwnModel, own_model
from .references import (
    ROUNDINGS,
    Tensors,
    choose_runtime,
    computed_tensors,
    read_tensors,
    run_runtime,
)

NPZ = ".npz"


@dataclass(frozen=True)
class Row:
    """A layer beside the reference's: `difference` is None where the reference has no such tensor.
    `merged` says that the build has no layer of that name: it is part of another, or of none."""

    layer: OwnLayer
    difference: Difference | None
    merged: bool
    constant_channels: int
    """That the build has removed, as no input changes them."""


@dataclass(frozen=True)
class DeviceCheck:
    """Whether the generated code gives the same outputs on a board, and the first layer that does
    not; None where each layer by itself is right."""

    board: str
    exact: bool
    first: str | None


@dataclass(frozen=True)
class LayerDiff:
    """The whole comparison. `inside` names what the file computes and no layer ends with: it is
    fused into a layer."""

    reference: str
    rounding: Rounding
    samples: int
    rows: tuple[Row, ...]
    inside: tuple[str, ...]
    device: DeviceCheck | None

    @property
    def first(self) -> Row | None:
        """The first layer that differs."""
        return next((row for row in self.rows if row.difference and row.difference.differing), None)

    @property
    def compared(self) -> int:
        """How many layers the reference has too."""
        return sum(row.difference is not None for row in self.rows)

    @property
    def equal(self) -> bool:
        """Whether no layer differs, nor the device."""
        return self.first is None and (self.device is None or self.device.exact)


@dataclass(frozen=True)
class Question:
    """What is compared. `rounding` None is the one that equals the reference; `reference` a
    runtime's name, a `.npz` file, or None: the first runtime for the kind of file."""

    model: Path
    reference: str | None = None
    rounding: Rounding | None = None
    floats: Floats = INTEGERS
    board: Board | None = None
    input_file: Path | None = None
    count: int | None = None
    seed: int = 1
    timeout_seconds: float = 120.0


def layer_diff(question: Question, say: Callable[[str], None] = lambda _what: None) -> LayerDiff:
    """Runs the model's layers here, by the exact reference, and by the reference that is asked for;
    with a board also the generated code. `say` is told what is being done."""
    if question.model.is_dir():
        raise UsageError(f"{question.model}: is compiled; layer-diff needs the model's own file")
    if question.input_file is not None and question.count is not None:
        raise UsageError("--input and --random exclude each other")
    module = load(question.model)
    asked = question.reference
    file = Path(asked) if asked is not None and asked.endswith(NPZ) else None
    runtime = None if file else choose_runtime(question.model, asked)
    rounding: Any = question.rounding or (ROUNDINGS[runtime] if runtime else "single")
    with naming(question.model):
        own = own_model(module, rounding, question.floats)
        folded = fold_pipeline(rounding, None, question.floats)(module)
    samples = _samples(question, own)
    if file is not None:
        if question.input_file is None:
            raise UsageError(f"--reference {file} needs --input, what its tensors were made from")
        tensors = read_tensors(file, len(samples))
    else:
        assert runtime is not None
        say(f"{runtime}: {len(samples)} samples")
        tensors = run_runtime(runtime, question.model, own, samples)
    say("the exact reference")
    values = [own.run(sample) for sample in samples]
    rows = _rows(own, folded, [layers for layers, _ in values], tensors)
    if not any(row.difference for row in rows):
        raise UsageError(
            f"{file or runtime}: has no tensor of any layer; layers are "
            + ", ".join(layer.tensor or layer.name for layer in own.layers[:3])
            + ", …"
        )
    ends = {row.layer.tensor for row in rows}
    inside = tuple(name for name in computed_tensors(question.model) if name not in ends)
    device = None
    if question.board is not None:
        say(f"on {question.board.name}")
        device = _check_device(question, folded, samples, [outputs for _, outputs in values])
    reference = str(file or runtime)
    return LayerDiff(reference, rounding, len(samples), rows, inside, device)


def _samples(question: Question, own: OwnModel) -> list[Sample]:
    if question.input_file is not None:
        return load_samples(question.input_file, own.inputs)
    return random_samples(own.inputs, question.count or 1, question.seed)


def _rows(
    own: OwnModel, folded: IRModule, values: Sequence[Sequence[Any]], tensors: Sequence[Tensors]
) -> tuple[Row, ...]:
    built = {str(var.name) for var, _ in bindings_of(folded["main"])}
    removed = kept_attrs(folded["main"]).get("vq.removed", {}).get("layers", {})
    rows = []
    for number, layer in enumerate(own.layers):
        keys = [k for k in (layer.tensor, layer.name) if k and all(k in t for t in tensors)]
        difference = None
        if keys:
            others = [each[keys[0]] for each in tensors]
            difference = compare(layer, [each[number] for each in values], others)
        lost = int(removed.get(layer.name, {}).get("removed", 0))
        rows.append(Row(layer, difference, layer.name not in built, lost))
    return tuple(rows)


def _check_device(
    question: Question, folded: IRModule, samples: Sequence[Sample], want: Sequence[Any]
) -> DeviceCheck:
    board = question.board
    assert board is not None
    target = DEFAULT_TARGET
    if board.emulation != "host":
        target = f"{DEFAULT_TARGET}/{board.core.name}"
    seconds = question.timeout_seconds
    result = build_folded(folded, target).run(samples, board, timeout_seconds=seconds)
    pairs = zip(result.outputs, want, strict=True)
    exact = all(np.array_equal(a, b) for got, own in pairs for a, b in zip(got, own, strict=True))
    if exact:
        return DeviceCheck(board.name, True, None)
    return DeviceCheck(
        board.name, False, first_wrong_layer(folded, target, board, samples, seconds)
    )
