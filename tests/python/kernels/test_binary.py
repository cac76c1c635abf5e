"""Binary layers: twins on the host and assembly in the emulator equal the NumPy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from binary_layers import BinaryLayer
from one_layer import one_layer_module, routines

from vq_cortexm.build import build_folded
from vq_cortexm.op.binary_max_pool2d import BinaryMaxPool2dAttrs
from vq_cortexm.op.binary_pack import BinaryPackAttrs
from vq_cortexm.op.binary_unpack import BinaryUnpackAttrs
from vq_cortexm.op.bits import pack

BOARDS = {"cortex-m0": "microbit", "cortex-m3": "mps2-an385", "cortex-m4": "mps2-an386"}
ALL_AROUND = (1, 1, 1, 1)
TIES = BinaryLayer((4, 4), 64, 45, 2, y_dtype="int8", rounding="float", ratio=0.25)
"""Halves go to even numbers, which no line does."""
LAYERS = [
    BinaryLayer((5, 4), 64, 64, 3, padding=ALL_AROUND),
    BinaryLayer((5, 4), 64, 33, 3, padding=ALL_AROUND, pad_value=1),
    BinaryLayer((6, 7), 40, 64, 3, 2, (0, 1, 1, 0), 0),
    BinaryLayer((3, 3), 32, 96, 1, batch=2),
    BinaryLayer((3, 3), 40, 40, 1),
    BinaryLayer((4, 4), 96, 32, 1, 2),
    BinaryLayer((3, 3), 33, 64, 5, padding=(2, 2, 2, 2), pad_value=0),
    BinaryLayer((1, 1), 300, 10, 1),
    BinaryLayer((2, 2), 1792, 3, 1),
    BinaryLayer((5, 5), 64, 64, 3, padding=ALL_AROUND, pad_value=0, y_dtype="int8"),
    BinaryLayer((4, 5), 64, 50, 3, padding=ALL_AROUND, pad_value=1, y_dtype="uint8"),
    BinaryLayer((4, 4), 20, 35, 2, y_dtype="int8", rounding="double"),
    BinaryLayer((1, 1), 512, 10, 1, y_dtype="int8", rounding="float"),
    BinaryLayer((6, 6), 70, 6, 3, 3, y_dtype="int8"),
    TIES,
    BinaryLayer((3, 3), 64, 70, 1, y_dtype="int8", clamp=(0, 127)),
    BinaryLayer((1, 1), 1824, 3, 1, y_dtype="uint8", clamp=(0, 255)),
    BinaryLayer((3, 3), 64, 37, 3, padding=ALL_AROUND, y_dtype="int8", clamp=(-128, 127)),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_on_the_host_equals_the_reference(layer: BinaryLayer) -> None:
    compiled = build_folded(layer.module())
    assert compiled.run(layer.samples(8), "host", check=True).bit_exact


@pytest.mark.parametrize("layer", LAYERS[1::4])
def test_layer_reads_and_writes_nothing_else(layer: BinaryLayer) -> None:
    compiled = build_folded(layer.module())
    assert compiled.run(layer.samples(3), "host", check=True, poison=True).bit_exact


@pytest.mark.parametrize("core", list(BOARDS))
@pytest.mark.parametrize("layer", LAYERS[::3] + LAYERS[-4:])
def test_layer_on_a_core_equals_the_reference(layer: BinaryLayer, core: str) -> None:
    compiled = build_folded(layer.module(), f"vq-cortexm/{core}")
    assert compiled.run(layer.samples(3), BOARDS[core], check=True).bit_exact


@pytest.mark.parametrize("board", ["host", *BOARDS.values()])
@pytest.mark.parametrize(
    "layer",
    [
        BinaryLayer((3, 3), 32, 32, 1, padding=ALL_AROUND),
        BinaryLayer((3, 4), 40, 33, 2, padding=(0, 3, 5, 2), pad_value=0),
        BinaryLayer((3, 3), 33, 6, 2, padding=(2, 0, 0, 0), y_dtype="int8"),
        BinaryLayer((4, 3), 32, 64, 1, 2, (0, 1, 0, 2), pad_value=1),
    ],
)
def test_windows_that_see_nothing_but_padding(layer: BinaryLayer, board: str) -> None:
    core = {name: core for core, name in BOARDS.items()}.get(board)
    compiled = build_folded(layer.module(), f"vq-cortexm/{core}" if core else "vq-cortexm")
    assert compiled.run(layer.samples(3), board, check=True, poison=True).bit_exact


@pytest.mark.parametrize(
    "layer",
    [
        BinaryLayer((1, 1), 32, 32, 3, padding=ALL_AROUND),
        BinaryLayer((1, 5), 32, 32, 3, padding=ALL_AROUND),
        BinaryLayer((5, 5), 32, 32, 3, padding=(1, 0, 1, 0)),
        BinaryLayer((5, 3), 32, 6, 3, padding=(0, 1, 0, 0), y_dtype="int8"),
    ],
    ids=["one pixel", "one row", "rows", "columns"],
)
def test_padding_of_a_lone_pixel_or_of_one_axis(layer: BinaryLayer) -> None:
    """Conditions that hold for all pixels or for none."""
    compiled = build_folded(layer.module())
    assert compiled.run(layer.samples(3), "host", check=True).bit_exact


def test_few_outputs_are_counted_by_trees_and_many_by_vertical_counters() -> None:
    few = build_folded(BinaryLayer((1, 1), 512, 10, 1).module())
    many = build_folded(BinaryLayer((1, 1), 512, 64, 1).module())
    assert "binary_horizontal" in routines(few)
    assert "binary_vertical" in routines(many)


def test_bytes_come_from_a_routine_where_a_line_is_exact() -> None:
    assert "binary_bytes" in routines(build_folded(LAYERS[-1].module()))
    without = routines(build_folded(TIES.module()))
    assert "binary_vertical" in without
    assert "binary_bytes" not in without


@pytest.mark.parametrize("window_words", [1, 4, 8, 20, 40, 70, 130])
def test_counts_of_any_width_become_bytes(window_words: int) -> None:
    layer = BinaryLayer((1, 1), 32 * window_words, 64, 1, y_dtype="int8", clamp=(-128, 127))
    compiled = build_folded(layer.module())
    assert "binary_bytes" in routines(compiled)
    assert compiled.run(layer.samples(4), "mps2-an386", check=True).bit_exact


LIMITS = [
    (BinaryLayer((8, 8), 64, 64, 3, padding=ALL_AROUND), 0.27),
    (BinaryLayer((8, 8), 64, 64, 1), 0.285),
    (BinaryLayer((8, 8), 64, 128, 1), 0.27),
    (BinaryLayer((1, 1), 1024, 64, 1), 0.30),
    (BinaryLayer((8, 8), 32, 32, 3, padding=ALL_AROUND), 0.29),
    (BinaryLayer((8, 8), 32, 32, 1), 0.37),
    (BinaryLayer((8, 8), 64, 64, 3, padding=ALL_AROUND, y_dtype="int8", clamp=(0, 127)), 0.29),
]


@pytest.mark.parametrize(("layer", "cycles_per_mac"), LIMITS)
def test_modelled_cycles_stay_below(layer: BinaryLayer, cycles_per_mac: float) -> None:
    compiled = build_folded(layer.module())
    run = compiled.run(layer.samples(3)[2:], "mps2-an386", check=True)
    assert run.bit_exact and run.cycles
    assert run.cycles / compiled.report["macs"] < cycles_per_mac


def moves(channels: int) -> list[tuple[Any, Any]]:
    """Packing, unpacking and pooling: a module and an input."""
    rng = np.random.default_rng(channels)
    shape = (2, 5, 6, channels)
    signed = rng.integers(-128, 128, shape).astype(np.int8)
    packed = pack(signed >= 0)
    pool = BinaryMaxPool2dAttrs(channels, (2, 3), (2, 1), (1, 0, 0, 2))
    return [
        (one_layer_module("binary_pack", shape, "int8", [], BinaryPackAttrs()), signed),
        (
            one_layer_module(
                "binary_unpack", packed.shape, "int32", [], BinaryUnpackAttrs(channels)
            ),
            packed,
        ),
        (one_layer_module("binary_max_pool2d", packed.shape, "int32", [], pool), packed),
    ]


@pytest.mark.parametrize("channels", [1, 30, 32, 39, 64])
@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_moves_equal_the_reference(channels: int, board: str) -> None:
    for module, x in moves(channels):
        assert build_folded(module).run([[x]], board, check=True).bit_exact


def test_many_signs_are_packed_on_a_core() -> None:
    """Code for all words of a pixel that are no multiple of 32 channels: no pool lies near."""
    x = np.random.default_rng(1).integers(-128, 128, (2, 1, 3, 980)).astype(np.int8)
    module = one_layer_module("binary_pack", x.shape, "int8", [], BinaryPackAttrs())
    compiled = build_folded(module, "vq-cortexm/cortex-m3")
    assert compiled.run([[x]], BOARDS["cortex-m3"], check=True).bit_exact


@pytest.mark.parametrize(
    "layer",
    [BinaryLayer((4, 201), 192, 33, 3), BinaryLayer((3, 2), 8200, 33, 2)],
    ids=["rows of the input", "rows of the window"],
)
def test_rows_that_are_no_immediate_apart(layer: BinaryLayer) -> None:
    """4824 bytes, 4112 with a word for each slice."""
    compiled = build_folded(layer.module(), "vq-cortexm/cortex-m3")
    assert "binary_window" in routines(compiled)
    assert compiled.run(layer.samples(3), BOARDS["cortex-m3"], check=True).bit_exact
