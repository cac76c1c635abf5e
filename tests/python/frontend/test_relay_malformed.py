"""Relay files that are damaged or hold what is not supported: status 2 and one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, fail
from relay_builder import RelayBuilder

from vq_cortexm.compat import save_module
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_relay_json

Document = dict[str, Any]


def document(body: Callable[[RelayBuilder, int], int] | None = None) -> Document:
    """A good module: a dense layer; or one of what `body` makes of an int8 input (1, 6)."""
    net = RelayBuilder()
    data = net.var("data", (1, 6))
    if body is not None:
        return net.document(body(net, data))
    y = net.dense(data, np.ones((3, 6), np.int8), (0, 0))
    return net.document(net.requantize(y, (0.1, 0), (0.2, 0)))


def changed(change: Callable[[Document], None]) -> str:
    found = document()
    change(found)
    return json.dumps(found)


def node_of(found: Document, type_key: str) -> dict[str, Any]:
    """The first node of a type."""
    return next(n for n in found["nodes"] if n["type_key"] == type_key)


def shape_of_input(sizes: tuple[int, ...]) -> str:
    net = RelayBuilder()
    y = net.call("clip", [net.var("data", sizes)], a_min=0, a_max=9)
    return net.build(y)


def cyclic(found: Document) -> None:
    calls = [i for i, n in enumerate(found["nodes"]) if n["type_key"] == "relay.Call"]
    args = found["nodes"][calls[0]]["attrs"]["args"]
    found["nodes"][int(args)]["data"][0] = calls[-1]


def without_arrays(found: Document) -> None:
    found["b64ndarrays"] = found["b64ndarrays"][:2]


def damaged_array(found: Document) -> None:
    found["b64ndarrays"][0] = found["b64ndarrays"][0][:40]


def version(text: str) -> Callable[[Document], None]:
    return lambda found: found["attrs"].update(tvm_version=text)


def beyond_the_table(found: Document) -> None:
    node_of(found, "relay.Function")["attrs"]["body"] = "99999"


def expression(type_key: str, **fields: Any) -> str:
    """A module whose body is of another type than a call."""
    return json.dumps(document(lambda net, _data: net.node(type_key, **fields)))


def call(op: str, **attrs: Any) -> str:
    return json.dumps(document(lambda net, data: net.call(op, [data], **attrs)))


def of_floats() -> str:
    net = RelayBuilder()
    data = net.var("data", (1, 6), "float32")
    y = net.call("nn.dense", [data, net.constant(np.ones((3, 6), np.float32))])
    y = net.call("qnn.quantize", [y, *net.scales((0.1, 0))], out_dtype="int8")
    return net.build(y)


def float_requantize() -> str:
    net = RelayBuilder()
    data = net.var("data", (1, 6))
    return net.build(net.requantize(data, (0.1, 0), (0.2, 0), compute_dtype="float32"))


def relax_module() -> str:
    net = RelayBuilder()
    y = net.call("clip", [net.var("data", (1, 6))], a_min=0, a_max=9)
    return save_module(from_relay_json(net.build(y)))


CASES: dict[str, tuple[Callable[[], str], str]] = {
    "truncated": (lambda: json.dumps(document())[:1500], "truncated or not JSON"),
    "empty": (lambda: "", "truncated or not JSON"),
    "not JSON": (lambda: "relay module", "truncated or not JSON"),
    "deep": (lambda: "[" * 200_000, "truncated or not JSON"),
    "no table": (lambda: '{"nodes": 5}', "no table of nodes"),
    "cyclic": (lambda: changed(cyclic), "is a part of itself"),
    "beyond the table": (lambda: changed(beyond_the_table), "node 99999 is not in its table"),
    "huge": (lambda: shape_of_input((1, 9 * 10**9, 10**9)), "2 GB or more"),
    "shape of 0": (lambda: shape_of_input((1, 0)), "static positive sizes work"),
    "missing array": (lambda: changed(without_arrays), "is missing: the file has 2"),
    "damaged array": (lambda: changed(damaged_array), "array 0 is damaged"),
    "version": (lambda: changed(version("0.27.0")), "saved by TVM '0.27.0'"),
    "no version": (lambda: changed(lambda found: found.pop("attrs")), "has no tvm_version"),
    "Relax": (relax_module, "Relay modules of TVM 0.7 to 0.19 work"),
    "If": (lambda: expression("relay.If", cond=1), r"relay\.If \(control flow\)"),
    "Match": (lambda: expression("relay.Match"), r"relay\.Match \(control flow\)"),
    "Let": (lambda: expression("relay.Let", var=1, value=1, body=1), r"relay\.Let \(a let binding"),
    "RefCreate": (lambda: expression("relay.RefCreate"), "a mutable reference"),
    "free variable": (lambda: expression("relay.Var", vid=1), "is no parameter of main"),
    "unknown operator": (
        lambda: call("image.resize3d"),
        r"image\.resize3d \(node \d+\) of integers",
    ),
    "LSTM": (lambda: call("nn.lstm"), r"nn\.lstm \(node \d+\) of integers is not supported"),
    "float operator": (of_floats, "data"),
    "requantized in floats": (float_requantize, "compute_dtype float32; int64"),
    "output of int32": (lambda: call("cast", dtype="int32"), "an output is int32"),
    "wrapping mean": (lambda: call("mean", axis=(1,)), "in 8 bits, where sums wrap"),
    "wrong attribute": (lambda: call("clip", a_min="zero", a_max=9), "its attribute a_min is"),
    "reshape": (lambda: call("reshape", newshape=(7, -1)), "sizes differ"),
}


@pytest.mark.parametrize("name", CASES)
def test_file_is_refused_in_one_line(here: Run, name: str, tmp_path: Path) -> None:
    make, reason = CASES[name]
    path = tmp_path / "odd.json"
    path.write_text(make())
    line = fail(2, "compile", path, "-o", tmp_path / "out", run=here)
    assert "odd.json" in line or name == "float operator"
    with pytest.raises(ModelError, match=reason):
        raise ModelError(line)
    assert not (tmp_path / "out").exists()


def test_bytes_that_are_no_text(here: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(b"\x80\x81\xff")
    assert "not JSON of a Relay module" in fail(2, "run", path, "--board", "host", run=here)


def test_every_number_of_the_table_may_be_wrong() -> None:
    """Any number that is replaced ends in a module or in a ModelError."""
    rng = np.random.default_rng(0)
    text = json.dumps(document())
    refused = 0
    for _ in range(150):
        found = json.loads(text)
        node = found["nodes"][int(rng.integers(1, len(found["nodes"])))]
        fields = node.get("attrs") or node.get("data") or {}
        keys = list(fields) if isinstance(fields, dict) else list(range(len(fields)))
        if keys:
            key = keys[int(rng.integers(len(keys)))]
            wrong = int(rng.integers(-2, len(found["nodes"]) + 2))
            fields[key] = str(wrong) if isinstance(fields, dict) else wrong
        try:
            from_relay_json(json.dumps(found))
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50
