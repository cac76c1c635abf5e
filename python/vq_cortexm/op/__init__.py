"""The `vq.*` operators: attributes, shape rules and exact integer semantics, in NumPy.

One module an operator. Each has a frozen dataclass of attributes, `output_shape`, the constants
that a kernel needs, and `reference`, which computes with those same constants. Activations are
NHWC, of int8, uint8 or int16.
"""
