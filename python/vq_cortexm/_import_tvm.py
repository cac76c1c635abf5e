"""Imports TVM without PyTorch.

TVM's FFI imports PyTorch wherever it is installed, to take its tensors. Nothing here hands any
over, and it would cost every command seconds and 200 MB. Where PyTorch is loaded already, it stays.
"""

from __future__ import annotations

import sys

_HIDDEN = "torch" not in sys.modules

if _HIDDEN:
    sys.modules["torch"] = None  # type: ignore[assignment]
try:
    import tvm  # noqa: F401
finally:
    if _HIDDEN:
        del sys.modules["torch"]
