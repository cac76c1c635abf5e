"""Whether a JSON value has the shape that a type says."""

from __future__ import annotations

import types
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

_LARGEST = 1 << 63


class NotConformingError(ValueError):
    """`str(error)` says where, and what is there in place of what."""


def conform(value: Any, wanted: Any, where: str = "") -> None:
    """Raises NotConformingError unless `value` is a `wanted`: a TypedDict, list[T], dict[str, T], a
    union, or a plain type. More keys than a TypedDict names are right; numbers are at most 2**63 in
    size, so that whatever is worked out from them is finite, and an integer is a float too."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return
    if is_typeddict(wanted):
        _conform_keys(value, wanted, where)
    elif origin is types.UnionType:
        # None, or the other
        (other,) = (each for each in arguments if each is not types.NoneType)
        if value is not None:
            conform(value, other, where)
    elif origin is list:
        _be(list, value, where)
        for index, item in enumerate(value):
            conform(item, arguments[0], f"{where}[{index}]")
    elif origin is dict:
        _be(dict, value, where)
        for key, item in value.items():
            conform(item, arguments[1], f"{where}.{key}")
    else:
        _be(wanted, value, where)


def _conform_keys(value: Any, wanted: Any, where: str) -> None:
    _be(dict, value, where)
    for key, hint in get_type_hints(wanted, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        if key in value:
            conform(value[key], get_args(hint)[0] if optional else hint, f"{where}.{key}")
        elif not optional:
            raise NotConformingError(f"{where}: no {key!r}")


def _be(wanted: type, value: Any, where: str) -> None:
    is_one = type(value) is wanted or (wanted is float and type(value) is int)
    if not is_one:
        raise NotConformingError(f"{where}: {type(value).__name__}, not {wanted.__name__}")
    # NaN is not smaller than anything
    if isinstance(value, (int, float)) and not abs(value) <= _LARGEST:
        raise NotConformingError(f"{where}: {type(value).__name__} out of range")
