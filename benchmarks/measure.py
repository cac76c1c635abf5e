"""What our own build of a model takes on the emulated boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vq_cortexm
from models import Model
from peers import Figures, PeerLayer
from vq_cortexm.report.layers import LayerReport
from vq_cortexm.samples import random_samples

BOARD, BOARD_WITHOUT_DSP = "mps2-an386", "mps2-an385"
INFERENCES, SEED = 3, 1

_OPS = {
    "CONV_2D": "conv2d",
    "DW_CONV": "depthwise_conv2d",
    "FC": "dense",
    "ADD": "add",
    "AVG_POOL": "avg_pool2d",
    "SOFTMAX": "softmax",
}
"""Operators as the peers' figures name them → ours."""


@dataclass(frozen=True)
class Measurement:
    """A model on the Cortex-M4 (`figures`, `layers`) and on the Cortex-M3.

    `macs` are the file's, `macs_left` those that remain where channels proved constant are gone.
    `limit_cycles` is the sum of the layers' limits. `bit_exact` says whether every output on both
    boards is the reference's.
    """

    model: Model
    figures: Figures
    macs: int
    macs_left: int
    limit_cycles: int
    layers: tuple[LayerReport, ...]
    instructions_without_dsp: int
    bit_exact: bool


def measure(model: Model, path: Path) -> Measurement:
    """Builds the model at `path` and runs it on random samples."""
    module = vq_cortexm.frontend.load(path)
    compiled = vq_cortexm.build(module, name=model.key)
    samples = random_samples(compiled.program.inputs, INFERENCES, SEED)
    result = compiled.run(samples, BOARD, check=True)
    plain = vq_cortexm.build(module, "vq-cortexm/cortex-m3", name=model.key)
    result_plain = plain.run(samples, BOARD_WITHOUT_DSP, check=True)
    assert result.cycles is not None and result_plain.instructions is not None
    figures = Figures(
        result.cycles,
        result.instructions,
        result.flash["text"],
        result.flash["rodata"],
        result.ram["total"],
        result.ram["stack_peak"],
    )
    return Measurement(
        model,
        figures,
        compiled.program.removed.get("macs_before", compiled.program.macs),
        compiled.program.macs,
        sum(layer.limit_cycles or 0 for layer in result.layers),
        result.layers,
        result_plain.instructions,
        result.bit_exact is True and result_plain.bit_exact is True,
    )


@dataclass(frozen=True)
class LayerPair:
    """A layer of ours beside the peer's; None where it is no layer of its own."""

    index: int
    ours: LayerReport | None
    theirs: PeerLayer | None

    @property
    def op(self) -> str:
        """Our name of the operator."""
        if self.ours:
            return self.ours.op
        return _OPS[self.theirs.op] if self.theirs else ""

    @property
    def our_cycles(self) -> int | None:
        """What our layer takes."""
        return self.ours.cycles if self.ours else None

    @property
    def limit_cycles(self) -> int | None:
        """The bound of our layer."""
        return self.ours.limit_cycles if self.ours else None

    @property
    def their_cycles(self) -> int | None:
        """What the peer's layer takes."""
        return self.theirs.cycles if self.theirs else None

    @property
    def macs(self) -> int:
        """The file's, before channels were removed."""
        if self.theirs:
            return self.theirs.macs
        return self.ours.macs if self.ours else 0


def pair_layers(ours: Sequence[LayerReport], theirs: Sequence[PeerLayer]) -> list[LayerPair]:
    """Layers by their operator's number in the file, with which our names end.

    ValueError: a name without a number, or two operators that differ.
    """
    by_index = {_index(layer): layer for layer in ours}
    pairs = {t.index: LayerPair(t.index, by_index.get(t.index), t) for t in theirs}
    for index, layer in by_index.items():
        pair = pairs.setdefault(index, LayerPair(index, layer, None))
        if pair.theirs and _OPS[pair.theirs.op] != layer.op:
            raise ValueError(f"layer {layer.name} is {layer.op}, theirs is {pair.theirs.op}")
    return [pairs[index] for index in sorted(pairs)]


def _index(layer: LayerReport) -> int:
    number = layer.name.rpartition("_")[2]
    if not number.isdigit():
        raise ValueError(f"layer {layer.name}: no operator's number at its end")
    return int(number)
