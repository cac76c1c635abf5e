"""Identifiers for C."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.c_names import KEYWORDS, c_identifier, unique_identifiers


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


@given(st.lists(st.text(), max_size=8))
def test_unique_even_in_capitals(names: list[str]) -> None:
    result = unique_identifiers(names)
    assert len({name.upper() for name in result}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in result)
