"""The table of nodes that Relay-era TVM wrote as JSON: nodes by number, fields, arrays in base64.

Every number is checked before it is followed, so a damaged table ends in a ModelError.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

_ARRAY_MAGIC = 0xDD5E40F096B4A13F
_KINDS = {0: "int", 1: "uint", 2: "float"}
"""Type codes of DLPack."""
_LAST_VERSION = (0, 19)
"""Of TVM with Relay."""


@dataclass(frozen=True, eq=False)
class RelayTable:
    """Nodes as the file has them: dictionaries with a `type_key`."""

    nodes: list[Any]
    arrays: list[Any]
    root: int

    @staticmethod
    def of(document: Any) -> RelayTable:
        """The table of a parsed file; ModelError where it is none of a TVM with Relay."""
        if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
            raise ModelError("not a module that TVM saved (it has no table of nodes)")
        # today's TVM writes it elsewhere
        attrs = document.get("attrs", document.get("metadata"))
        version = str(attrs.get("tvm_version", "")) if isinstance(attrs, dict) else ""
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if not numbers or tuple(map(int, numbers.groups())) > _LAST_VERSION:
            said = f"saved by TVM {version!r}" if version else "has no tvm_version"
            raise ModelError(f"{said}; Relay modules of TVM 0.7 to 0.19 work")
        root, arrays = document.get("root"), document.get("b64ndarrays", [])
        if not isinstance(root, int) or not isinstance(arrays, list):
            raise ModelError("its table of nodes has no root")
        return RelayTable(document["nodes"], arrays, root)

    def node(self, number: int) -> dict[str, Any]:
        """A node; ModelError where the table has none of this number."""
        if not 0 <= number < len(self.nodes) or not isinstance(self.nodes[number], dict):
            raise ModelError(f"node {number} is not in its table of {len(self.nodes)} nodes")
        found: dict[str, Any] = self.nodes[number]
        return found

    def type_of(self, number: int) -> str:
        """The node's type, as TVM names it."""
        return str(self.node(number).get("type_key", ""))

    def fields(self, number: int, kind: str = "") -> dict[str, str]:
        """The node's fields; ModelError if it is not of type `kind`, where one is given."""
        node = self.node(number)
        fields = node.get("attrs", {})
        if (kind and node.get("type_key") != kind) or not isinstance(fields, dict):
            raise ModelError(
                f"node {number} is a {node.get('type_key')!r}, not a {kind or 'record'}"
            )
        return {str(k): str(v) for k, v in fields.items()}

    def reference(self, fields: dict[str, str], *names: str) -> int:
        """The number that the first known of these fields holds."""
        for name in names:
            if re.fullmatch(r"\d{1,9}", fields.get(name, "")):
                return int(fields[name])
        raise ModelError(f"a node's field {names[0]} is {fields.get(names[0])!r}, not a number")

    def items(self, number: int) -> tuple[int, ...]:
        """The numbers that an Array holds, or a Map one after the other."""
        node = self.node(number)
        data = node.get("data", [])
        if node.get("type_key") not in ("Array", "Map") or not isinstance(data, list):
            raise ModelError(f"node {number} is a {node.get('type_key')!r}, not an array")
        if not all(type(item) is int for item in data):
            raise ModelError(f"node {number} holds what is no node")
        return tuple(data)

    def mapping(self, number: int) -> dict[str, int]:
        """A Map whose keys are texts."""
        keys = self.node(number).get("keys", [])
        return dict(zip(map(str, keys), self.items(number), strict=False))

    def text(self, number: int) -> str:
        """The text, or the name, that a node stands for."""
        node = self.node(number)
        if "repr_b64" in node:
            return base64.b64decode(str(node["repr_b64"])).decode("utf-8", "replace")
        return str(node.get("repr_str", ""))

    def label(self, fields: dict[str, str], name: str) -> str:
        """The text of a field: in place, or the node whose number it holds."""
        value = fields.get(name, "")
        return self.text(int(value)) if re.fullmatch(r"\d{1,9}", value) else value

    def integers(self, number: int) -> tuple[int, ...]:
        """An Array of numbers, or one number."""
        if self.type_of(number) == "IntImm":
            return (self._integer(number),)
        return tuple(self._integer(item) for item in self.items(number))

    def array(self, index: int) -> NDArray[Any]:
        """A copy of array `index`; ModelError where it is absent or damaged."""
        if index >= len(self.arrays):
            raise ModelError(f"array {index} is missing: the file has {len(self.arrays)}")
        try:
            return _decoded(base64.b64decode(str(self.arrays[index]), validate=True))
        except (ValueError, struct.error, TypeError):
            raise ModelError(f"array {index} is damaged") from None

    def _integer(self, number: int) -> int:
        if self.type_of(number) in ("tir.Any", "tir.Var", "tir.SizeVar"):
            raise ModelError("a shape is not static; save the module with static shapes")
        value = self.fields(number, "IntImm").get("value", "")
        if not re.fullmatch(r"-?\d{1,19}", value):
            raise ModelError(f"node {number} holds no number")
        return int(value)


def _decoded(data: bytes) -> NDArray[Any]:
    """TVM's NDArray in bytes: header, DLPack type, shape, data; ValueError where they disagree."""
    magic, _, _, _, rank, code, bits, lanes = struct.unpack_from("<QQiiiBBH", data)
    if magic != _ARRAY_MAGIC or lanes != 1 or code not in _KINDS or not 0 <= rank <= 8:
        raise ValueError("not an array")
    dtype = np.dtype("bool" if (code, bits) == (1, 1) else f"{_KINDS[code]}{bits}")
    start = struct.calcsize("<QQiiiBBH")
    *shape, size = struct.unpack_from(f"<{rank + 1}q", data, start)
    start += 8 * (rank + 1)
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size:
        raise ValueError("shape and size disagree")
    return np.frombuffer(data, dtype, math.prod(shape), start).reshape(shape).copy()
