"""A farm of processes of this computer: measuring servers, which may be killed, at a tracker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vq_cortexm.farm.tracker import Address


@dataclass
class Servers:
    """`vq-cortexm serve` several times; what they say goes to files in `folder`."""

    tracker: Address
    board: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: int = 0

    def start(self) -> None:
        """One more."""
        command = [sys.executable, "-m", "vq_cortexm", "serve", "--board", self.board]
        log = self.folder / f"server-{len(self.processes) + self.kills}.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [*command, "--tracker", str(self.tracker)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self.processes.append(process)

    def check(self) -> None:
        """RuntimeError: one has ended by itself."""
        if any(process.poll() is not None for process in self.processes):
            raise RuntimeError(f"a server has ended; {self.folder} has what they said")

    def kill(self, index: int = 0) -> None:
        """Kills one as nothing that it could notice does, and starts another in its place."""
        process = self.processes.pop(index)
        process.kill()
        process.wait()
        self.kills += 1
        self.start()


@contextmanager
def servers(tracker: Address, board: str, count: int, folder: Path) -> Iterator[Servers]:
    """`count` servers, ended by SIGTERM."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Servers(tracker, board, folder)
    try:
        for _ in range(count):
            found.start()
        yield found
    finally:
        for process in found.processes:
            process.send_signal(signal.SIGTERM)
        for process in found.processes:
            process.wait()
