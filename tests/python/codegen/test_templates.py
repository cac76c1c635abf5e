"""Templates are compiled once, and take no value for granted."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from vq_cortexm.codegen.templates import template


def test_compiled_once() -> None:
    assert template("app.c.j2") is template("app.c.j2")


def test_a_value_that_is_not_given() -> None:
    with pytest.raises(UndefinedError, match="'banner' is undefined"):
        template("model.h.j2").render()
