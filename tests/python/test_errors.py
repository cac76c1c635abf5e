"""Errors are one line, whatever the names in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vq_cortexm.errors import ModelError, RunError, UsageError, VqError, naming


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


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("layer 'a': is odd", "net.onnx: layer 'a': is odd"),
        ("net.onnx: damaged", "net.onnx: damaged"),
        ("models/net.onnx: no such file", "models/net.onnx: no such file"),
        ("net.onnx_0: is odd", "net.onnx: net.onnx_0: is odd"),
    ],
)
def test_model_is_named_once(said: str, shown: str) -> None:
    with pytest.raises(ModelError) as caught, naming(Path("models/net.onnx")):
        raise ModelError(said)
    assert str(caught.value) == shown


def test_other_errors_name_what_they_are_about() -> None:
    with pytest.raises(UsageError, match=r"^unknown board$"), naming("the fast net"):
        raise UsageError("unknown board")
