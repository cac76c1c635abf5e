"""Names that C takes: from whatever a model file calls its tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence

_RESERVED = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while bool true false main asm
    and bitand bitor catch class compl concept const_cast constexpr decltype delete dynamic_cast
    explicit export friend mutable namespace new noexcept not nullptr operator or private protected
    public reinterpret_cast static_assert static_cast template this thread_local throw try typeid
    typename using virtual wchar_t xor
    NULL errno unix linux stdin stdout stderr
"""
KEYWORDS = frozenset(re.findall(r"\w+", _RESERVED))
"""Reserved in C or C++, or macros of their compilers and libraries."""


def unique_identifiers(names: Sequence[str], fallback: str = "tensor") -> list[str]:
    """C identifiers close to `names`, all different, also in capitals (as macros have them)."""
    result: list[str] = []
    taken: set[str] = set()
    for name in names:
        candidate = base = c_identifier(name, fallback)
        count = 1
        while candidate.upper() in taken:
            candidate, count = f"{base}_{count}", count + 1
        taken.add(candidate.upper())
        result.append(candidate)
    return result


def c_identifier(name: str, fallback: str = "tensor") -> str:
    """A C identifier close to `name`; one that cannot stand alone gets `fallback` in front."""
    clean = re.sub(r"[^A-Za-z0-9_]", "_", name).strip("_")
    if not clean or clean[0].isdigit() or clean in KEYWORDS:
        return f"{fallback}_{clean}".rstrip("_")
    return clean
