"""Damage to any bytes, to JSON and to text; numbers and texts that readers may stumble over."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

Mutate = Callable[[Random, bytes], bytes]

INTEGERS = (0, 1, -1, 2, 3, 7, 127, 128, -128, 255, 256, 32767, -32768, 65536, 2**24 + 1, 2**30)
LARGE = (2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**40, 2**62, 2**63 - 1, -(2**63), 2**64, 10**30)
FLOATS = (0.0, -0.0, -1.0, 1e-45, 1e-30, 0.5, 1e30, 3.5e38, 1e300, float("inf"), float("nan"))
TEXTS = ("", "x", "y", "\n", "\0", "../../x", "/etc/passwd", "é\ud800", "%s%n", "-1", "A" * 5000)


def integer(random: Random) -> int:
    """Mostly a small one, or at an end of a type."""
    return random.choice(INTEGERS if random.random() < 0.7 else LARGE)


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """Bits flipped, words overwritten or swapped, blocks repeated, moved or cut out, a cut end."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        random.choice(_DAMAGES)(random, changed)
    return bytes(changed)


def mutate_words(random: Random, data: bytes) -> bytes:
    """Numbers of 1 to 8 aligned bytes become others, or that of another place: in a flatbuffer
    these are lengths, offsets, indices and scales."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        size = random.choice((1, 2, 4, 4, 4, 8))
        places = range(0, max(len(changed) - size, 0) + 1, size)
        place = random.choice(places)
        if random.random() < 0.4:
            source = random.choice(places)
            word = bytes(changed[source : source + size])
        elif random.random() < 0.3:
            old = int.from_bytes(changed[place : place + size], "little")
            word = ((old + random.randint(-9, 9)) % 256**size).to_bytes(size, "little")
        else:
            word = (integer(random) % 256**size).to_bytes(size, "little")
        changed[place : place + size] = word
    return bytes(changed)


def mutate_json(random: Random, data: bytes) -> bytes:
    """A value becomes another, or one of the same document; keys and items vanish or come twice."""
    document = json.loads(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        _mutate_value(random, document)
    text = json.dumps(document)
    if random.random() < 0.05:
        text = text.replace(":", random.choice((": 1e999,", ":[" * 3000, ":{")), 1)
    return text.encode("utf-8", "surrogatepass")


def mutate_lines(random: Random, data: bytes) -> bytes:
    """Lines vanish, come twice or change places; words become others."""
    lines = data.decode().split("\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        index = random.randrange(len(lines))
        kind = random.randrange(4)
        if kind == 0:
            lines.insert(index, random.choice(lines))
        elif kind == 1:
            lines[index] = random.choice(lines)
        else:
            words = lines[index].split(" ")
            words[random.randrange(len(words))] = str(scalar(random))
            lines[index] = " ".join(words)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def scalar(random: Random) -> Any:
    """A value that JSON knows, of any kind."""
    kind = random.randrange(8)
    if kind < 3:
        return integer(random)
    if kind == 3:
        return random.choice(FLOATS)
    if kind == 4:
        return str(integer(random))
    return random.choice((None, True, False, [], {}, [[]], {"": 0}, *TEXTS))


def _mutate_value(random: Random, document: Any) -> None:
    places = list(_places(document))
    if not places:
        return
    holder, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        other, its_key = random.choice(places)
        holder[key] = deepcopy(other[its_key])
    elif kind == 2 and isinstance(holder, list):
        holder.insert(key, deepcopy(holder[key]))
    elif kind == 3 and isinstance(holder[key], str):
        text = holder[key]
        holder[key] = mutate_bytes(random, text.encode()).decode("utf-8", "replace")
    elif kind == 4 and isinstance(holder[key], int):
        holder[key] += random.randint(-3, 3)
    else:
        holder[key] = scalar(random)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each value of a document as (what holds it, its key)."""
    stack = [value]
    while stack:
        holder = stack.pop()
        if isinstance(holder, (dict, list)):
            for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
                yield holder, key
                stack.append(holder[key])


def _flip(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _overwrite(random: Random, data: bytearray) -> None:
    place = random.randrange(len(data) + 1)
    filling = random.choice((b"\0", b"\xff", b"\x7f", b"\x80", bytes([random.randrange(256)])))
    count = random.choice((1, 2, 4, 8, 64))
    data[place : place + count] = filling * count


def _cut_end(random: Random, data: bytearray) -> None:
    del data[random.randrange(len(data) + 1) :]


def _cut_out(random: Random, data: bytearray) -> None:
    place = random.randrange(len(data) + 1)
    del data[place : place + random.choice((1, 4, 16, 200))]


def _repeat(random: Random, data: bytearray) -> None:
    place, target = (random.randrange(len(data) + 1) for _ in range(2))
    block = data[place : place + random.choice((1, 4, 32, 400))]
    data[target:target] = block


def _copy_over(random: Random, data: bytearray) -> None:
    place, target = (random.randrange(len(data) + 1) for _ in range(2))
    block = data[place : place + random.choice((4, 16, 64))]
    data[target : target + len(block)] = block


_DAMAGES = (_flip, _flip, _flip, _overwrite, _overwrite, _cut_end, _cut_out, _repeat, _copy_over)
