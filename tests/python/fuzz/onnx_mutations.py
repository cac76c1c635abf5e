"""Damage to an ONNX file that stays one: fields of its messages become others."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor

from .mutations import FLOATS, TEXTS, integer, mutate_bytes

_MESSAGE, _STRING, _BYTES, _ENUM = (
    FieldDescriptor.CPPTYPE_MESSAGE,
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.CPPTYPE_ENUM,
)
_FLOATING = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def mutate_onnx(random: Random, data: bytes) -> bytes:
    """Nodes and tensors vanish, come twice or change places; names, sizes, types, attributes and
    contents become others, names mostly another of the file, which makes cycles."""
    proto = onnx.load_model_from_string(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        messages = list(_messages(proto))
        message, field = random.choice([(m, f) for m in messages for f, _ in m.ListFields()])
        try:
            _mutate_field(random, message, field, messages)
        except (ValueError, TypeError):
            message.ClearField(field.name)
    return bytes(proto.SerializeToString())


def _mutate_field(random: Random, message: Any, field: Any, messages: list[Any]) -> None:
    repeated = getattr(message, field.name)
    if not hasattr(repeated, "__delitem__"):
        if field.cpp_type == _MESSAGE:
            _replace(random, repeated, messages)
        else:
            setattr(message, field.name, _value(random, field, repeated, messages))
        return
    index, kind = random.randrange(len(repeated)), random.randrange(4)
    if kind == 0:
        del repeated[index]
    elif kind == 1:
        repeated.append(repeated[index])
    elif field.cpp_type == _MESSAGE:
        if kind == 2:
            _replace(random, repeated[index], messages)
        else:
            moved = type(repeated[index])()
            moved.CopyFrom(repeated[index])
            del repeated[index]
            repeated.insert(random.randrange(len(repeated) + 1), moved)
    else:
        repeated[index] = _value(random, field, repeated[index], messages)


def _replace(random: Random, message: Any, messages: list[Any]) -> None:
    """By another of its type in the file, or by nothing."""
    others = [m for m in messages if type(m) is type(message) and m is not message]
    kept = type(message)()
    if others:
        kept.CopyFrom(random.choice(others))
    message.CopyFrom(kept)


def _value(random: Random, field: Any, old: Any, messages: list[Any]) -> Any:
    if field.type == _STRING:
        names = [text for m in messages for text in _texts(m)]
        return random.choice(names) if random.random() < 0.8 else random.choice(TEXTS)
    if field.type == _BYTES:
        return mutate_bytes(random, old)
    if field.cpp_type in _FLOATING:
        return random.choice(FLOATS)
    if field.cpp_type == _ENUM:
        return random.randrange(-1, 30)
    return old + random.randint(-3, 3) if random.random() < 0.3 else integer(random)


def _texts(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type == _STRING:
            yield from [value] if isinstance(value, str) else value


def _messages(message: Any) -> Iterator[Any]:
    """The message and all within."""
    yield message
    for field, value in message.ListFields():
        if field.cpp_type == _MESSAGE:
            for inner in value if hasattr(value, "__delitem__") else [value]:
                yield from _messages(inner)
