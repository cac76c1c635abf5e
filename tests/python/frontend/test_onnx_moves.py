"""ONNX's operators that move values: compiled they equal ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_layers import check_against_runtime, qdq_model

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_onnx

X = {"x": (1, 8, 6, 4)}


def test_moves() -> None:
    """Each operator is between its own QuantizeLinear and the input's DequantizeLinear."""
    body = """
        ry0 = Slice(rx, begin, end, axes, steps)
        parts0, parts1 = Split <axis = 1> (rx, lengths)
        ry1 = Relu(parts0)
        ry2 = Identity(parts1)
        ry3 = DepthToSpace <blocksize = 2, mode = "DCR"> (rx)
        ry4 = DepthToSpace <blocksize = 2, mode = "CRD"> (rx)
        ry5 = SpaceToDepth <blocksize = 2> (rx)
        ry6 = Pad <mode = "reflect"> (rx, widths)
        ry7 = Pad <mode = "edge"> (rx, widths)
        ry8 = Tile(rx, repeats)
        ry9 = Gather <axis = 2> (rx, indices)
        ry10 = Expand(parts0, wider)
    """
    outputs = {
        "y0": (1, 8, 3, 2),
        "y1": (1, 1, 6, 4),
        "y2": (1, 7, 6, 4),
        "y3": (1, 2, 12, 8),
        "y4": (1, 2, 12, 8),
        "y5": (1, 32, 3, 2),
        "y6": (1, 8, 9, 6),
        "y7": (1, 8, 9, 6),
        "y8": (1, 16, 6, 12),
        "y9": (1, 8, 2, 2, 4),
        "y10": (1, 3, 6, 4),
    }
    constants = {
        "begin": np.array([5, 0]),
        "end": np.array([-99, 4]),
        "axes": np.array([2, 3]),
        "steps": np.array([-2, 2]),
        "lengths": np.array([1, 7]),
        "widths": np.array([0, 0, 1, 0, 0, 0, 2, 2]),
        "repeats": np.array([1, 2, 1, 3]),
        "indices": np.array([[0, 5], [3, -5]]),
        "wider": np.array([1, 3, 1, 1]),
    }
    check_against_runtime(qdq_model(body, X, outputs, constants))


def test_moves_without_quantization_between_them() -> None:
    """Moves commute with a tensor's quantization: before a layer, behind it and in a row, an
    activation among them; a border's number is clamped by the activations behind it alone."""
    body = """
        turned = Transpose <perm = [0, 2, 3, 1]> (rx)
        flat = Reshape(turned, shape)
        weight = DequantizeLinear(w, sw, zw)
        product = MatMul(flat, weight)
        raised = Relu(product)
        padded = Pad(raised, widths, minus)
        ry = Slice(padded, begin, end)
    """
    constants = {
        "shape": np.array([4, 48]),
        "w": np.random.default_rng(0).integers(-127, 128, (48, 5)).astype(np.int8),
        "sw": np.float32(0.002),
        "zw": np.int8(0),
        "widths": np.array([0, 1, 0, 1]),
        "minus": np.float32(-0.4),
        "begin": np.array([1, 0]),
        "end": np.array([4, 6]),
    }
    compiled = check_against_runtime(qdq_model(body, X, {"y": (3, 6)}, constants), within=1)
    assert [step.op for step in compiled.program.steps] == ["transpose", "dense", "pad", "slice"]


def test_concatenation_with_constants() -> None:
    """One is plain, one quantized otherwise than the output."""
    body = """
        rk = DequantizeLinear(k, sk, zk)
        ry = Concat <axis = 2> (plain, rx, rk)
    """
    rng = np.random.default_rng(0)
    constants = {
        "plain": rng.uniform(-9, 9, (1, 8, 1, 4)).astype(np.float32),
        "k": rng.integers(-128, 128, (1, 8, 2, 4)).astype(np.int8),
        "sk": np.float32(0.07),
        "zk": np.int8(4),
    }
    check_against_runtime(qdq_model(body, X, {"y": (1, 8, 9, 4)}, constants))


def test_parts_of_a_split_are_rescaled_by_themselves() -> None:
    body = "ry0, ry1 = Split <axis = 3, num_outputs = 2> (rx)"
    outputs = {"y0": (1, 8, 6, 2), "y1": (1, 8, 6, 2)}
    scales = {"y0": (0.05, 3), "y1": (0.2, -20)}
    compiled = check_against_runtime(qdq_model(body, X, outputs, scales=scales))
    assert sorted(step.op for step in compiled.program.steps) == [
        *["requantize"] * 2,
        *["slice"] * 2,
    ]


def test_slices_move_in_front_of_the_transposes_of_their_neighbours() -> None:
    body = """
        pooled = MaxPool <kernel_shape = [2, 2]> (rx)
        half = QuantizeLinear(pooled, sx, zx)
        rhalf = DequantizeLinear(half, sx, zx)
        part = Slice(rhalf, begin, end, axes)
        cut = QuantizeLinear(part, sx, zx)
        rcut = DequantizeLinear(cut, sx, zx)
        ry = MaxPool <kernel_shape = [2, 2]> (rcut)
    """
    constants = {"begin": np.array([2]), "end": np.array([5]), "axes": np.array([1])}
    compiled = check_against_runtime(qdq_model(body, X, {"y": (1, 3, 4, 2)}, constants))
    steps = [step.op for step in compiled.program.steps]
    assert steps == ["transpose", "max_pool2d", "slice", "max_pool2d", "transpose"]


@pytest.mark.parametrize(
    ("body", "inputs", "message"),
    [
        ("ry = Concat <axis = 1> (plain, plain)", X, "fold"),
        ('ry = Pad <mode = "wrap"> (rx, widths)', X, "not supported"),
    ],
)
def test_what_cannot_be_moved_is_refused(
    body: str, inputs: dict[str, tuple[int, ...]], message: str
) -> None:
    constants = {
        "plain": np.zeros((1, 1, 6, 4), np.float32),
        "widths": np.array([0, 0, 1, 0, 0, 0, 0, 0]),
    }
    model = qdq_model(body, inputs, {"y": (1, 8, 7, 4)}, constants, opset=19)
    with pytest.raises(ModelError, match=message) as caught:
        vq_cortexm.build(from_onnx(model))
    assert "\n" not in str(caught.value)
