"""The link to a device: many inferences, a bad line, and a device that is killed again and again.

    python benchmarks/link.py MODELS [--inferences 1000] [--requests 1000]

MODELS is the folder of MLPerf Tiny's models (`models.py` names the files). The keyword model runs
on emulated boards, over their UART. Exit status 1 if an output is wrong or a request is lost.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vq_cortexm
from document import table
from models import ModelsMissingError, find_models
from vq_cortexm.errors import DeviceError
from vq_cortexm.micro.emulated_link import emulated_link
from vq_cortexm.micro.faulty_link import FAULTS, Fault, FaultyLink
from vq_cortexm.micro.process_transport import ProcessTransport
from vq_cortexm.micro.session import Session, create_local_aot_executor
from vq_cortexm.micro.transport import Transport
from vq_cortexm.samples import random_samples
from vq_cortexm.target import board_by_name

BOARDS = ("netduinoplus2", "mps2-an386")
SEED = 1
RATE = 0.01
KILLED, KILLED_EVERY = 200, 20


@dataclass
class Outcome:
    """What became of inferences over a link."""

    inferences: int = 0
    requests: int = 0
    repeats: int = 0
    frames_dropped: int = 0
    restarts: int = 0
    wrong: int = 0
    errors: int = 0
    longest_seconds: float = 0.0
    seconds: float = 0.0

    def row(self, board: str, what: str) -> list[str]:
        """Of the table."""
        counts = [self.inferences, self.requests, self.repeats, self.frames_dropped, self.restarts]
        seconds = [f"{self.seconds:.0f}", f"{self.longest_seconds:.2f}"]
        return [board, what, *map(str, [*counts, self.wrong, self.errors]), *seconds]


HEADER = ["board", "line", "inferences", "requests", "repeats", "damaged answers", "restarts"]
HEADER += ["wrong", "errors", "seconds", "longest inference, s"]


def drive(
    transport: Transport,
    model: vq_cortexm.CompiledModel,
    samples: Sequence[Sequence[Any]],
    wanted: Sequence[Sequence[Any]],
    *,
    requests: int | None = None,
    killed_every: int | None = None,
    process: ProcessTransport | None = None,
) -> Outcome:
    """Runs the samples, again and again until there were so many `requests`, and compares."""
    outcome = Outcome()
    start = time.monotonic()
    with Session(transport, model=model) as session:
        executor = create_local_aot_executor(session)
        counts = session.link_counts
        while counts.requests < requests if requests else outcome.inferences < len(samples):
            index = outcome.inferences % len(samples)
            began = time.monotonic()
            try:
                executor.set_input(0, samples[index][0])
                executor.run()
                if killed_every and process and index % killed_every == 0:
                    os.kill(process.process_id, signal.SIGKILL)
                output = executor.get_output(0).numpy()
                outcome.wrong += not np.array_equal(output, wanted[index][0])
            except DeviceError as error:
                print(error, file=sys.stderr)
                outcome.errors += 1
            outcome.inferences += 1
            outcome.longest_seconds = max(outcome.longest_seconds, time.monotonic() - began)
        outcome.requests, outcome.repeats = counts.requests, counts.repeats
        outcome.frames_dropped = counts.frames_dropped
        outcome.restarts = session.device.restarts
    outcome.seconds = time.monotonic() - start
    return outcome


def measure(
    link: ProcessTransport,
    model: vq_cortexm.CompiledModel,
    samples: Sequence[Sequence[Any]],
    wanted: Sequence[Sequence[Any]],
    requests: int,
) -> Iterator[tuple[str, Outcome]]:
    """Every kind of line, and what came of it."""
    yield "good", drive(link, model, samples, wanted)
    often = samples[:KILLED]
    yield "good, killed", drive(link, model, often, wanted, killed_every=KILLED_EVERY, process=link)
    kinds: dict[str, tuple[Fault, ...]] = {fault: (fault,) for fault in FAULTS}
    for what, faults in {**kinds, "all four": FAULTS}.items():
        faulty = FaultyLink(link, rate=RATE, seed=SEED, faults=faults)
        outcome = drive(faulty, model, samples, wanted, requests=requests)
        yield f"{RATE:.0%} of bytes: {what}", outcome


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--inferences", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    try:
        paths = {model.key: path for model, path in find_models(options.models).items()}
    except ModelsMissingError as error:
        print(error, file=sys.stderr)
        return 2
    rows, good = [], True
    for name in BOARDS:
        board = board_by_name(name)
        model = vq_cortexm.build(
            vq_cortexm.frontend.load(paths["kws"]), f"vq-cortexm/{name}", name="kws"
        )
        samples = random_samples(model.program.inputs, options.inferences, SEED)
        reference = model.run(samples, "host", check=True)
        good = good and reference.bit_exact is True
        wanted = reference.outputs
        with tempfile.TemporaryDirectory(prefix="vq-link-") as folder:
            link = emulated_link(model, board, Path(folder), counts=False)
            assert isinstance(link, ProcessTransport)
            for what, outcome in measure(link, model, samples, wanted, options.requests):
                good = good and not (outcome.wrong or outcome.errors)
                rows.append(outcome.row(name, what))
                print(*rows[-1], sep=", ", file=sys.stderr, flush=True)
    print(table(HEADER, rows))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
