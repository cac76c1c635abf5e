"""Jobs, their results and errors as JSON, and back. What comes from elsewhere is believed nothing:
every function that reads one raises LinkError for what is not complete and of the right types."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from ..errors import BudgetError, DeviceError, RunError, UsageError, VqError
from ..micro.app import AppSpec, IoTensor, ModelIo
from ..micro.cmake import BuildError
from ..micro.cycle_model import FunctionRecord, InferenceRecord, LayerRecord, Timing
from ..micro.firmware import FirmwareSizes, Symbol
from ..micro.job import Job
from ..micro.runner import DeviceRun
from .wire import LinkError, Message

_ERRORS: dict[str, type[VqError]] = {
    error.__name__: error for error in (BudgetError, BuildError, DeviceError, UsageError)
}
"""What may be wrong with a job, by name; and RunError. A missing tool is the server's trouble."""
_LONGEST_SECONDS = 86_400.0
_T = TypeVar("_T")


def write_job(job: Job) -> Message:
    """A job as JSON."""
    return {
        **vars(job),
        "sources": dict(job.sources),
        "app": {"io": asdict(job.app.io), "sample": _text(job.app.sample)},
        "samples": [_text(sample) for sample in job.samples],
        "timing": vars(job.timing),
    }


def read_job(message: Any) -> Job:
    """The job of `write_job`."""
    with _checked("job"):
        given = dict(message)
        io = dict(given["app"]["io"])
        inputs, outputs = (_list(io.pop(name), _tensor) for name in ("inputs", "outputs"))
        spec = ModelIo(
            _is(str, io["model"]),
            inputs,
            outputs,
            _is(bool, io["caller_io"]),
            _count16(io["thresholds"]),
            _count16(io["layers"]),
        )
        limit = given["instruction_limit"]
        return Job(
            {_file(name): _is(str, text) for name, text in given["sources"].items()},
            AppSpec(spec, _bytes(given["app"]["sample"])),
            _list(given["samples"], _bytes),
            _list(given["layer_functions"], _name),
            _seconds(given["timeout_seconds"]),
            _is(bool, given["poison"]),
            Timing(*(_is(int, given["timing"][n]) for n in ("branch_refill", "flash_wait_states"))),
            _list(given["thresholds"], _int),
            None if limit is None else _int(limit),
        )


def write_run(run: DeviceRun) -> Message:
    """A result as JSON."""
    return {
        **vars(run),
        "outputs": [_text(output) for output in run.outputs],
        "records": [asdict(record) for record in run.records],
        "sizes": None if run.sizes is None else asdict(run.sizes),
    }


def read_run(message: Any, job: Job) -> DeviceRun:
    """The result of `write_run`; LinkError also where it is not one of `job`."""
    with _checked("result"):
        sizes = message["sizes"]
        run = DeviceRun(
            _list(message["outputs"], _bytes),
            _list(message["paths"], _int),
            _list(message["records"], _record),
            None if sizes is None else _sizes(sizes),
            _int(message["stack_peak_bytes"]),
        )
        _check_fit(run, job)
    return run


def write_error(error: VqError) -> Message:
    """What is wrong with a job, as JSON."""
    kind = type(error).__name__
    if isinstance(error, RunError):
        return {"error": "RunError", "message": str(error), "returned": error.returned}
    return {"error": kind if kind in _ERRORS else "DeviceError", "message": str(error)}


def read_error(message: Any) -> VqError:
    """The error of `write_error`."""
    with _checked("error"):
        kind, text = message["error"], _is(str, message["message"])
        if kind == "RunError":
            return RunError(text, _int(message["returned"]))
        return _ERRORS[kind](text)


def _check_fit(run: DeviceRun, job: Job) -> None:
    """ValueError: not of as many inferences, outputs of other sizes, layers of another model."""
    count, io = len(job.samples), job.app.io
    if [len(output) for output in run.outputs] != [io.output_bytes] * count:
        raise ValueError("outputs")
    if len(run.paths) != (count if io.thresholds else 0):
        raise ValueError("paths")
    if job.poison:
        return
    layers = {layer.function for record in run.records for layer in record.layers}
    if len(run.records) != count or run.sizes is None or layers - set(job.layer_functions):
        raise ValueError("records")


@contextmanager
def _checked(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise LinkError(f"a {what} that is none") from None


def _record(data: Any) -> InferenceRecord:
    return InferenceRecord(
        *_counts(data),
        _list(data["layers"], lambda one: LayerRecord(_name(one["function"]), *_counts(one))),
        _list(data["functions"], _function),
    )


def _counts(data: Any) -> tuple[int | None, int | None]:
    return _count(data["instructions"]), _count(data["cycles"])


def _function(data: Any) -> FunctionRecord:
    instructions, cycles = _int(data["instructions"]), _count(data["cycles"])
    return FunctionRecord(_name(data["function"]), instructions, cycles)


def _sizes(data: Any) -> FirmwareSizes:
    text, rodata, arena, static = (_int(data[n]) for n in ("text", "rodata", "arena", "data"))
    return FirmwareSizes(text, rodata, arena, static, _list(data["symbols"], _symbol))


def _symbol(data: Any) -> Symbol:
    return Symbol(
        _name(data["name"]), _name(data["part"]), _int(data["address"]), _int(data["size_bytes"])
    )


def _tensor(data: Any) -> IoTensor:
    return IoTensor(_name(data["name"]), _int(data["size_bytes"]))


def _file(name: Any) -> str:
    """A name of a file in a folder, and nowhere else."""
    if not _name(name) or name in (".", "..") or set(name) & set("/\\\0"):
        raise ValueError("file")
    return str(name)


def _seconds(value: Any) -> float:
    if not 0 < float(value) <= _LONGEST_SECONDS:
        raise ValueError("seconds")
    return float(value)


def _list(data: Any, read: Callable[[Any], _T]) -> tuple[_T, ...]:
    return tuple(read(one) for one in _is(list, data))


def _is(kind: type[_T], value: Any) -> _T:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value


def _name(value: Any) -> str:
    return _is(str, value)


def _int(value: Any) -> int:
    return _is(int, value)


def _count16(value: Any) -> int:
    """What the link tells of a model, in 16 bits."""
    if not 0 <= _int(value) < 1 << 16:
        raise ValueError("count")
    return int(value)


def _count(value: Any) -> int | None:
    return None if value is None else _int(value)


def _bytes(value: Any) -> bytes:
    return base64.b64decode(_is(str, value), validate=True)


def _text(data: bytes | Sequence[int]) -> str:
    return base64.b64encode(bytes(data)).decode("ascii")
