"""Tuning with a farm whose servers are killed, beside tuning on this computer alone, as one table.

    python benchmarks/farm.py [MODEL] [--trials 300] [--every 30] [--servers 4]

A tracker and the servers are processes of this computer. Every so many seconds one is killed, the
one that has been there longest, and another started in its place. Exit status 1 if a run's results
are not those of this computer alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tvm.rpc.tracker import Tracker

from document import table
from farm_processes import Servers, servers
from vq_cortexm.farm.client import Farm
from vq_cortexm.farm.tracker import Address
from vq_cortexm.micro.job import RunJob, run_job
from vq_cortexm.session import compile_model
from vq_cortexm.target import BOARDS
from vq_cortexm.tune.database import load_database
from vq_cortexm.tune.measure import as_jobs
from vq_cortexm.tune.session import TuneOptions, compiler_id, tune_module

MODEL = Path(__file__).parents[1] / "examples/cifar10/cifar10_4bit.onnx"
BOARD = BOARDS["mps2-an386"]


@dataclass(frozen=True)
class Row:
    """A run of tuning: its file, what it took, and what was killed in it."""

    name: str
    text: str
    best: tuple[object, ...]
    seconds: float
    kills: int = 0
    moved: int = 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Tuning with a farm whose servers are killed.")
    parser.add_argument("model", nargs="?", type=Path, default=MODEL)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two kills")
    parser.add_argument("--servers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(given, Path(folder)))
    heading = "run", "measured", "doubled", "same file", "same best", "killed", "jobs moved", "s"
    print(f"{given.model.name}, {given.servers} servers, {given.trials} trials\n")
    print(table(heading, [cells(row, rows[0]) for row in rows]))
    return int(any(row.text != rows[0].text for row in rows))


def cells(row: Row, first: Row) -> list[str]:
    """Of the table."""
    measured = [json.loads(line) for line in row.text.splitlines() if '"schedule"' in line]
    points = {(one["task"], str(one["schedule"])) for one in measured}
    same = ["yes" if one else "no" for one in (row.text == first.text, row.best == first.best)]
    numbers = row.kills, row.moved, round(row.seconds)
    return [
        row.name,
        str(len(measured)),
        str(len(measured) - len(points)),
        *same,
        *map(str, numbers),
    ]


def measure(given: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """On this computer; with servers; and with servers that are killed."""
    run = partial(tune, given, folder)
    yield run("this computer", partial(run_job, board=BOARD))
    tracker = Tracker("127.0.0.1", port=9190, port_end=9290, silent=True)
    try:
        address = Address("127.0.0.1", tracker.port)
        with_kills = f"farm, one killed every {given.every:g} s"
        for name, every in (("farm", 0.0), (with_kills, given.every)):
            left_out: list[str] = []
            key = f"vq-cortexm/{BOARD.name}"
            farm = Farm(address, key, compiler_id(), BOARD.name, notify=left_out.append)
            with servers(address, BOARD.name, given.servers, folder / name) as all_servers:
                while len(farm.servers()) < given.servers:
                    all_servers.check()
                    time.sleep(0.1)
                with killer(all_servers, every):
                    row = run(name, farm.run)
            yield Row(row.name, row.text, row.best, row.seconds, all_servers.kills, len(left_out))
    finally:
        tracker.terminate()


def tune(given: argparse.Namespace, folder: Path, name: str, run: RunJob) -> Row:
    """One run, from an empty database."""
    path = folder / f"{name}.jsonl"
    compiled, _ = compile_model(given.model, board=BOARD.name)
    options = TuneOptions(given.trials, jobs=given.servers)
    began = time.monotonic()
    database = load_database(path, create=True)
    kinds = tune_module(compiled.module, BOARD, database, options, run=as_jobs(run))
    seconds = time.monotonic() - began
    return Row(name, path.read_text(), tuple(kind.best for kind in kinds), seconds)


@contextmanager
def killer(all_servers: Servers, every: float) -> Iterator[None]:
    """Kills one every so many seconds; never for 0."""
    ends = threading.Event()

    def kill() -> None:
        while not ends.wait(every):
            all_servers.kill()

    thread = threading.Thread(target=kill)
    if every:
        thread.start()
    try:
        yield
    finally:
        ends.set()
        if every:
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
