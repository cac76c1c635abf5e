"""The JSON text of a Relay-era `tvm.ir.save_json` as plain records: expressions with their
attributes and constants.

The text is a table of nodes that refer to each other by number, and a list of arrays in base64.
Nothing is interpreted here beyond that; `relay_json.py` gives the operators their meaning. TVM
itself no longer reads this format.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from ..errors import ModelError
from .relay_table import RelayTable

_RELAY_TYPES = {
    "relay.If": "control flow",
    "relay.Match": "control flow",
    "relay.Let": "a let binding",
    "relay.RefCreate": "a mutable reference",
    "relay.RefRead": "a mutable reference",
    "relay.RefWrite": "a mutable reference",
    "relay.Function": "a function within a function",
    "relay.Constructor": "an algebraic data type",
    "GlobalVar": "a function of its own",
}
"""Expressions that are no dataflow, and what they are."""
_WORKS = "one function of operator calls works, not fused, partitioned or in A-normal form"


@dataclass(frozen=True, eq=False)
class RelayVar:
    """A parameter of the function."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class RelayConstant:
    """An array of the file."""

    value: NDArray[Any]


@dataclass(frozen=True, eq=False)
class RelayCall:
    """A call of the operator `op`; `number` tells calls apart in messages."""

    op: str
    args: tuple[RelayExpr, ...]
    attrs: RelayAttrs
    number: int


@dataclass(frozen=True, eq=False)
class RelayTuple:
    """Several expressions as one."""

    fields: tuple[RelayExpr, ...]


@dataclass(frozen=True, eq=False)
class RelayItem:
    """A field of an expression that is a tuple."""

    source: RelayExpr
    index: int


RelayExpr: TypeAlias = RelayVar | RelayConstant | RelayCall | RelayTuple | RelayItem


@dataclass(frozen=True, eq=False)
class RelayFunction:
    """`main`. `expressions` are all that the body needs, each after those that it needs; the last
    one is the body."""

    params: tuple[RelayVar, ...]
    expressions: tuple[RelayExpr, ...]
    output_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RelayAttrs:
    """The attributes of a call, read by the type that the asker expects.

    Each raises ModelError where the attribute is absent without a default or of another type.
    """

    table: RelayTable
    fields: dict[str, str]

    def integer(self, name: str, default: int | None = None) -> int:
        """A number that is written in place."""
        return int(self._field(name, default, r"-?\d+"))

    def number(self, name: str) -> float:
        """A real number that is written in place."""
        return float(self._field(name, None, r"[-+.\deEinf]+"))

    def text(self, name: str, default: str | None = None) -> str:
        """A text: in place, or a node of its own."""
        field = self._field(name, default, ".*")
        return self.table.text(int(field)) if re.fullmatch(r"\d+", field) else field

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An array of numbers, or one number for it; None where there is none."""
        node = self._node(name)
        return None if node is None else self.table.integers(node)

    def is_array(self, name: str) -> bool:
        """Whether it is an array, rather than one number."""
        node = self._node(name)
        return node is not None and self.table.type_of(node) == "Array"

    def pairs(self, name: str) -> tuple[tuple[int, ...], ...]:
        """An array of arrays of numbers."""
        node = self._node(name)
        fields = [] if node is None else self.table.items(node)
        return tuple(self.table.integers(field) for field in fields)

    def _node(self, name: str) -> int | None:
        return int(self._field(name, 0, r"\d+")) or None

    def _field(self, name: str, default: object, pattern: str) -> str:
        value = self.fields.get(name, default)
        if value is None or not re.fullmatch(pattern, str(value)):
            raise ModelError(f"its attribute {name} is {value!r}")
        return str(value)


def read_relay(text: str) -> RelayFunction:
    """The function `main` of a Relay module, or a Relay function, that was saved as JSON.

    Raises ModelError for a text that is none, damaged, or holds more than dataflow.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError("truncated or not JSON") from None
    table = RelayTable.of(document)
    main = _main(table, table.root)
    function = table.fields(main, "relay.Function")
    params = table.items(table.reference(function, "params"))
    expressions = _in_order(table, params, table.reference(function, "body"))
    variables = tuple(expressions[p] for p in params)
    assert all(isinstance(v, RelayVar) for v in variables)
    ordered = (e for number, e in expressions.items() if number not in set(params))
    body = expressions[table.reference(function, "body")]
    # a body that is a parameter comes last too
    return RelayFunction(
        tuple(v for v in variables if isinstance(v, RelayVar)),
        (*(e for e in ordered if e is not body), body),
        _output_names(table, function),
    )


def _main(table: RelayTable, root: int) -> int:
    """The number of the function's node."""
    if table.type_of(root) == "relay.Function":
        return root
    if table.type_of(root) != "IRModule":
        raise ModelError(f"a {table.type_of(root) or 'nothing'}, not a module with Relay functions")
    functions = table.items(table.reference(table.fields(root), "functions"))
    for key, value in zip(functions[::2], functions[1::2], strict=True):
        if table.label(table.fields(key), "name_hint") == "main":
            if table.type_of(value) != "relay.Function":
                raise ModelError(f"its function main is a {table.type_of(value)}, not Relay's")
            return value
    raise ModelError("has no function main")


def _output_names(table: RelayTable, function: dict[str, str]) -> tuple[str, ...]:
    """Those that Relay's TFLite importer keeps."""
    attrs = int(function.get("attrs", 0))
    if table.type_of(attrs) != "DictAttrs":
        return ()
    names = table.mapping(table.reference(table.fields(attrs), "__dict__"))
    kept = names.get("output_tensor_names")
    return () if kept is None else tuple(table.text(item) for item in table.items(kept))


def _in_order(table: RelayTable, params: tuple[int, ...], body: int) -> dict[int, RelayExpr]:
    """All expressions by their numbers, each after its parts; without recursion, as depth is the
    file's choice."""
    done: dict[int, RelayExpr] = {}
    for param in params:
        done[param] = _variable(table, param)
    entered: set[int] = set()
    stack = [(body, False)]
    while stack:
        number, parts_done = stack.pop()
        if number in done:
            continue
        if parts_done:
            done[number] = _expression(table, number, done)
            continue
        if number in entered:
            raise ModelError(f"node {number} is a part of itself")
        entered.add(number)
        stack.append((number, True))
        stack.extend((part, False) for part in reversed(_parts(table, number)))
    return done


def _parts(table: RelayTable, number: int) -> tuple[int, ...]:
    """The numbers of an expression's own parts; ModelError where it is no dataflow."""
    kind, fields = table.type_of(number), table.fields(number)
    if kind == "relay.Call":
        operator = table.reference(fields, "op")
        if table.type_of(operator) != "Op":
            _refuse(table, operator)
        return table.items(table.reference(fields, "args"))
    if kind == "relay.Tuple":
        return table.items(table.reference(fields, "fields"))
    if kind == "relay.TupleGetItem":
        return (table.reference(fields, "tuple_value", "tuple"),)
    if kind != "relay.Constant":
        _refuse(table, number)
    return ()


def _refuse(table: RelayTable, number: int) -> None:
    kind = table.type_of(number)
    if kind == "relay.Var":
        raise ModelError(f"the variable of node {number} is no parameter of main")
    what = f" ({_RELAY_TYPES[kind]})" if kind in _RELAY_TYPES else ""
    raise ModelError(f"{kind or 'an empty node'}{what} in node {number}; {_WORKS}")


def _expression(table: RelayTable, number: int, done: dict[int, RelayExpr]) -> RelayExpr:
    kind, fields = table.type_of(number), table.fields(number)
    if kind == "relay.Constant":
        return RelayConstant(table.array(table.reference(fields, "data")))
    parts = tuple(done[part] for part in _parts(table, number))
    if kind == "relay.Tuple":
        return RelayTuple(parts)
    if kind == "relay.TupleGetItem":
        return RelayItem(parts[0], table.reference(fields, "index"))
    attrs = int(fields.get("attrs", 0))
    return RelayCall(
        table.text(table.reference(fields, "op")),
        parts,
        RelayAttrs(table, table.fields(attrs) if attrs else {}),
        number,
    )


def _variable(table: RelayTable, number: int) -> RelayVar:
    fields = table.fields(number, "relay.Var")
    name = table.label(table.fields(table.reference(fields, "vid")), "name_hint")
    annotated = int(fields.get("type_annotation", 0)) or int(fields.get("_checked_type_", 0))
    if table.type_of(annotated) != "relay.TensorType":
        raise ModelError(f"parameter {name!r} has no tensor type")
    of_type = table.fields(annotated)
    shape = table.integers(table.reference(of_type, "shape"))
    if any(n < 1 for n in shape):
        raise ModelError(f"parameter {name!r} has the shape {shape}; static positive sizes work")
    return RelayVar(name, shape, of_type.get("dtype", ""))
