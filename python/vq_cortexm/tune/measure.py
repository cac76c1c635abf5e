"""Measures candidates in the emulator: what they cost, and that they are exact.

Candidates go through in batches, each an image that is built and run once, several at a time. A
batch that fails to build, faults or does not end is run again candidate by candidate, and so is
what gave wrong outputs beside others: each gets its own verdict, and none takes another's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ..errors import NoDeviceError, VqError, first_line
from ..micro.job import Job, RunJob, run_job
from ..micro.runner import DeviceRun
from ..target import Board
from .image import Cost, Image, Made, image_of

BATCH = 16
"""Candidates of an image."""
_TIMEOUT_SECONDS = 300.0
"""That a run which stays below its limit of instructions may take on a busy machine."""


@dataclass(frozen=True)
class Failure:
    """Why a candidate has no cost: it does not build, does not run, or gives wrong outputs."""

    reason: str


Outcome = Cost | Failure


@dataclass(frozen=True, eq=False)
class Trial:
    """What makes a candidate's kernels; VqError says that it cannot."""

    make: Callable[[], Made]


@dataclass(frozen=True, eq=False)
class Exam:
    """What every candidate of a task must do: give `outputs` for `samples`, each within
    `instructions`."""

    samples: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    instructions: int


RunImage = Callable[[Image, Sequence[bytes], int], DeviceRun]
"""Builds an image and runs it on samples within a number of instructions."""


def emulate(board: Board) -> RunImage:
    """Runs images on an emulated board, on this computer."""
    return as_jobs(partial(run_job, board=board))


def as_jobs(run_one: RunJob) -> RunImage:
    """Runs images as jobs, here or elsewhere."""

    def run(image: Image, samples: Sequence[bytes], instructions: int) -> DeviceRun:
        return run_one(
            Job(
                image.sources,
                image.app,
                tuple(samples),
                tuple(image.layer_functions),
                _TIMEOUT_SECONDS,
                instruction_limit=instructions,
            )
        )

    return run


def measure(
    trials: Sequence[Trial], exam: Exam, run: RunImage, *, jobs: int = 1, batch: int = BATCH
) -> list[Outcome]:
    """The outcome of each candidate, in their order; `jobs` images are built and run at a time.

    NoDeviceError: there is nothing left to measure on.
    """
    outcomes: dict[int, Outcome] = {}
    made: dict[int, Made] = {}
    for index, trial in enumerate(trials):
        try:
            made[index] = trial.make()
        except Exception as error:  # whatever a kernel's code raises is the candidate's failure
            outcomes[index] = _failure(error)
    whole = list(made)
    batches = [whole[first : first + batch] for first in range(0, len(whole), batch)]
    again: list[int] = []
    for indices, found in _each(batches, made, exam, run, jobs):
        verdicts = zip(indices, found, strict=True)
        known = {i: one for i, one in verdicts if len(indices) == 1 or isinstance(one, Cost)}
        outcomes |= known
        again += [index for index in indices if index not in known]
    for indices, found in _each([[index] for index in again], made, exam, run, jobs):
        outcomes[indices[0]] = found[0]
    return [outcomes[index] for index in range(len(trials))]


def _each(
    batches: Sequence[list[int]], made: dict[int, Made], exam: Exam, run: RunImage, jobs: int
) -> list[tuple[list[int], list[Outcome]]]:
    """Every batch with its outcomes; if a batch fails as a whole that is the outcome of each of
    its candidates."""
    with ThreadPoolExecutor(jobs) as pool:
        futures: list[Future[list[Outcome]] | Failure] = []
        for indices in batches:
            try:
                image = image_of([made[index] for index in indices])
            except Exception as error:  # as above
                futures.append(_failure(error))
            else:
                futures.append(pool.submit(_examine, image, exam, run))
        try:
            return [
                (indices, [one] * len(indices) if isinstance(one, Failure) else one.result())
                for indices, one in zip(batches, futures, strict=True)
            ]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _examine(image: Image, exam: Exam, run: RunImage) -> list[Outcome]:
    limit = exam.instructions * len(image.candidates) * len(exam.samples)
    try:
        done = run(image, exam.samples, limit)
    except NoDeviceError:
        raise  # which is about no candidate
    except Exception as error:  # compilers and emulators fail in many ways
        return [_failure(error)] * len(image.candidates)
    outcomes: list[Outcome] = list(image.costs(done))
    for sample, wanted in enumerate(exam.outputs):
        for index, given in enumerate(image.outputs(done, sample)):
            if given != wanted:
                outcomes[index] = Failure("wrong outputs")
    return outcomes


def _failure(error: Exception) -> Failure:
    name = "" if isinstance(error, VqError) else f"{type(error).__name__}: "
    return Failure(f"{name}{first_line(error)}")
