"""A run on a board as a value: all that it takes, so that any computer that has the board, or its
emulator, can do it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..files import write_atomically
from ..target import Board
from .app import AppSpec
from .cmake import BuildError
from .cycle_model import DEFAULT_TIMING, Timing
from .runner import DeviceRun, run_on_board

MODEL_FOLDER = "model"


@dataclass(frozen=True)
class Job:
    """`sources` are the generated model's files by name; the rest is as in `run_on_board`."""

    sources: Mapping[str, str]
    app: AppSpec
    samples: tuple[bytes, ...]
    layer_functions: tuple[str, ...]
    timeout_seconds: float
    poison: bool = False
    timing: Timing = DEFAULT_TIMING
    thresholds: tuple[int, ...] = ()
    instruction_limit: int | None = None


RunJob = Callable[[Job], DeviceRun]
"""Runs a job, here or elsewhere; VqError says what is wrong with it or with the board."""


def run_job(job: Job, board: Board) -> DeviceRun:
    """Builds and runs it on this computer."""
    with job_folder(job) as folder:
        return run_on_board(
            folder / MODEL_FOLDER,
            board,
            folder / "build",
            job.app,
            job.samples,
            job.layer_functions,
            job.timeout_seconds,
            job.poison,
            job.timing,
            job.thresholds,
            job.instruction_limit,
        )


@contextmanager
def job_folder(job: Job) -> Iterator[Path]:
    """A folder to build in, that is gone afterwards, with a job's sources in MODEL_FOLDER. What a
    BuildError says of files in it is the same wherever they were built."""
    with tempfile.TemporaryDirectory(prefix="vq-job-") as temporary:
        folder = Path(temporary).resolve()
        model = folder / MODEL_FOLDER
        model.mkdir()
        for name, text in job.sources.items():
            write_atomically(model / name, text.encode())
        try:
            yield folder
        except BuildError as error:
            raise BuildError(str(error).replace(f"{folder}/", "")) from error
