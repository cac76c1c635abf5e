"""TFLite's operators that move values."""

from __future__ import annotations

import math

import numpy as np
import tflite as schema
from tvm import relax

from ..compat import Expr, constant
from ..errors import ModelError
from .tflite_context import Converter, Importer, activate, where
from .tflite_file import TfliteOperator, parse_options


def _concatenation(importer: Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.ConcatenationOptions)
    parts = [importer.real(operator, i) for i in range(len(operator.inputs))]
    value = relax.op.concat(parts, axis=options.Axis())
    return activate(importer, value, operator, options.FusedActivationFunction())


def _pack(importer: Importer, operator: TfliteOperator) -> Expr:
    shape = importer.result(operator).shape
    axis = parse_options(operator, schema.PackOptions).Axis() % len(shape)
    part = [*shape[:axis], 1, *shape[axis + 1 :]]
    parts = [importer.real(operator, i) for i in range(len(operator.inputs))]
    return relax.op.concat([relax.op.reshape(x, part) for x in parts], axis=axis)


def _reshape(importer: Importer, operator: TfliteOperator) -> Expr:
    return relax.op.reshape(importer.integer(operator, 0), importer.result(operator).shape)


def _transpose(importer: Importer, operator: TfliteOperator) -> Expr:
    axes = [int(a) for a in importer.constant_ints(operator, 1)]
    return relax.op.permute_dims(importer.integer(operator, 0), axes)


def _pad(importer: Importer, operator: TfliteOperator) -> Expr:
    """PAD fills with the zero point, PADV2 with a number of its own."""
    fill = _zero(importer, operator)
    if importer.has_input(operator, 2):
        (fill,) = np.ravel(importer.constant_ints(operator, 2))
    return relax.op.nn.pad(
        importer.integer(operator, 0), _widths(importer, operator), "constant", fill
    )


def _mirror_pad(importer: Importer, operator: TfliteOperator) -> Expr:
    mode = parse_options(operator, schema.MirrorPadOptions).Mode()
    name = "reflect" if mode == schema.MirrorPadMode.REFLECT else "symmetric"
    return relax.op.nn.pad(importer.integer(operator, 0), _widths(importer, operator), name)


def _widths(importer: Importer, operator: TfliteOperator) -> list[int]:
    return [int(n) for pair in importer.constant_ints(operator, 1) for n in pair]


def _zero(importer: Importer, operator: TfliteOperator) -> float:
    quantization = importer.tensor(operator, 0).quantization
    return float(quantization.zero_point[0]) if quantization is not None else 0.0


def _sliced(importer: Importer, operator: TfliteOperator, x: int, slices: dict[int, slice]) -> Expr:
    """Input `x`, cut along some axes."""
    shape = importer.tensor(operator, x).shape
    begin, end, step = [], [], []
    for axis, part in slices.items():
        first, last, stride = part.indices(shape[axis])
        if len(range(first, last, stride)) == 0:
            raise ModelError(f"{where(operator)}: takes nothing of axis {axis}")
        begin.append(first)
        # an end in front of the first element counts from the last one
        end.append(last if last >= 0 else -shape[axis] - 1)
        step.append(stride)
    return relax.op.strided_slice(importer.integer(operator, x), list(slices), begin, end, step)


def _slice(importer: Importer, operator: TfliteOperator) -> Expr:
    begin, size = (importer.constant_ints(operator, i) for i in (1, 2))
    ends = [None if n == -1 else b + n for b, n in zip(begin, size, strict=True)]
    slices = {i: slice(b, e) for i, (b, e) in enumerate(zip(begin, ends, strict=True))}
    return _sliced(importer, operator, 0, slices)


def _strided_slice(importer: Importer, operator: TfliteOperator) -> Expr:
    """Bit i of a mask is of entry i of begin, end and strides."""
    options = parse_options(operator, schema.StridedSliceOptions)
    begin, end, strides = (importer.constant_ints(operator, i) for i in (1, 2, 3))
    rank = len(importer.tensor(operator, 0).shape)
    slices: dict[int, slice] = {}
    axis = 0
    for i, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << i
        if options.NewAxisMask() & bit:
            continue
        if options.EllipsisMask() & bit:
            behind = (options.NewAxisMask() >> (i + 1)).bit_count()
            axis = rank - (len(begin) - i - 1 - behind)
            continue
        if options.ShrinkAxisMask() & bit:
            slices[axis] = slice(first, first + 1 or None)
        else:
            start = None if options.BeginMask() & bit else first
            stop = None if options.EndMask() & bit else last
            if options.Offset() and stop is not None:
                stop += first
            slices[axis] = slice(start, stop, step)
        axis += 1
    value = _sliced(importer, operator, 0, slices)
    return relax.op.reshape(value, importer.result(operator).shape)


def _split(importer: Importer, operator: TfliteOperator) -> list[Expr]:
    (axis,) = importer.constant_ints(operator, 0)
    count = parse_options(operator, schema.SplitOptions).NumSplits()
    length = importer.tensor(operator, 1).shape[axis]
    if count < 1 or length % count:
        raise ModelError(f"{where(operator)}: {length} elements in {count} equal parts")
    return _parts(importer, operator, 1, axis, [length // count] * count)


def _split_v(importer: Importer, operator: TfliteOperator) -> list[Expr]:
    lengths = [int(n) for n in importer.constant_ints(operator, 1)]
    (axis,) = importer.constant_ints(operator, 2)
    total = importer.tensor(operator, 0).shape[axis]
    rest = total - sum(n for n in lengths if n != -1)
    return _parts(importer, operator, 0, axis, [rest if n == -1 else n for n in lengths])


def _unpack(importer: Importer, operator: TfliteOperator) -> list[Expr]:
    axis = parse_options(operator, schema.UnpackOptions).Axis()
    count = importer.tensor(operator, 0).shape[axis]
    parts = _parts(importer, operator, 0, axis, [1] * count)
    return [relax.op.reshape(part, importer.result(operator).shape) for part in parts]


def _parts(
    importer: Importer, operator: TfliteOperator, x: int, axis: int, lengths: list[int]
) -> list[Expr]:
    """Input `x` in pieces of these lengths."""
    axis %= len(importer.tensor(operator, x).shape)
    ends = np.cumsum(lengths).tolist()
    pieces = [slice(end - n, end) for end, n in zip(ends, lengths, strict=True)]
    return [_sliced(importer, operator, x, {axis: piece}) for piece in pieces]


def _reverse(importer: Importer, operator: TfliteOperator) -> Expr:
    rank = len(importer.tensor(operator, 0).shape)
    axes = [int(a) % rank for a in importer.constant_ints(operator, 1)]
    return _sliced(importer, operator, 0, {axis: slice(None, None, -1) for axis in axes})


def _gather(importer: Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.GatherOptions)
    if options.BatchDims():
        raise ModelError(f"{where(operator)}: batch_dims {options.BatchDims()}; 0 works")
    indices = np.array(importer.constant_ints(operator, 1), np.int32)
    indices = indices.reshape(importer.tensor(operator, 1).shape)
    return relax.op.take(importer.integer(operator, 0), constant(indices), axis=options.Axis())


def _tile(importer: Importer, operator: TfliteOperator) -> Expr:
    repeats = [int(n) for n in importer.constant_ints(operator, 1)]
    return relax.op.tile(importer.integer(operator, 0), repeats)


def _depth_to_space(importer: Importer, operator: TfliteOperator) -> Expr:
    """A pixel's channels are (rows of a block, columns of a block, channels)."""
    block = parse_options(operator, schema.DepthToSpaceOptions).BlockSize()
    n, h, w, c = importer.tensor(operator, 0).shape
    blocks = relax.op.reshape(importer.integer(operator, 0), (n, h, w, block, block, -1))
    moved = relax.op.permute_dims(blocks, [0, 1, 3, 2, 4, 5])
    return relax.op.reshape(moved, (n, h * block, w * block, c // block**2))


def _space_to_depth(importer: Importer, operator: TfliteOperator) -> Expr:
    block = parse_options(operator, schema.SpaceToDepthOptions).BlockSize()
    n, h, w, c = importer.tensor(operator, 0).shape
    shape = (n, h // block, block, w // block, block, c)
    moved = relax.op.permute_dims(
        relax.op.reshape(importer.integer(operator, 0), shape), [0, 1, 3, 2, 4, 5]
    )
    return relax.op.reshape(moved, (n, h // block, w // block, c * block**2))


def _space_to_batch(importer: Importer, operator: TfliteOperator) -> Expr:
    """Rows and columns that differ by a block's size become images of their own."""
    block, pads = (importer.constant_ints(operator, i) for i in (1, 2))
    n, *shape = importer.tensor(operator, 0).shape
    rank, rest = len(block), shape[len(block) :]
    widths = [0, 0, *(int(p) for pair in pads for p in pair), *[0, 0] * len(rest)]
    padded = relax.op.nn.pad(
        importer.integer(operator, 0), widths, "constant", _zero(importer, operator)
    )
    outer = [(m + sum(p)) // b for m, p, b in zip(shape, pads, block, strict=False)]
    split = [d for pair in zip(outer, block, strict=True) for d in pair]
    spread = relax.op.reshape(padded, (n, *split, *rest))
    inner = [2 + 2 * i for i in range(rank)]
    axes = [*inner, 0, *(i - 1 for i in inner), *range(2 * rank + 1, 2 * rank + 1 + len(rest))]
    moved = relax.op.permute_dims(spread, axes)
    return relax.op.reshape(moved, (n * math.prod(block), *outer, *rest))


def _batch_to_space(importer: Importer, operator: TfliteOperator) -> Expr:
    """What `_space_to_batch` took apart, and cut."""
    block, crops = (importer.constant_ints(operator, i) for i in (1, 2))
    n, *shape = importer.tensor(operator, 0).shape
    rank, rest = len(block), shape[len(block) :]
    outer = shape[:rank]
    images = n // math.prod(block)
    spread = relax.op.reshape(importer.integer(operator, 0), (*block, images, *shape))
    pairs = [axis for i in range(rank) for axis in (rank + 1 + i, i)]
    axes = [rank, *pairs, *range(2 * rank + 1, 2 * rank + 1 + len(rest))]
    whole = [m * b for m, b in zip(outer, block, strict=True)]
    moved = relax.op.permute_dims(spread, axes)
    joined = relax.op.reshape(moved, (images, *whole, *rest))
    first, last = ([int(pair[i]) for pair in crops] for i in (0, 1))
    ends = [m - e for m, e in zip(whole, last, strict=True)]
    return relax.op.strided_slice(joined, list(range(1, rank + 1)), first, ends)


MOVES: dict[str, Converter] = {
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "CONCATENATION": _concatenation,
    "DEPTH_TO_SPACE": _depth_to_space,
    "EXPAND_DIMS": _reshape,
    "GATHER": _gather,
    "MIRROR_PAD": _mirror_pad,
    "PACK": _pack,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}
