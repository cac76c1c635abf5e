"""The models of the examples, as debug builds under the address and undefined-behaviour
sanitizers, give what the reference says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from drawn.batch import run_batch

import vq_cortexm
from vq_cortexm.compiled_model import CompiledModel

EXAMPLES = Path(__file__).parents[3] / "examples"
MODELS = sorted(
    str(path.relative_to(EXAMPLES))
    for pattern in ("*/*.onnx", "bcnet/*/seed0/*.onnx")
    for path in EXAMPLES.glob(pattern)
)
BATCHES = 3
"""Each is one library."""


@dataclass(frozen=True)
class Example:
    """A model of `drawn.batch`; its format's own runtime is asked elsewhere."""

    name: str
    poison: bool
    steps: int | None = None

    def compile(self, identifier: str, target: str) -> CompiledModel:
        module = vq_cortexm.frontend.load(EXAMPLES / self.name)
        return vq_cortexm.build(module, target, name=identifier)


@pytest.mark.slow
@pytest.mark.parametrize("poison", [False, True], ids=["release", "debug"])
@pytest.mark.parametrize("batch", range(BATCHES))
def test_every_model(batch: int, poison: bool, tmp_path: Path) -> None:
    names = MODELS[batch::BATCHES]
    outcome = run_batch([Example(name, poison) for name in names], tmp_path)
    assert (outcome.models, outcome.differences, outcome.reports) == (names, [], [])
