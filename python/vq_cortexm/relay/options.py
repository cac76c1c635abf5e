"""What Relay's callers choose a way of running with: `Executor`, `Runtime`, names of options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from ..errors import UsageError
from ..kernels.layer import ALIGNMENT

_ARENA_ALIGNMENT = 16
"""In bytes, as the generated code declares the arena."""


def _divisors(power: int) -> tuple[int, ...]:
    return tuple(2**n for n in range(power.bit_length()))


_EXECUTORS: dict[str, tuple[Any, ...]] = {
    "interface-api": ("c",),
    "unpacked-api": (True,),
    "link-params": (True,),
    "workspace-byte-alignment": _divisors(_ARENA_ALIGNMENT),
    "constant-byte-alignment": _divisors(ALIGNMENT),
}
"""Options of the ahead-of-time executor, with the values that the generated library has."""
_RUNTIMES: dict[str, tuple[Any, ...]] = {"system-lib": (False,)}


class Executor:
    """Relay's `Executor(name, options)`: "aot" with a C interface, which the library always has."""

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        check_name("executor", name, ("aot",))
        self.name = name
        self.attrs = _checked("executor", options, _EXECUTORS)


class Runtime:
    """Relay's `Runtime(name, options)`: "crt", of which the library needs nothing."""

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        check_name("runtime", name, ("crt",))
        self.name = name
        self.attrs = _checked("runtime", options, _RUNTIMES)


def check_name(what: str, name: str, known: Collection[str]) -> None:
    """Raises UsageError, with the nearest of the known ones, for an unknown name."""
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"unknown {what} {name!r}; {hint}known: {', '.join(known)}")


def _checked(
    what: str, options: Mapping[str, Any] | None, known: Mapping[str, tuple[Any, ...]]
) -> dict[str, Any]:
    """The options themselves; UsageError for one that is unknown, or not what the library has."""
    for name, value in (options or {}).items():
        check_name(f"option of the {what}", name, tuple(known))
        if value not in known[name]:
            works = " and ".join(map(repr, known[name]))
            raise UsageError(f"option {name} of the {what} is {value!r}; {works} works")
    return dict(options or {})
