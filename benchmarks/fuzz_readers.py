"""Damaged files of every format are read: either they are understood, or refused in one line.

    python benchmarks/fuzz_readers.py --count 1000 --seed 1 [--reader tflite] [--first 0] [--jobs 2]

Prints a table, and on stderr a line for each file that made a reader fail, crash, hang or ask for
too much memory; exit status 1 if there was one. What a number stands for depends on the seed alone:
`--reader relay --first 17 --count 1 --keep DIR` reads one again and keeps its files.
`--record PAGE` puts command and table into a page, between the line RECORD and the next heading.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))

from fuzz.campaign import Outcome, draw, run
from fuzz.readers import READERS

from record import check_record, write_record

RECORD = "<!-- written by benchmarks/fuzz_readers.py -->"
FILES_PER_TASK = 250
HEADER = (
    "| reader | files | read | refused | failed | slowest, s | memory, MB | files/s |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def main() -> int:
    """Runs the cases; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="files for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--reader", choices=READERS, action="append", help="default: all")
    parser.add_argument("--jobs", type=int, default=1, help="processes that read at the same time")
    parser.add_argument("--keep", type=Path, help="a folder for the files that were not handled")
    parser.add_argument("--record", type=Path, help="a page that gets command and table")
    options = parser.parse_args()
    if options.record:
        check_record(options.record, RECORD)
    print(*HEADER, sep="\n", flush=True)
    numbers = range(options.first, options.first + options.count)
    rows, total, failed = [], Counter[str](), 0
    with ProcessPoolExecutor(options.jobs) as pool:
        submitted = {
            reader: [
                pool.submit(run_some, reader, options.seed, numbers[at : at + FILES_PER_TASK])
                for at in range(0, len(numbers), FILES_PER_TASK)
            ]
            for reader in options.reader or READERS
        }
        for reader, tasks in submitted.items():
            outcomes, seconds = [], 0.0
            for task in tasks:
                some, took = task.result()
                outcomes += some
                seconds += took
                for failure in some:
                    if not failure.is_good:
                        tell(failure, options.seed, options.keep)
                        failed += 1
            rows.append(row(reader, outcomes, seconds))
            print(rows[-1], flush=True)
            total.update(outcome.kind for outcome in outcomes)
    if options.record:
        write_record(options.record, RECORD, recorded(options, rows, total))
    return 1 if failed else 0


def tell(failure: Outcome, seed: int, keep: Path | None) -> None:
    """A line on stderr, and the files into a folder."""
    said = f"{failure.reader} --first {failure.number}: {failure.kind}: {failure.said}"
    print(said, file=sys.stderr, flush=True)
    if keep:
        folder = keep / f"{failure.reader}-{failure.number}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in draw(failure.reader, seed, failure.number).items():
            (folder / name).write_bytes(content)


def run_some(reader: str, seed: int, numbers: Sequence[int]) -> tuple[list[Outcome], float]:
    """The outcomes of these cases, in order, and the seconds they took."""
    start = time.monotonic()
    return list(run(reader, seed, numbers)), time.monotonic() - start


def recorded(options: argparse.Namespace, rows: list[str], total: Counter[str]) -> str:
    """The command, what became of all files, and the table."""
    command = f"python benchmarks/fuzz_readers.py --count {options.count} --seed {options.seed}"
    if options.jobs > 1:
        command += f" --jobs {options.jobs}"
    if options.reader:
        command += "".join(f" --reader {shlex.quote(reader)}" for reader in options.reader)
    failed = total.total() - total["read"] - total["refused"]
    said = (
        f"`{command}`: {total.total():,} files, {total['read']:,} read, {total['refused']:,} "
        f"refused in one line with status 2, {failed:,} failed."
    )
    return "\n".join([said, "", *HEADER, *rows])


def row(reader: str, outcomes: list[Outcome], seconds: float) -> str:
    """Of the table."""
    kinds = Counter(outcome.kind for outcome in outcomes)
    failed = sum(not outcome.is_good for outcome in outcomes)
    slowest = max(outcome.seconds for outcome in outcomes)
    peak = max(outcome.peak_bytes for outcome in outcomes) / 1e6
    return (
        f"| {reader} | {len(outcomes)} | {kinds['read']} | {kinds['refused']} | {failed} | "
        f"{slowest:.2f} | {peak:.0f} | {len(outcomes) / seconds:.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
