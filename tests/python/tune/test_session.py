"""Tuning a whole model, and building it with what came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nary_net import levels_of, nary_net
from tuned_layers import BOARD, folded

from vq_cortexm.build import build_folded
from vq_cortexm.errors import UsageError
from vq_cortexm.micro.cycle_model import InferenceRecord, LayerRecord
from vq_cortexm.micro.runner import DeviceRun
from vq_cortexm.samples import random_samples
from vq_cortexm.target import BOARDS
from vq_cortexm.tune import guided, session
from vq_cortexm.tune.database import load_database
from vq_cortexm.tune.guided import Evaluate, guided_search
from vq_cortexm.tune.image import Cost
from vq_cortexm.tune.measure import RunImage, emulate
from vq_cortexm.tune.objective import Objective, parse_objective
from vq_cortexm.tune.points import Space
from vq_cortexm.tune.session import Progress, TuneOptions, tune_module


class Counting:
    """Counts the candidates that are measured, and stops after some."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.run: RunImage = emulate(BOARD)
        self.count, self.stop_after = 0, stop_after

    def __call__(self, image: Any, *arguments: Any) -> Any:
        self.count += len(image.candidates)
        if self.count > self.stop_after:
            raise KeyboardInterrupt
        return self.run(image, *arguments)


def tune(path: Path, trials: int, run: Counting, net: str = "keywords") -> list[Progress]:
    module = build_folded(folded(net)).module
    database = load_database(path, create=True)
    return tune_module(module, BOARD, database, TuneOptions(trials, jobs=1), run=run)


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    first = Counting()
    kinds = tune(whole, 40, first)
    assert first.count == 40
    with pytest.raises(KeyboardInterrupt):
        tune(parts, 40, Counting(stop_after=20))
    known = parts.read_text().count("schedule")
    assert 0 < known <= 20
    rest = Counting()
    again = tune(parts, 40 - known, rest)
    assert rest.count == 40 - known
    assert parts.read_text() == whole.read_text()
    assert [kind.best for kind in again] == [kind.best for kind in kinds]
    assert all(isinstance(kind.own, Cost) and kind.failed == 0 for kind in kinds)


def test_a_build_with_the_results_is_exact_and_not_slower(tmp_path: Path) -> None:
    path = tmp_path / "db.jsonl"
    tune(path, 200, Counting(), "autoencoder")
    own, tuned = (
        build_folded(folded("autoencoder"), objective="speed", db=db) for db in (None, path)
    )
    samples = random_samples(own.program.inputs, 2, seed=3)
    assert str(tuned.module["main"].attrs["vq.schedules"]) != "{}"
    runs = [compiled.run(samples, BOARD, check=True) for compiled in (own, tuned)]
    assert all(run.bit_exact for run in runs)
    assert (runs[1].cycles or 0) <= (runs[0].cycles or 0)
    assert tuned.plan.arena_bytes <= own.plan.arena_bytes


def test_a_board_that_is_not_emulated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not emulated"):
        tune_module(folded("keywords"), BOARDS["host"], load_database(tmp_path / "d", create=True))


def test_what_hardware_counts_is_kept_apart_from_what_is_modelled(tmp_path: Path) -> None:
    hardware, path = BOARDS["nucleo-l4r5zi"], tmp_path / "db.jsonl"
    assert hardware.core == BOARD.core
    module = build_folded(folded("keywords")).module

    def counted(image: Any, *arguments: Any) -> DeviceRun:
        """As such a board's run is: twice the cycles, and no instructions."""
        done = emulate(BOARD)(image, *arguments)
        records = tuple(
            InferenceRecord(
                None,
                2 * (record.cycles or 0),
                tuple(LayerRecord(one.function, None, 2 * one.cycles) for one in record.layers),
                (),
            )
            for record in done.records
        )
        return replace(done, records=records)

    how = TuneOptions(10, jobs=1)
    modelled = tune_module(module, BOARD, load_database(path, create=True), how)
    database = load_database(path, create=True)
    found = tune_module(module, hardware, database, how, run=counted)
    assert path.read_text().count("schedule") == 20
    for before, now in zip(modelled, found, strict=True):
        if isinstance(before.own, Cost):
            want = replace(before.own, cycles=2 * (before.own.cycles or 0), instructions=None)
            assert now.own == want
    for records in load_database(path).records.values():
        by = {compiler for compiler, _ in records}
        assert by == {session.compiler_id(), f"{session.compiler_id()}, nucleo-l4r5zi"}
    with pytest.raises(UsageError, match="is hardware and not emulated"):
        tune_module(module, hardware, database, how)


def test_objectives_weigh_flash_and_ram() -> None:
    cost = Cost(100, 90, 20, 10)
    assert Objective().cost(cost) == 100
    assert Objective(1, 5, 0).cost(cost) == 200
    assert Objective(0, 0, 1).cost(cost) == 10
    for text in ("cycles", "ram", "cycles+20*flash", "0.5*cycles+3*flash+ram"):
        assert str(parse_objective(text)) == text


def test_how_weights_of_few_levels_are_stored_is_part_of_the_space(tmp_path: Path) -> None:
    module = nary_net(levels_of(9, False, 1), "plain")
    module["main"] = module["main"].without_attr("vq.virtual_quantization")
    built = build_folded(module, objective="speed")
    path = tmp_path / "db.jsonl"
    database = load_database(path, create=True)
    kinds = tune_module(built.module, BOARD, database, TuneOptions(60, jobs=2))
    assert sum(kind.measured for kind in kinds) == 60
    stored = {str(layer["realisation"]) for layer in database.layers.values()}
    assert {"plain", "bitfield"} < stored
    for task in database.layers:
        assert sum(record.is_own for record in database.known(task)) <= 1
    again = build_folded(module, objective="speed", db=path)
    samples = random_samples(again.program.inputs, 2, seed=1)
    assert again.run(samples, BOARD, check=True).bit_exact


def test_a_space_beyond_the_budget_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ENUMERATED", 16)
    searched = []

    def search(space: Space, trials: int, seed: int, evaluate: Evaluate) -> None:
        searched.append((len(space), trials))
        guided_search(space, trials, seed, evaluate)

    monkeypatch.setattr(guided, "guided_search", search)
    kinds = tune(tmp_path / "db.jsonl", 24, Counting())
    assert searched and all(trials <= 16 < points for points, trials in searched)
    some = [kind for kind in kinds if 1 < kind.measured < kind.points]
    assert some and all(kind.failed == 0 and kind.best is not None for kind in some)
