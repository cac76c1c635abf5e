"""Concatenations without copies: which they are, where their parts lie, and that they are exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tvm import relax
from vq_models import ModelBuilder

from vq_cortexm.aot.plan import MemoryPlan, check_plan
from vq_cortexm.build import build_folded
from vq_cortexm.compat import shape_of
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.op.concat import ConcatAttrs
from vq_cortexm.op.reshape import ReshapeAttrs
from vq_cortexm.samples import random_samples
from vq_cortexm.transform.free_concats import free_concats

Make = Callable[["_Net", Any], Any]


class _Net(ModelBuilder):
    def concat(self, axis: int, *parts: Any) -> Any:
        return self.emit("vq.concat", list(parts), ConcatAttrs(axis), "concat")

    def conv(self, x: Any, label: str, channels: int = 4) -> Any:
        return self.conv2d(x, channels, 1, label)

    def flat(self, x: Any) -> Any:
        rows = shape_of(x)[1] * shape_of(x)[2]
        return self.emit("vq.reshape", [x], ReshapeAttrs((1, rows, shape_of(x)[3])), "flat")


def module(make: Make) -> Any:
    return _Net((1, 5, 6, 4), seed=1).build(make)


def checked(folded: Any, io: Any) -> CompiledModel:
    """The compiled model; asserts that it is exact under poison."""
    compiled = build_folded(folded, io=io, name="net")
    samples = random_samples(compiled.program.inputs, 3, seed=1)
    assert compiled.run(samples, "host", check=True, poison=True).bit_exact
    return compiled


def _two_rows(m: _Net, x: Any) -> Any:
    return m.max_pool(m.concat(1, m.conv(x, "a"), m.conv(x, "b")), "pool")


def _heads(m: _Net, x: Any) -> Any:
    """As detectors end: maps of several sizes, flattened, one after another."""
    small = m.conv(m.max_pool(x, "pool"), "small")
    return m.concat(1, m.flat(m.conv(x, "large")), m.flat(small))


def _part_in_place(m: _Net, x: Any) -> Any:
    first = m.conv(x, "first")
    return m.max_pool(m.concat(1, m.add(first, x, "sum"), m.depthwise(first, 3, "other")), "pool")


def _part_used_again(m: _Net, x: Any) -> Any:
    a = m.conv(x, "a")
    wide = m.max_pool(m.concat(1, a, m.conv(a, "b")), "pool")
    return m.add(wide, wide, "sum")


def _copied_after(m: _Net, x: Any) -> Any:
    """One that is free is copied by one that is not."""
    both = m.concat(1, m.conv(x, "a"), m.conv(x, "b"))
    return m.concat(3, both, m.conv(both, "c"))


FREE = [_two_rows, _heads, _part_in_place, _part_used_again]


@pytest.mark.parametrize("io", ["arena", "caller"])
@pytest.mark.parametrize("make", FREE)
def test_no_copies(make: Make, io: Any) -> None:
    folded = module(make)
    assert len(free_concats(folded["main"])) == 1
    compiled = checked(folded, io)
    assert "concat" not in [step.op for step in compiled.program.steps]
    (group,) = compiled.program.adjacent
    places = {p.storage.name: p for p in compiled.plan.placements}
    if make is not _heads or io == "arena":
        first, second = (places[name] for name in group)
        assert first.end == second.offset
    else:
        assert not places.keys() & set(group)


def test_free_concat_takes_no_memory_of_its_own() -> None:
    compiled = checked(module(_heads), "arena")
    assert compiled.program.outputs[0].size_bytes == 4 * (30 + 6)
    outputs = [s.size_bytes for s in compiled.program.storages if s.role == "output"]
    assert sum(outputs) == 4 * (30 + 6)
    assert "concat" not in {s.name for s in compiled.program.storages}


@pytest.mark.parametrize(
    "make",
    [
        lambda m, x: m.concat(3, m.conv(x, "a"), m.conv(x, "b")),
        lambda m, x: m.concat(1, x, m.conv(x, "a")),
        lambda m, x: m.concat(1, *[m.conv(x, "a")] * 2),
        lambda m, x: m.concat(1, m.conv(x, "a", 3), m.conv(x, "b", 3)),
        lambda m, x: m.concat(1, m.flat(x), m.flat(m.conv(x, "a"))),
    ],
    ids=["inner axis", "model input", "twice the same", "unaligned", "view of the input"],
)
def test_others_are_copied(make: Make) -> None:
    folded = module(make)
    assert not free_concats(folded["main"])
    compiled = checked(folded, "caller")
    assert [step.op for step in compiled.program.steps][-1] == "concat"
    assert compiled.program.adjacent == ()


def test_free_one_is_part_of_one_that_is_not() -> None:
    folded = module(_copied_after)
    assert len(free_concats(folded["main"])) == 1
    compiled = checked(folded, "arena")
    assert [step.op for step in compiled.program.steps].count("concat") == 1


def test_part_that_is_an_output_too_is_copied() -> None:
    def make(m: _Net, x: Any) -> Any:
        a = m.conv(x, "a")
        return m.builder.emit(relax.Tuple([a, m.concat(1, a, m.conv(x, "b"))]))

    folded = module(make)
    described = {"inputs": [{}], "outputs": [{}, {}]}
    folded["main"] = folded["main"].with_attr("vq.quantization", described)
    assert not free_concats(folded["main"])
    checked(folded, "caller")


def test_plan_with_parts_apart_is_refused() -> None:
    compiled = checked(module(_two_rows), "arena")
    (group,) = compiled.program.adjacent
    moved = tuple(
        replace(p, offset=1000) if p.storage.name == group[1] else p
        for p in compiled.plan.placements
    )
    with pytest.raises(ValueError, match="does not follow"):
        check_plan(MemoryPlan(moved, 2000, 0), compiled.program)
