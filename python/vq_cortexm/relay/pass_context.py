"""Options of `tvm.transform.PassContext` under the names that they had in Relay's time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

import tvm

_PREFIXES = ("tirx.", "s_tir.")
"""What became of `tir.`."""
_ALWAYS = "tir.usmp."
"""Options of the static memory planner, which is always on here."""


def accept_old_names() -> None:
    """Lets `PassContext(config=...)` take options by their old names, as long as today's TVM has
    them under another; doing it again is harmless."""
    context = tvm.transform.PassContext
    made = context.__init__
    if hasattr(made, "__wrapped__"):
        return

    @wraps(made)
    def make(
        self: Any, *args: Any, config: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        given = dict(config.items()) if config else {}
        made(self, *args, config=_renamed(given) if given else config, **options)

    context.__init__ = make


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    known = {str(name) for name in tvm.transform.PassContext.list_configs()}
    renamed = {}
    for name, value in config.items():
        if name.startswith(_ALWAYS):
            continue
        today = [prefix + name.removeprefix("tir.") for prefix in _PREFIXES]
        candidates = [name, *(today if name.startswith("tir.") else ())]
        renamed[next((n for n in candidates if n in known), name)] = value
    return renamed
