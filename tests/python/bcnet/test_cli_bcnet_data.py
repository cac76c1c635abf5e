"""`bcnet calibrate` and `bcnet eval` on a composed folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, fail, json_of, one_convolution, succeed
from farm_servers import KEY, server_here, tracker_here
from two_nets import BOTH, CLASSES, accurate, classifier, fast, samples

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.bcnet.answers import collect, read_labelled
from vq_cortexm.bcnet.evaluate import evaluate
from vq_cortexm.build import build_folded
from vq_cortexm.errors import ModelError, UsageError
from vq_cortexm.json_objects import Calibrated
from vq_cortexm.micro.job import Job, run_job
from vq_cortexm.micro.runner import DeviceRun
from vq_cortexm.op.bc_net import ALWAYS_ESCALATE, NEVER_ESCALATE
from vq_cortexm.reference import run_reference
from vq_cortexm.report.conform import conform
from vq_cortexm.report.folder import read_build
from vq_cortexm.target import board_by_name
from vq_cortexm.transform.composed import with_thresholds
from vq_cortexm.tune.session import compiler_id

COUNT = 60
BOARD = board_by_name("mps2-an386")


def labelled(folder: Path) -> Path:
    """Samples whose labels are the combined answer's, but for some."""
    x = np.concatenate([sample[0] for sample in samples(COUNT)])
    both = compose(fast(), accurate(), Policy(**BOTH))
    y = np.array([run_reference(both, [one[np.newaxis]])[0].argmax() for one in x])
    y[::7] = (y[::7] + 1) % CLASSES
    path = folder / "data.npz"
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    module = compose(fast(), accurate(), Policy(**BOTH))
    return build_folded(module, name="both").export(tmp_path / "both")


def test_calibrated_thresholds_are_what_run_takes(folder: Path, tmp_path: Path, here: Run) -> None:
    data, chosen = labelled(tmp_path), tmp_path / "thresholds.json"
    wanted = ["--accuracy", "80", "-o", chosen]
    assert succeed("bcnet", "calibrate", folder, "--data", data, *wanted, run=here) == f"{chosen}\n"
    (threshold,) = json.loads(chosen.read_text())
    result = json_of(
        *("bcnet", "eval", folder, "--data", data, "--thresholds", chosen, "--json"), run=here
    )
    row = result["rows"][-1]
    assert row["name"] == "BC-Net"
    assert row["accuracy"]["mean"] >= 0.8
    assert 0 < row["escalated"] < 1
    assert row["mean_cycles"] < row["worst_cycles"]
    run = ["--board", "host", "--random", "4", "--thresholds", str(threshold)]
    assert "path" in succeed("run", folder, *run, run=here)


def test_thresholds_by_class_are_one_for_each(folder: Path, tmp_path: Path, here: Run) -> None:
    options = ["--data", labelled(tmp_path), "--per-class", "--cycles", "40000"]
    printed = succeed("bcnet", "calibrate", folder, *options, run=here)
    assert len(json.loads(printed)) == CLASSES
    described = json_of("bcnet", "calibrate", folder, *options, run=here)
    conform(described, Calibrated)
    assert described["thresholds"] == json.loads(printed)
    paths = described["path_cycles"]
    assert paths["fast"] <= described["mean_cycles"] <= min(paths["accurate"], 40_000)


def test_evaluation_is_written_with_its_plot(folder: Path, tmp_path: Path, here: Run) -> None:
    out = tmp_path / "out"
    options = ["--data", labelled(tmp_path), "--board", "netduinoplus2", "-o", out]
    table = succeed("bcnet", "eval", folder, *options, run=here)
    assert "fast net alone" in table and "uJ" in table
    described = json.loads((out / "eval.json").read_text())
    assert described["samples"] == COUNT
    assert [p["escalated"] for p in described["points"]][::-1][0] == 1
    assert (out / "sweep.svg").read_text().startswith("<?xml")
    assert read_build(out).evaluation == described


def test_sweep_on_the_board_decides_as_the_host_does() -> None:
    module = compose(fast(), accurate(), Policy(**BOTH))
    drawn = samples(24)
    x = np.concatenate([sample[0] for sample in drawn])
    answers = collect(module, x, np.zeros(24, np.int64))
    compiled = build_folded(module, name="both")
    for quantile in (0, 0.3, 0.6, 1):
        limit = int(np.quantile(answers.confidence, quantile)) + 1
        run = compiled.run(drawn, "mps2-an386", thresholds=[limit], check=True)
        assert run.bit_exact
        escalated = answers.escalated([limit])
        assert run.paths == tuple("accurate" if e else "fast" for e in escalated)


def test_answers_are_the_ones_of_the_device_where_its_steps_are_coarse() -> None:
    """There logits become equal, of which the first is the answer, on both paths."""
    coarse = Policy(**BOTH, output=(1.5, 0))
    module = with_thresholds(compose(fast(), accurate(), coarse), (12,))
    drawn = samples(COUNT)
    x = np.concatenate([sample[0] for sample in drawn])
    labels = collect(module, x, np.zeros(COUNT, np.int64)).fast_class
    answers = collect(module, x, labels)
    compiled = build_folded(module, name="both")
    for threshold in (NEVER_ESCALATE, 12, ALWAYS_ESCALATE):
        run = compiled.run(drawn, "host", thresholds=[threshold], check=True)
        given = np.array([outputs[0].argmax() for outputs in run.outputs])
        assert np.array_equal(given == labels, answers.right([threshold]))
    assert not answers.fast_right.all()
    rows = {row.name: row for row in evaluate(module, x, labels, BOARD).rows}
    assert rows["fast net alone"].accuracy.mean == 1


def test_plain_net_alone_is_not_in_the_steps_of_coopnet() -> None:
    x = np.concatenate([sample[0] for sample in samples(COUNT)])
    light = classifier(4, 1, {"scale": 2.0, "zero_point": 0})
    module = compose(light, accurate(), Policy(**BOTH))
    labels = collect(module, x, np.zeros(COUNT, np.int64)).accurate.argmax(axis=1)
    found = evaluate(module, x, labels, BOARD, accurate())
    rows = {row.name: row for row in found.rows}
    assert rows["plain net alone"].accuracy.mean == 1
    # always asked, with coarser logits
    assert found.coopnet_points[-1].accuracy < 1
    assert rows["CoopNet"].difference.mean == rows["CoopNet"].accuracy.mean - 1


def test_coopnet_takes_the_plain_net_alone() -> None:
    x = np.concatenate([sample[0] for sample in samples(COUNT)])
    labels = np.arange(COUNT) % CLASSES
    module = with_thresholds(compose(fast(), accurate(), Policy(**BOTH)), (12,))
    found = evaluate(module, x, labels, BOARD, accurate())
    rows = {row.name: row for row in found.rows}
    assert list(rows) == [
        *("fast net alone", "accurate net alone", "plain net alone", "CoopNet", "BC-Net"),
    ]
    # here the plain net is the boosted one
    assert rows["plain net alone"].accuracy == rows["accurate net alone"].accuracy
    assert rows["plain net alone"].difference.mean == 0
    assert rows["CoopNet"].escalated == pytest.approx(rows["BC-Net"].escalated, abs=0.05)
    assert found.coopnet_points[-1].escalated == 1


def test_a_plain_net_that_does_not_fit_is_refused_as_such() -> None:
    module = with_thresholds(compose(fast(), accurate(), Policy(**BOTH)), (12,))
    x, labels = np.zeros((4, 6, 6, 3), np.int8), np.zeros(4, np.int64)
    other = accurate(classes=CLASSES + 1)
    with pytest.raises(ModelError, match=r"^the plain net, in the accurate one's place: the nets "):
        evaluate(module, x, labels, BOARD, other)


def test_bad_data_and_goals(folder: Path, tmp_path: Path, here: Run) -> None:
    data, other = labelled(tmp_path), tmp_path / "other.npz"
    calibrate = ("bcnet", "calibrate", folder, "--data")
    assert "exclude" in fail(2, *calibrate, data, "--accuracy", "80", "--cycles", "9", run=here)
    for goal in (("--accuracy", "nan"), ("--cycles", "nan"), ("--cycles", "inf")):
        assert f"{goal[0]} {goal[1]}: a number works" in fail(2, *calibrate, data, *goal, run=here)
    assert "out of reach" in fail(1, *calibrate, data, "--accuracy", "100", run=here)
    assert "no cycle model" in fail(2, *calibrate, data, "--board", "mps2-an385", run=here)
    np.savez(other, x=np.zeros((3, 5, 5, 3), np.int8), y=np.zeros(3, np.int64))
    assert "(N, 6, 6, 3) works" in fail(2, *calibrate, other, run=here)
    np.savez(other, x=np.zeros((3, 6, 6, 3), np.int8))
    assert "no array `y`" in fail(2, *calibrate, other, run=here)
    np.savez(other, x=np.zeros((3, 6, 6, 3), np.uint8), y=np.zeros(3, np.int64))
    assert "int8, or real numbers" in fail(2, *calibrate, other, run=here)
    file = tmp_path / "net.tflite"
    file.write_bytes(one_convolution())
    assert "bcnet compose" in fail(2, "bcnet", "eval", file, "--data", data, run=here)
    assert "1 or 5" in fail(
        2, "bcnet", "eval", folder, "--data", data, "--thresholds", "1,2", run=here
    )


def test_real_numbers_need_a_scale_and_are_finite(tmp_path: Path) -> None:
    data, y = tmp_path / "data.npz", np.zeros(3, np.int64)
    real = np.zeros((3, 6, 6, 3), np.float32)
    real[1] = 0.04
    np.savez(data, x=real, y=y)
    module = compose(fast(), accurate())
    x, _ = read_labelled(data, module)
    assert (x[0] == -3).all() and (x[1] == -1).all()
    without = compose(*(classifier(4, seed, x={}) for seed in (1, 2)))
    with pytest.raises(UsageError, match="x is float32; the model's input has no scale: int8 wor"):
        read_labelled(data, without)
    np.savez(data, x=x, y=y)
    assert np.array_equal(read_labelled(data, without)[0], x)
    for number in (np.nan, np.inf):
        real[2, 0, 0, 0] = number
        np.savez(data, x=real, y=y)
        with pytest.raises(UsageError, match=r"data.npz: x holds numbers that are not finite$"):
            read_labelled(data, module)


def test_a_farm_measures_the_same(folder: Path, tmp_path: Path, here: Run) -> None:
    evaluate = ["bcnet", "eval", folder, "--data", labelled(tmp_path)]
    jobs = []

    def run(job: Job) -> DeviceRun:
        jobs.append(job)
        return run_job(job, BOARD)

    with (
        tracker_here() as tracker,
        server_here(tracker, run, identity=compiler_id(), board="mps2-an386"),
    ):
        where = ["--tracker", str(tracker), "--key", KEY]
        assert json_of(*evaluate, *where, run=here) == json_of(*evaluate, run=here)
    # both paths, and each net alone
    assert len(jobs) == 4
