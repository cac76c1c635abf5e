"""Every operator on every core: what the table in docs/operators.md says is tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binary_layers import BinaryLayer
from drawn.batch import run_batch
from drawn.models import BC_NET, Drawn, draw_model
from one_layer import one_layer_module
from onnx_qdq_net import net_around

from vq_cortexm.build import build_folded
from vq_cortexm.compat import op_name
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.frontend import from_onnx
from vq_cortexm.op.binary_max_pool2d import BinaryMaxPool2dAttrs
from vq_cortexm.op.binary_pack import BinaryPackAttrs
from vq_cortexm.op.binary_unpack import BinaryUnpackAttrs
from vq_cortexm.op.registry import OPS
from vq_cortexm.op.sign_conv2d import SignConv2dAttrs
from vq_cortexm.target import BOARDS
from vq_cortexm.transform import fold_pipeline
from vq_cortexm.transform.composed import nets_of, policy_of
from vq_cortexm.transform.fold_float import Floats
from vq_cortexm.transform.rewriting import bindings_of

TABLE = Path(__file__).parents[3] / "docs" / "operators.md"
BOARD_OF_CORE = {
    "cortex-m0": "microbit",
    "cortex-m3": "mps2-an385",
    "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500",
    "cortex-m33": "mps2-an505",
    "cortex-m55": "mps3-an547",
}
SMALL = 6
"""Edge of a plane: all models fit a Cortex-M0 with 16 KB of RAM, a dozen at a time."""


@dataclass(frozen=True)
class Made:
    """A model of one operator that no file asks for by itself."""

    name: str
    module: Callable[[], Any]
    poison: bool = False
    steps: int | None = None

    def compile(self, identifier: str, target: str) -> CompiledModel:
        return build_folded(self.module(), target, name=identifier)


def binary_pack() -> Any:
    return one_layer_module("binary_pack", (1, 2, 3, 64), "int8", [], BinaryPackAttrs())


def binary_unpack() -> Any:
    return one_layer_module("binary_unpack", (1, 2, 3, 2), "int32", [], BinaryUnpackAttrs(64))


def binary_max_pool2d() -> Any:
    attrs = BinaryMaxPool2dAttrs(64, (2, 2), (2, 2), (0, 0, 0, 0))
    return one_layer_module("binary_max_pool2d", (1, 4, 4, 2), "int32", [], attrs)


def binary_conv2d() -> Any:
    return BinaryLayer((3, 3), 64, 64, 3, padding=(1, 1, 1, 1)).module()


def sign_conv2d() -> Any:
    rng = np.random.default_rng(1)
    weights = rng.integers(-127, 128, (32, 3, 3, 1)).astype(np.int8)
    thresholds = rng.integers(-9000, 9000, 32).astype(np.int32)
    attrs = SignConv2dAttrs((1, 1), (1, 1, 1, 1), 3)
    return one_layer_module("sign_conv2d", (1, 4, 4, 1), "int8", [weights, thresholds], attrs)


def floats() -> Any:
    """float32 from end to end, and a layer in the middle that nothing quantizes."""
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    net = net_around("InstanceNormalization", [ones, zeros], quantized=False)
    return fold_pipeline("float", None, Floats(True, True))(from_onnx(net))


MADE = (binary_pack, binary_unpack, binary_max_pool2d, binary_conv2d, sign_conv2d, floats)
DRAWN = (
    "tflite/ADD/0",
    "tflite/AVERAGE_POOL_2D/0",
    "tflite/CONCATENATION/0",
    "tflite/CONV_2D/0",
    "tflite/DEPTHWISE_CONV_2D/0",
    "tflite/FULLY_CONNECTED/0",
    "tflite/LOGISTIC/0",
    "tflite/LOGISTIC/7",
    "tflite/MAXIMUM/0",
    "tflite/MAX_POOL_2D/0",
    "tflite/MUL/0",
    "tflite/PAD/0",
    "tflite/PRELU/0",
    "tflite/QUANTIZE/0",
    "tflite/RESIZE_BILINEAR/0",
    "tflite/RESHAPE/0",
    "tflite/SLICE/0",
    "tflite/SOFTMAX/0",
    "tflite/TRANSPOSE_CONV/0",
    BC_NET,
)
"""Where draws have changed, some need another number to be of another operator."""


@cache
def models() -> tuple[Drawn | Made, ...]:
    """One or more of each operator."""
    drawn = [draw_model(name, largest=SMALL) for name in DRAWN]
    return (*drawn, *(Made(make.__name__, make) for make in MADE))


def operators_of(compiled: CompiledModel) -> set[str]:
    """Of the folded module, and what runs of it."""
    module = compiled.module
    called = {op_name(v) for net in nets_of(module) for _, v in bindings_of(module[net])}
    called |= {"vq.bc_net"} if policy_of(module) is not None else set()
    return (called | {f"vq.{step.op}" for step in compiled.program.steps}) & set(OPS)


def test_every_operator_has_a_model() -> None:
    found: set[str] = set()
    for model in models():
        found |= operators_of(model.compile("model", "vq-cortexm"))
    assert found == set(OPS)


@pytest.mark.parametrize("core", BOARD_OF_CORE)
def test_operators_run_on_a_core(core: str, tmp_path: Path) -> None:
    board = BOARD_OF_CORE[core]
    assert BOARDS[board].core.name == core
    outcome = run_batch(models(), tmp_path, [board], images=len(models()), here=False)
    assert not outcome.differences + outcome.reports
    assert len(outcome.emulated) == len(models())


def test_operators_run_on_the_host(tmp_path: Path) -> None:
    outcome = run_batch(models(), tmp_path)
    assert not outcome.differences + outcome.reports
    assert len(outcome.models) == len(models())


def test_tables_list_the_operators_and_the_cores() -> None:
    """One of files, one of cores."""
    tables: list[list[list[str]]] = []
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells[:1] == ["operator"]:
            tables.append([cells])
        elif cells and cells[0].startswith("`vq."):
            tables[-1].append(cells)
    assert len(tables) == 2
    for _, *rows in tables:
        assert sorted(row[0].strip("`") for row in rows) == sorted(OPS)
    (_, *cores), *rows = tables[1]
    assert cores == ["host", *(core.removeprefix("cortex-").upper() for core in BOARD_OF_CORE)]
    assert all(row[1:] == ["✓"] * len(cores) for row in rows)
