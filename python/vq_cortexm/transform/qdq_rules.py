"""How each float operator between dequantize and quantize becomes a `vq.*` operator.

A rule takes the folder (for its inputs), the float call and the layer's context, and returns the
bound integer result. Activations are NHWC inside; an NCHW operator is put between two transposes,
which `CancelTransposes` removes where neighbours agree.
"""

from __future__ import annotations

from collections.abc import Callable

from ..compat import Expr
from .qdq_elementwise import ELEMENTWISE_RULES
from .qdq_moves import MOVE_RULES
from .qdq_pools import POOL_RULES
from .qdq_products import PRODUCT_RULES
from .qdq_resize import RESIZE_RULES

QDQ_RULES: dict[str, Callable[..., Expr]] = {
    **ELEMENTWISE_RULES,
    **MOVE_RULES,
    **POOL_RULES,
    **PRODUCT_RULES,
    **RESIZE_RULES,
}
"""Float operators that a `quantize` may end."""
