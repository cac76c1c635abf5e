"""Identifiers for C."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.c_names import KEYWORDS, c_identifier


@given(st.text())
def test_always_an_identifier(name: str) -> None:
    result = c_identifier(name)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", result)
    assert result not in KEYWORDS


@pytest.mark.parametrize(
    ("name", "expected"),
    [("conv/x:0", "conv_x_0"), ("7x", "tensor_7x"), ("int", "tensor_int"), ("", "tensor")],
)
def test_stays_close(name: str, expected: str) -> None:
    assert c_identifier(name) == expected
