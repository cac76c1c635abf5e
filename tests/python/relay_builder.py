"""Relay modules as the JSON text of `tvm.ir.save_json`, as Relay-era TVM wrote them: for tests."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CODES = {"i": 0, "u": 1, "f": 2}
_IN_PLACE = {"groups", "axis", "out_dtype", "rounding", "compute_dtype", "a_min", "a_max", "dtype"}
"""Attributes that are no nodes of their own."""


class RelayBuilder:
    """A table of nodes; methods return a node's number."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = [{"type_key": ""}]
        self.arrays: list[str] = []
        self.params: list[int] = []

    def node(self, type_key: str, **fields: Any) -> int:
        entry: dict[str, Any] = {"type_key": type_key}
        if fields:
            entry["attrs"] = {name: str(value) for name, value in fields.items()}
        self.nodes.append(entry)
        return len(self.nodes) - 1

    def text(self, text: str) -> int:
        self.nodes.append({"type_key": "runtime.String", "repr_str": text})
        return len(self.nodes) - 1

    def array(self, items: Sequence[int]) -> int:
        self.nodes.append({"type_key": "Array", "data": list(items)})
        return len(self.nodes) - 1

    def integers(self, values: Sequence[int]) -> int:
        return self.array([self.node("IntImm", dtype="int32", span=0, value=v) for v in values])

    def var(self, name: str, shape: Sequence[int], dtype: str = "int8") -> int:
        annotation = self.node("relay.TensorType", dtype=dtype, shape=self.integers(shape), span=0)
        vid = self.node("relay.Id", name_hint=self.text(name))
        found = self.node("relay.Var", type_annotation=annotation, vid=vid, span=0)
        self.params.append(found)
        return found

    def constant(self, value: Any, dtype: str = "") -> int:
        """A constant of an array, or of a number of this type."""
        array = np.asarray(value, dtype or None)
        self.arrays.append(base64.b64encode(_ndarray(array)).decode())
        return self.node("relay.Constant", data=len(self.arrays) - 1, span=0)

    def op(self, name: str) -> int:
        self.nodes.append({"type_key": "Op", "repr_str": name})
        return len(self.nodes) - 1

    def call(self, op: str, args: Sequence[int], **attrs: Any) -> int:
        """A call; attributes are numbers, texts, tuples of numbers or tuples of pairs."""
        fields = {name: self._field(name, value) for name, value in attrs.items()}
        record = self.node("relay.attrs.SomeAttrs", **fields) if attrs else 0
        return self.node(
            "relay.Call", op=self.op(op), args=self.array(args), attrs=record, span=0, type_args=0
        )

    def tuple(self, fields: Sequence[int]) -> int:
        return self.node("relay.Tuple", fields=self.array(fields), span=0)

    def item(self, source: int, index: int) -> int:
        return self.node("relay.TupleGetItem", tuple_value=source, index=index, span=0)

    def document(self, body: int, version: str = "0.18.0") -> dict[str, Any]:
        """The module as JSON has it, with `main` of all variables."""
        main = self.node(
            "relay.Function", params=self.array(self.params), body=body, attrs=0, ret_type=0
        )
        name = self.node("GlobalVar", name_hint=self.text("main"), span=0)
        self.nodes.append({"type_key": "Map", "data": [name, main]})
        root = self.node("IRModule", functions=len(self.nodes) - 1)
        return {
            "root": root,
            "nodes": self.nodes,
            "b64ndarrays": self.arrays,
            "attrs": {"tvm_version": version},
        }

    def build(self, body: int) -> str:
        return json.dumps(self.document(body))

    # ------------------------------------------------------------------ quantized operators

    def scales(self, *pairs: tuple[float, int]) -> list[int]:
        """Constants of scale and zero point, one after the other."""
        return [
            self.constant(value, dtype)
            for pair in pairs
            for value, dtype in zip(pair, ("float32", "int32"), strict=True)
        ]

    def requantize(self, x: int, given: Any, wanted: tuple[float, int], **attrs: Any) -> int:
        """`given`: scale (one, or one a channel) and zero point."""
        scale = self.constant(np.asarray(given[0], np.float32))
        args = [x, scale, self.constant(given[1], "int32"), *self.scales(wanted)]
        defaults = {"axis": -1, "out_dtype": "int8", "rounding": "None", "compute_dtype": "None"}
        return self.call("qnn.requantize", args, **{**defaults, **attrs})

    def conv2d(
        self, x: int, weight: NDArray[Any], zero_points: tuple[int, int], **attrs: Any
    ) -> int:
        """`qnn.conv2d` with int32 sums; its scales, which change nothing, are 1."""
        zeros = [self.constant(z, "int32") for z in zero_points]
        ones = [self.constant(1.0, "float32") for _ in range(2)]
        given = {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
        return self.call(
            "qnn.conv2d",
            [x, self.constant(weight), *zeros, *ones],
            **{**given, "out_dtype": "int32", **attrs},
        )

    def dense(self, x: int, weight: NDArray[Any], zero_points: tuple[int, int]) -> int:
        zeros = [self.constant(z, "int32") for z in zero_points]
        ones = [self.constant(1.0, "float32") for _ in range(2)]
        args = [x, self.constant(weight), *zeros, *ones]
        return self.call("qnn.dense", args, out_dtype="int32")

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            if value and isinstance(value[0], tuple):
                return self.array([self.integers(pair) for pair in value])
            return self.integers(value)
        if isinstance(value, str) and name not in _IN_PLACE:
            return self.text(value)
        return int(value) if isinstance(value, bool) else value


def _ndarray(array: NDArray[Any]) -> bytes:
    """TVM's NDArray in bytes."""
    header = struct.pack(
        "<QQiiiBBH",
        0xDD5E40F096B4A13F,
        0,
        1,
        0,
        array.ndim,
        _CODES[array.dtype.kind],
        array.dtype.itemsize * 8,
        1,
    )
    data = np.ascontiguousarray(array).tobytes()
    return header + struct.pack(f"<{array.ndim + 1}q", *array.shape, len(data)) + data
