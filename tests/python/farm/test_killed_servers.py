"""Tuning goes on to the same end while servers are killed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from farm_servers import tracker_here, until
from tiny_nets import NETS
from tuned_layers import BOARD

from farm_processes import Servers, servers
from vq_cortexm.farm import client
from vq_cortexm.farm.client import Farm
from vq_cortexm.micro.job import RunJob, run_job
from vq_cortexm.session import compile_model
from vq_cortexm.tune.database import load_database
from vq_cortexm.tune.measure import as_jobs
from vq_cortexm.tune.session import TuneOptions, compiler_id, tune_module

TRIALS, SERVERS, EVERY = 300, 4, 4
"""Of every so many jobs the server is killed that has just been given it."""


def tune(model: Path, path: Path, run: RunJob) -> list[Any]:
    compiled, _ = compile_model(model, board=BOARD.name, bits=4)
    database = load_database(path, create=True)
    options = TuneOptions(TRIALS, jobs=SERVERS)
    kinds = tune_module(compiled.module, BOARD, database, options, run=as_jobs(run))
    return [kind.best for kind in kinds]


class Killer:
    """In place of the client's `send`."""

    def __init__(self, running: Servers) -> None:
        self.running, self.send = running, client.send
        self.jobs, self.lock = 0, threading.Lock()

    def __call__(self, connection: Any, message: Any, seconds: float) -> None:
        self.send(connection, message, seconds)
        with self.lock:
            self.jobs += "job" in message
            if "job" in message and self.jobs % EVERY == 0:
                self.running.kill(self._serving(connection.getpeername()[1]))

    def _serving(self, port: int) -> int:
        """The number of the process that serves a port."""
        ports = [
            {one.laddr.port for one in psutil.Process(process.pid).net_connections("tcp")}
            for process in self.running.processes
        ]
        return next(index for index, own in enumerate(ports) if port in own)


@pytest.mark.slow
def test_the_same_is_found_while_servers_are_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "net.tflite"
    model.write_bytes(NETS["residual"]())
    own, others = tmp_path / "own.jsonl", tmp_path / "others.jsonl"
    best = tune(model, own, partial(run_job, board=BOARD))
    left_out: list[str] = []
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with tracker_here() as tracker, servers(tracker, BOARD.name, SERVERS, tmp_path) as running:
        key = f"vq-cortexm/{BOARD.name}"
        farm = Farm(tracker, key, compiler_id(), BOARD.name, notify=left_out.append)
        until(lambda: len(farm.servers()) == SERVERS)
        killer = Killer(running)
        monkeypatch.setattr(client, "send", killer)
        assert tune(model, others, farm.run) == best
    assert running.kills == killer.jobs // EVERY >= 5
    assert len(left_out) == running.kills
    assert all("the connection is lost" in line for line in left_out)
    assert others.read_text() == own.read_text()
    records = [json.loads(line) for line in own.read_text().splitlines()]
    points = Counter((r["task"], str(r["schedule"])) for r in records if "schedule" in r)
    assert len(points) == points.total() == TRIALS
