"""n-ary tensors: which levels an int8 tensor holds, how weights get few of them, and how their
digits are stored.

A digit says which level a weight is, from 0 on. `types` finds the levels, `quantize` makes
them fewer, the other modules store digits in words, each with its exact inverse.
"""

from .types import NaryType, detect

__all__ = ["NaryType", "detect"]
