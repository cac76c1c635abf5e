"""Names that C takes: from whatever a model file calls its tensors."""

from __future__ import annotations

import re

_RESERVED = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while bool true false main asm
"""
KEYWORDS = frozenset(re.findall(r"\w+", _RESERVED))
"""Reserved in C, or taken in every program."""


def c_identifier(name: str, fallback: str = "tensor") -> str:
    """A C identifier close to `name`; one that cannot stand alone gets `fallback` in front."""
    clean = re.sub(r"[^A-Za-z0-9_]", "_", name).strip("_")
    if not clean or clean[0].isdigit() or clean in KEYWORDS:
        return f"{fallback}_{clean}".rstrip("_")
    return clean
