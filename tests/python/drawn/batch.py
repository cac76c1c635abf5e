"""A batch of drawn models: built, run on this computer under sanitizers and on boards, compared."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import DeviceError, VqError
from vq_cortexm.micro.emulator import run_firmware
from vq_cortexm.micro.firmware import build_firmware
from vq_cortexm.micro.host import build_host_library, sanitizer_environment
from vq_cortexm.op.bc_net import PATHS
from vq_cortexm.reference import reference_answer
from vq_cortexm.target import Board, board_by_name

from .composite import Member, composite_app, split_result, write_composite
from .models import Drawn, draw_samples
from .runtimes import runtime_of

_HOST_TARGETS = ("vq-cortexm", "vq-cortexm", "vq-cortexm/cortex-m3", "vq-cortexm/cortex-m0")
"""Their routines have scalar twins, which run here; most models take those of the first."""
_HARNESS_BYTES = 3072
"""Of RAM, on a board."""
_CONSTANT_BYTES = 64 * 1024
"""Of all models in an image, at most: boards have room for these and for code."""
_LARGEST_IMAGE = 12
"""Models."""
_RUNNER = """
import pickle, sys
from pathlib import Path
from vq_cortexm.micro.host import HostModel
library, io, samples, results = pickle.loads(Path(sys.argv[1]).read_bytes())
Path(results).write_bytes(pickle.dumps(HostModel(Path(library), io).run(samples)))
"""


class Model(Protocol):
    """What a batch asks of a model; see `Drawn`."""

    name: str
    steps: int | None
    poison: bool

    def compile(self, identifier: str, target: str) -> CompiledModel:
        """Built for `target`, with a C identifier."""


@dataclass
class Outcome:
    """Names of models: all, those compared with a runtime, those run on a board, once for each; and
    a line that begins with the model's name for each difference, refusal or sanitizer's report."""

    models: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    emulated: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Job:
    """A model, its inputs, and per sample what the reference says: bytes and path."""

    model: Model
    member: Member
    samples: list[list[NDArray[Any]]]
    expected: list[tuple[bytes, int]]


def run_batch(
    models: Sequence[Model],
    folder: Path,
    boards: Sequence[str] = (),
    images: int = 1,
    here: bool = True,
) -> Outcome:
    """Runs all of them on this computer, unless `here` is False, and as many as fit in so many
    images on each of `boards`."""
    outcome = Outcome()
    jobs = []
    for index, model in enumerate(models):
        outcome.models.append(model.name)
        target = Random(model.name).choice(_HOST_TARGETS)
        try:
            jobs.append(_prepare(model, f"m{index}", target, outcome))
        except (VqError, RuntimeError) as error:
            # one of ours, or of a runtime
            outcome.differences.append(f"{model.name}: {error}")
    if here:
        _run_here(jobs, folder / "host", outcome)
    for name in boards:
        board = board_by_name(name)
        for index, image in enumerate(_images(jobs, board, images)):
            _run_there(image, board, folder / f"{name}_{index}", outcome)
    return outcome


def _prepare(model: Model, identifier: str, target: str, outcome: Outcome) -> _Job:
    """The model built and its reference's answers, which are compared with its runtime's."""
    compiled = model.compile(identifier, target)
    samples = draw_samples(compiled, model.name)
    answers = [reference_answer(compiled.module, sample) for sample in samples]
    if model.steps is not None:
        assert isinstance(model, Drawn)
        name, run = runtime_of(model)
        wanted = run(model.files[0], samples)
        outcome.compared.append(model.name)
        off = max(
            (
                _distance(a, b)
                for (got, _), want in zip(answers, wanted, strict=True)
                for a, b in zip(got, want, strict=True)
            ),
        )
        if off > model.steps:
            outcome.differences.append(f"{model.name}: {off:g} steps from {name}")
    expected = [
        (b"".join(a.tobytes() for a in arrays), 0 if path is None else PATHS.index(path))
        for arrays, path in answers
    ]
    return _Job(model, Member(compiled, model.poison), samples, expected)


def _distance(got: NDArray[Any], want: NDArray[Any]) -> float:
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    return float(np.abs(got.astype(np.int64) - want.astype(np.int64)).max(initial=0))


def _run_here(jobs: Sequence[_Job], folder: Path, outcome: Outcome) -> None:
    """Under sanitizers. The first report ends the run, so what it names is left out of another."""
    if not jobs:
        return
    members = [job.member for job in jobs]
    app = composite_app(members)
    library = build_host_library(write_composite(members, folder), folder / "b", sanitize=True)
    arguments, results = folder / "arguments", folder / "results"
    arguments.write_bytes(pickle.dumps((str(library), app.io, _bytes_of(jobs), str(results))))
    environment = dict(os.environ, **sanitizer_environment(), PYTHONPATH=os.pathsep.join(sys.path))
    completed = subprocess.run(
        [sys.executable, "-c", _RUNNER, str(arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode == 0:
        _compare(jobs, pickle.loads(results.read_bytes()), "this computer", outcome)
        return
    named = re.search(r"\bm(\d+)_|/m(\d+)\.c", completed.stderr)
    identifier = f"m{next(filter(None, named.groups()))}" if named else ""
    lines = [line for line in completed.stderr.splitlines() if "error" in line.lower()]
    what = lines[0] if lines else f"the run ended with status {completed.returncode}"
    guilty = [job for job in jobs if job.member.compiled.name == identifier]
    outcome.reports.append(f"{guilty[0].model.name if guilty else 'a model'}: {what}")
    if guilty:
        rest = [job for job in jobs if job is not guilty[0]]
        _run_here(rest, folder.with_name(f"{folder.name}_{len(rest)}"), outcome)


def _images(jobs: Sequence[_Job], board: Board, most: int) -> list[list[_Job]]:
    """At most so many groups of models, those of each fitting in the board's memories together;
    built for its core."""
    images: list[list[_Job]] = []
    ram_bytes = constant_bytes = 0
    for job in jobs:
        is_full = not images or len(images[-1]) == _LARGEST_IMAGE
        if is_full and len(images) == most:
            break
        name = job.member.compiled.name
        compiled = job.model.compile(name, f"vq-cortexm/{board.core.name}")
        io = compiled.model_io
        arena = compiled.plan.arena_bytes + (io.input_bytes + io.output_bytes) * io.caller_io
        # beside it pointers and what rounding up takes
        arena += 64
        constants = sum(c.value.nbytes for c in compiled.program.constants)
        if is_full or arena > ram_bytes or constants > constant_bytes:
            if len(images) == most:
                continue
            images.append([])
            ram_bytes = board.ram.size_bytes - board.stack_bytes - _HARNESS_BYTES
            constant_bytes = _CONSTANT_BYTES
        if arena <= ram_bytes and constants <= constant_bytes:
            images[-1].append(_Job(job.model, Member(compiled), job.samples, job.expected))
            ram_bytes, constant_bytes = ram_bytes - arena, constant_bytes - constants
    return [image for image in images if image]


def _run_there(jobs: Sequence[_Job], board: Board, folder: Path, outcome: Outcome) -> None:
    """All in one image; where that fails, each in one of its own."""
    if not jobs:
        return
    members = [job.member for job in jobs]
    app = composite_app(members)
    firmware = build_firmware(write_composite(members, folder), board, folder / "b", app)
    try:
        run = run_firmware(firmware.elf, board, _bytes_of(jobs), app.io.result_bytes)
    except DeviceError as error:
        if len(jobs) == 1:
            outcome.differences.append(f"{jobs[0].model.name}: {error}")
            return
        for job in jobs:
            _run_there([job], board, folder / job.member.compiled.name, outcome)
        return
    outcome.emulated += [job.model.name for job in jobs]
    _compare(jobs, run.outputs, board.name, outcome)


def _bytes_of(jobs: Sequence[_Job]) -> list[bytes]:
    """Of each sample, all inputs of all models."""
    count = len(jobs[0].samples)
    return [b"".join(a.tobytes() for job in jobs for a in job.samples[i]) for i in range(count)]


def _compare(jobs: Sequence[_Job], runs: Sequence[bytes], where: str, outcome: Outcome) -> None:
    """What ran with what the reference says."""
    wrong: dict[str, str] = {}
    for index, data in enumerate(runs):
        results = split_result([job.member for job in jobs], data)
        for job, result in zip(jobs, results, strict=True):
            if result.status != 0:
                wrong[job.model.name] = f"its run returned {result.status}"
            elif (result.outputs, result.path) != job.expected[index]:
                wrong[job.model.name] = "its outputs are not the reference's"
    outcome.differences += [f"{name}: on {where} {what}" for name, what in wrong.items()]
