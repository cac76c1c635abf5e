"""Where the files that are not Python lie: `codegen/`, `runtime/` and `cmake/`.

In a checkout they are at its top level; in an installed wheel under `vq_cortexm/_resources`.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
SHIPPED_SCHEDULES = _PACKAGE / "tune" / "shipped.jsonl"
"""What was measured for the layers of known models; `benchmarks/tune_shipped.py` makes it."""


def resource_dir(name: str) -> Path:
    """The folder `name` ("codegen", "runtime" or "cmake"), from the wheel or the checkout."""
    for root in (_PACKAGE / "_resources", _PACKAGE.parents[1]):
        if (root / name).is_dir():
            return root / name
    raise FileNotFoundError(f"the installation lacks its folder {name!r}; reinstall vq-cortexm")
