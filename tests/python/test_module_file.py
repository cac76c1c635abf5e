"""Modules in TVM's JSON: what is whole is read, what would end the process is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vq_models import tiny_conv

from vq_cortexm.compat import save_module
from vq_cortexm.module_file import load_module_file


def document() -> Any:
    return json.loads(save_module(tiny_conv()))


def test_what_is_saved_is_read() -> None:
    assert load_module_file(json.dumps(document()))["main"].attrs["vq.rounding"] == "single"


def test_a_type_that_is_its_own_result(capfd: pytest.CaptureFixture[str]) -> None:
    """TVM itself does not survive it."""
    damaged = document()
    nodes = damaged["nodes"]
    number = next(i for i, node in enumerate(nodes) if node["type"] == "relax.FuncType")
    nodes[number]["data"]["ret"] = number
    with pytest.raises(ValueError, match="not a module that TVM can read"):
        load_module_file(json.dumps(damaged))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000])
def test_other_texts(text: str) -> None:
    with pytest.raises(ValueError, match="not a module that TVM can read"):
        load_module_file(text)
