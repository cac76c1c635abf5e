"""Input samples: drawn from a seed, or read from `.npy` and `.npz` files; thresholds of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .aot.program import Tensor
from .errors import UsageError
from .files import load_arrays
from .op import escalate

Sample = list[NDArray[Any]]


def random_samples(inputs: Sequence[Tensor], count: int, seed: int) -> list[Sample]:
    """`count` samples from one `default_rng(seed)`: for each sample, each input in order,
    integers over the type's whole range, or standard normal float32."""
    rng = np.random.default_rng(seed)
    return [[_draw(rng, tensor) for tensor in inputs] for _ in range(count)]


def nested(array: NDArray[Any]) -> Any:
    """Nested lists of an array's numbers; None for NaN and infinities, which JSON has not."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array.tolist()
    numbers = array.astype(object)
    numbers[~np.isfinite(array)] = None
    return numbers.tolist()


def load_samples(path: str | Path, inputs: Sequence[Tensor]) -> list[Sample]:
    """Samples of a file.

    `.npy` feeds a model with one input: one sample in the input's own shape, or many, with one
    more axis in front or, where the model's batch is 1, with N in its place. `.npz` holds one
    array per input, by name or else in the model's order. Raises UsageError for anything else.
    """
    path = Path(path)
    arrays = _read_arrays(path, inputs)
    if len(arrays) != len(inputs):
        raise UsageError(
            f"{path}: holds {len(arrays)} arrays; the model has {len(inputs)} inputs: "
            + ", ".join(tensor.name for tensor in inputs)
        )
    columns = [_split(path, a, t) for a, t in zip(arrays, inputs, strict=True)]
    if not columns or not columns[0]:
        raise UsageError(f"{path}: holds no sample")
    if len({len(column) for column in columns}) != 1:
        raise UsageError(f"{path}: its arrays hold different numbers of samples")
    return [list(sample) for sample in zip(*columns, strict=True)]


def check_sample(sample: Any, inputs: Sequence[Tensor]) -> list[NDArray[Any]]:
    """The arrays of one sample; UsageError if their number, shape or type is not the model's."""
    if not isinstance(sample, (np.ndarray, list, tuple)):
        raise UsageError(f"a sample is a {type(sample).__name__}, not an array or a list of arrays")
    arrays = [sample] if isinstance(sample, np.ndarray) else list(sample)
    if len(arrays) != len(inputs):
        raise UsageError(f"a sample has {len(arrays)} arrays, the model {len(inputs)} inputs")
    for array, tensor in zip(arrays, inputs, strict=True):
        if not isinstance(array, np.ndarray):
            raise UsageError(f"input {tensor.name!r} is a {type(array).__name__}, not an array")
        if array.shape != tensor.shape or str(array.dtype) != tensor.dtype:
            raise UsageError(
                f"input {tensor.name!r} is {array.dtype}{array.shape}, "
                f"the model takes {tensor.dtype}{tensor.shape}"
            )
    return [np.ascontiguousarray(array) for array in arrays]


def check_thresholds(thresholds: Sequence[int], count: int) -> tuple[int, ...]:
    """The thresholds of a run for a model that has `count`, 0 of one net: none, or one for each.
    UsageError if there are others."""
    if not thresholds:
        return ()
    if count == 0:
        raise UsageError("thresholds are of two composed nets; this model is one net")
    if len(thresholds) not in (1, count):
        raise UsageError(f"{len(thresholds)} thresholds; the model has {count}")
    try:
        escalate.check_thresholds(tuple(thresholds))
    except ValueError as error:
        raise UsageError(str(error)) from None
    return tuple(thresholds) if len(thresholds) == count else (thresholds[0],) * count


def _read_arrays(path: Path, inputs: Sequence[Tensor]) -> list[NDArray[Any]]:
    loaded = load_arrays(path)
    if isinstance(loaded, np.ndarray):
        return [loaded]
    by_name = all(tensor.name in loaded for tensor in inputs)
    return [loaded[tensor.name] for tensor in inputs] if by_name else list(loaded.values())


def _draw(rng: np.random.Generator, tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype == "float32":
        return rng.standard_normal(tensor.shape, np.float32)
    info = np.iinfo(tensor.dtype)
    return rng.integers(info.min, info.max + 1, tensor.shape, tensor.dtype)


def _split(path: Path, array: NDArray[Any], tensor: Tensor) -> list[NDArray[Any]]:
    if str(array.dtype) != tensor.dtype:
        raise UsageError(
            f"{path}: {array.dtype} where input {tensor.name!r} takes {tensor.dtype}; "
            "quantize it with the scale that `compile` writes into metadata.json"
        )
    if array.shape == tensor.shape:
        return [array]
    if array.ndim == len(tensor.shape) + 1 and array.shape[1:] == tensor.shape:
        return list(array)
    if array.ndim and tensor.shape[:1] == (1,) and array.shape[1:] == tensor.shape[1:]:
        return [sample[None] for sample in array]
    raise UsageError(
        f"{path}: shape {array.shape}; input {tensor.name!r} takes {tensor.shape}, "
        "or many of them with one more axis in front"
    )
