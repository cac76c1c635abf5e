"""No tensor is larger than what any supported part could hold, so that nothing later needs more
memory than a build may take."""

from __future__ import annotations

import math

from tvm import relax

from ..compat import Expr, shape_of
from ..errors import ModelError

LARGEST_TENSOR = 1 << 24
"""Numbers in a tensor that is computed."""


def check_sizes(function: Expr) -> None:
    """Raises ModelError, naming the tensor, for one of more numbers than LARGEST_TENSOR."""
    bindings = [binding for block in function.body.blocks for binding in block.bindings]
    for var in [*function.params, *(binding.var for binding in bindings)]:
        if isinstance(var.ty, relax.TensorType) and math.prod(shape_of(var)) > LARGEST_TENSOR:
            raise ModelError(
                f"tensor {str(var.name)!r} of shape {shape_of(var)} is larger than any part's "
                f"memory; up to {LARGEST_TENSOR} numbers work"
            )
