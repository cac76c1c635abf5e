"""Models of drawn operators, shapes and numbers: the compiled C, under sanitizers and on boards, is
the reference, and the reference is the runtime of the model's format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from drawn import batch as batch_module
from drawn.batch import Outcome, run_batch
from drawn.composite import Member, write_composite
from drawn.models import KINDS, Drawn, draw_model
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vq_cortexm.reference import reference_answer
from vq_cortexm.target import BOARDS

Record = Callable[[str, object], None]
PER_KIND = -(-2_100 // len(KINDS))
"""So that a whole run has more than 2,000 models."""
BATCHES = 30
EMULATED = [name for name, board in BOARDS.items() if board.emulation == "qemu"]
QUICK_BATCHES = 2


def check(outcome: Outcome) -> None:
    lines = outcome.differences + outcome.reports
    again = 'PYTHONPATH=tests/python python -m drawn.repeat "NAME"'
    assert not lines, "\n".join([*lines, f"to repeat one: {again}"])


def boards_of(index: int) -> list[str]:
    """Two of all boards, in turn."""
    return [EMULATED[(2 * index + i) % len(EMULATED)] for i in range(2)]


@pytest.mark.parametrize("batch", range(QUICK_BATCHES))
def test_a_model_of_every_kind(batch: int, tmp_path: Path) -> None:
    models = [draw_model(f"{kind}/0") for kind in KINDS[batch::QUICK_BATCHES]]
    check(run_batch(models, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_many_models(batch: int, tmp_path: Path, record_property: Record) -> None:
    names = [f"{kind}/{1000 + i}" for i in range(PER_KIND) for kind in KINDS][batch::BATCHES]
    outcome = run_batch([draw_model(name) for name in names], tmp_path, boards_of(batch))
    record_property("drawn", json.dumps(asdict(outcome)))
    check(outcome)
    assert outcome.models == names
    assert len(outcome.emulated) > 10


@pytest.mark.slow
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(kind=st.sampled_from(KINDS), random=st.randoms(use_true_random=False))
def test_one_model_as_small_as_one_that_fails_can_be(
    tmp_path_factory: pytest.TempPathFactory, kind: str, random: Random
) -> None:
    model = draw_model(f"{kind}/any", random)
    check(run_batch([model], tmp_path_factory.mktemp("drawn")))


def callers_model(kind: str) -> Drawn:
    """The first of its kind whose tensors are the caller's, and that is no debug build."""
    names = (f"{kind}/{number}" for number in count())
    drawn = (draw_model(name) for name in names)
    return next(m for m in drawn if m.options.get("io") == "caller" and not m.poison)


def test_faults_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference that is off by one, and an input that is one byte short."""
    right, wrong, short = (callers_model(f"tflite/{name}") for name in ("ADD", "MUL", "ABS"))

    def off(module: Any, sample: Any) -> Any:
        (first, *rest), path = reference_answer(module, sample)
        return ((first ^ 1 if "vq.mul" in str(module) else first), *rest), path

    def cut(members: Sequence[Member], folder: Path) -> Path:
        write_composite(members, folder)
        for member in members:
            if member.compiled.name == "m2":
                unit, size = folder / "m2.c", member.compiled.model_io.inputs[0].size_bytes
                text = unit.read_text()
                assert f"given_0[{size}]" in text
                unit.write_text(text.replace(f"given_0[{size}]", f"given_0[{size - 1}]"))
        return folder

    monkeypatch.setattr(batch_module, "reference_answer", off)
    monkeypatch.setattr(batch_module, "write_composite", cut)
    outcome = run_batch([right, wrong, short], tmp_path)
    assert {line.partition(":")[0] for line in outcome.differences} == {wrong.name}
    (report,) = outcome.reports
    assert report.startswith(f"{short.name}: ")
    assert "global-buffer-overflow" in report
