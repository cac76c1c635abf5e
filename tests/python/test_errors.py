"""Errors are one line, whatever the names in them."""

from __future__ import annotations

import pytest

from vq_cortexm.errors import ModelError, RunError, VqError


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a.onnx: layer 'é' is odd", "a.onnx: layer 'é' is odd"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("\x1b[31mred\0", "\\x1b[31mred\\x00"),
        ("half a pair \ud800", "half a pair \\ud800"),
        ("\u2028", "\\u2028"),
    ],
)
def test_what_cannot_be_printed_is_escaped(said: str, shown: str) -> None:
    errors: list[VqError] = [ModelError(said), RunError(said, 3)]
    for error in errors:
        assert str(error) == shown
        assert str(type(error)(*error.args, *[3] * isinstance(error, RunError))) == shown
