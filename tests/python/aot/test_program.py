"""Names of tensors and of storage stay apart, whatever a model calls its inputs."""

from __future__ import annotations

from typing import Any

import pytest
from tvm import relax
from vq_models import ModelBuilder

from vq_cortexm.build import build_folded
from vq_cortexm.samples import random_samples


def chain(input_name: str) -> Any:
    """Two layers, `first` and `second` (which has the scratch buffer `second_rows`)."""
    model = ModelBuilder((1, 5, 5, 4), seed=5)
    model.input = relax.Var(input_name, model.input.ty)
    return model.build(lambda m, x: m.depthwise(m.conv2d(x, 4, 3, "first", pad=1), 3, "second"))


@pytest.mark.parametrize("name", ["first", "second", "second_rows", "arena", "inputs", "class"])
@pytest.mark.parametrize("io", ["arena", "caller"])
def test_an_input_may_be_called_like_anything(name: str, io: str) -> None:
    compiled = build_folded(chain(name), io=io)
    result = compiled.run(random_samples(compiled.program.inputs, 3, seed=1), "host", check=True)
    assert result.bit_exact
    assert len({s.name for s in compiled.program.storages}) == len(compiled.program.storages)
