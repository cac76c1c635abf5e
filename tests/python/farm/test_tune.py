"""Tuning with a farm gives what tuning on this computer gives."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from command_line import one_convolution
from farm_servers import KEY, SECONDS, bad_server, farm, job_of, server_here, tracker_here
from tuned_layers import BOARD

from vq_cortexm.build import build_folded
from vq_cortexm.errors import NoDeviceError
from vq_cortexm.frontend import from_tflite
from vq_cortexm.micro.job import Job, RunJob, run_job
from vq_cortexm.micro.runner import DeviceRun
from vq_cortexm.transform.pipeline import fold_pipeline
from vq_cortexm.tune.database import load_database
from vq_cortexm.tune.measure import as_jobs
from vq_cortexm.tune.session import TuneOptions, tune_module

TRIALS = 24
here: RunJob = partial(run_job, board=BOARD)


def tune(path: Path, run: RunJob, trials: int = TRIALS) -> None:
    module = build_folded(fold_pipeline()(from_tflite(one_convolution()))).module
    database = load_database(path, create=True)
    tune_module(module, BOARD, database, TuneOptions(trials, jobs=2), run=as_jobs(run))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a run on this computer."""
    path = tmp_path_factory.mktemp("own") / "own.jsonl"
    tune(path, here)
    return path.read_text()


def test_a_farm_finds_what_this_computer_finds(own: str, tmp_path: Path) -> None:
    others = tmp_path / "others.jsonl"
    with tracker_here() as tracker, bad_server(tracker, lambda c, _: bool(job_of(c))) as bad:
        # the first job goes to the bad one
        with server_here(tracker, here, servers=2):
            tune(others, farm(tracker, silence=SECONDS / 10).run)
        assert bad.sessions == 1
    assert others.read_text() == own


def test_a_farm_that_is_lost_loses_no_measurement(own: str, tmp_path: Path) -> None:
    parts = tmp_path / "parts.jsonl"
    runs: list[Job] = []

    def lost(job: Job) -> DeviceRun:
        if len(runs) == 2:
            raise NoDeviceError(f"{KEY}: no server")
        runs.append(job)
        return here(job)

    with pytest.raises(NoDeviceError, match="no server"):
        tune(parts, lost)
    kept = parts.read_text()
    assert kept and "failure" not in kept
    assert own.startswith(kept)
    tune(parts, here, TRIALS - kept.count("schedule"))
    assert parts.read_text() == own
