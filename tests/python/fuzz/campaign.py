"""Many damaged files, each read in a process that may crash, hang or ask for too much memory.

The processes are forked, so that the libraries are loaded once. Each reads a few hundred files one
after the other; of one that dies, another takes over behind the file that it died of.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from vq_cortexm.errors import VqError

from .readers import READERS

CPU_SECONDS = 10
"""For a file. Of CPU, so that the result is the same on a machine that is busy."""
WALL_SECONDS = 600
"""For a file: one that waits for something takes no CPU."""
MEMORY_BYTES = 2 << 30
_FILES_PER_PROCESS = 250
_NO_MEMORY = re.compile(r"MemoryError|bad_alloc|[Cc]annot allocate|Unable to allocate")


@dataclass(frozen=True)
class Outcome:
    """What became of a case. `kind` is "read", "refused", or what went wrong; `said` the error's
    text; seconds are of CPU, `peak_bytes` are the process's, with all libraries."""

    reader: str
    number: int
    kind: str
    said: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def is_good(self) -> bool:
        """Read, or refused as it should be."""
        return self.kind in ("read", "refused")


def run(reader: str, seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
    """The outcomes of these cases, in order."""
    READERS[reader].draw(_name(reader, seed, 0))  # what is made once, is made before the fork
    left = list(numbers)
    while left:
        batch, done = left[:_FILES_PER_PROCESS], 0
        for outcome in _run_forked(reader, seed, batch):
            yield outcome
            done += 1
        left = left[done:]


def draw(reader: str, seed: int, number: int) -> dict[str, bytes]:
    """The files of a case."""
    return READERS[reader].draw(_name(reader, seed, number))


def _name(reader: str, seed: int, number: int) -> str:
    return f"{seed}/{reader}/{number}"


def _run_forked(reader: str, seed: int, numbers: Sequence[int]) -> Iterator[Outcome]:
    """At least one outcome: that of the case which a process dies of is the last."""
    receiving, sending = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(receiving)
        status = 1
        try:
            with open(sending, "w", buffering=1) as answers:
                _serve(reader, seed, numbers, answers)
            status = 0
        finally:
            os._exit(status)
    os.close(sending)
    done = 0
    timed_out = False
    with open(receiving) as answers:
        while select.select([answers], [], [], WALL_SECONDS)[0]:
            line = answers.readline()
            if not line:
                break
            yield Outcome(**json.loads(line))
            done += 1
        else:
            timed_out = True
            os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if done < len(numbers):
        yield Outcome(reader, numbers[done], "hang" if timed_out else _how_it_ended(status))


def _how_it_ended(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"ended with status {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    is_slow = number == signal.SIGXCPU
    return "slow" if is_slow else f"crash: {signal.Signals(number).name}"


def _serve(reader: str, seed: int, numbers: Sequence[int], answers: IO[str]) -> None:
    """In the child. Memory beyond the limit is refused to it; beyond its time it is killed."""
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _status_bytes("VmSize") + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    quiet = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(quiet, descriptor)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        for number in numbers:
            case = Path(folder, str(number))
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                outcome = _read(reader, seed, number, case)
            answers.write(json.dumps(asdict(outcome)) + "\n")


def _read(reader: str, seed: int, number: int, case: Path) -> Outcome:
    files = draw(reader, seed, number)
    case.mkdir()
    for name, content in files.items():
        (case / name).write_bytes(content)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    start = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(start) + 1 + CPU_SECONDS, hard))
    Path("/proc/self/clear_refs").write_text("5")
    kind, said = "read", ""
    try:
        READERS[reader].read(case)
    except VqError as error:
        said = str(error)
        kind = "refused" if error.status == 2 else f"status {error.status}"
        if "\n" in said or not said:
            kind = "not one line"
    except BaseException as error:
        kind, said = "exception", f"{type(error).__name__}: {error}"[:500]
    seconds, peak = time.process_time() - start, _status_bytes("VmHWM")
    if kind == "refused" and (peak > MEMORY_BYTES or _NO_MEMORY.search(said)):
        kind = "memory"
    if {path.name: path.read_bytes() for path in case.iterdir()} != files:
        kind = "files left"
    return Outcome(reader, number, kind, said, seconds, peak)


def _status_bytes(field: str) -> int:
    """Of this process."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024
