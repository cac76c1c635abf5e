"""How far a kernel has read an input when it writes its output: the planner's premise.

A kernel goes in steps: pixels, tiles or rows, whatever it writes at once. Step k (from 0) first
reads, then writes:

    input    read for the last time: lead + (k + 1) * read    | read by this or later steps
    output   written after step k: (k + 1) * write            | written by later steps

Both are bytes from the tensors' first on, or with `backward` from their last down, and never more
than the tensor has. `distance` is the output's first address less the input's: an output may lie
wherever no step writes over bytes that a later step reads.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..compat import PrimFunc


@dataclass(frozen=True)
class AccessOrder:
    """The order in which a kernel reads one of its inputs and writes its output.

    With `pitch_bytes` P above 1 both tensors are interleaved planes (of a tensor with channels
    last: channels, P being the bytes of a pixel), each finished before the next begins; the other
    numbers are elements of one plane.
    """

    read_bytes: int
    write_bytes: int
    lead_bytes: int = 0
    backward: bool = False
    pitch_bytes: int = 1

    def of_elements(self, x_dtype: str, y_dtype: str) -> AccessOrder:
        """This order, whose numbers are of elements, for tensors of these types; interleaved planes
        are of one type."""
        x_bytes, y_bytes = np.dtype(x_dtype).itemsize, np.dtype(y_dtype).itemsize
        if self.pitch_bytes > 1:
            return replace(self, pitch_bytes=self.pitch_bytes * x_bytes)
        return replace(
            self,
            read_bytes=self.read_bytes * x_bytes,
            write_bytes=self.write_bytes * y_bytes,
            lead_bytes=self.lead_bytes * x_bytes,
        )

    def allows(self, input_bytes: int, output_bytes: int, distance: int) -> bool:
        """Whether an output at `distance` spares all bytes that are still to be read."""
        if distance >= input_bytes or distance <= -output_bytes:
            return True
        if distance % self.pitch_bytes:
            return False
        x, y, d = (n // self.pitch_bytes for n in (input_bytes, output_bytes, distance))
        margin = _margin(self, x, y)
        return margin is None or (x - y - d if self.backward else d) <= margin

    def nearest(self, input_bytes: int, output_bytes: int, alignment: int) -> int:
        """The distance, a multiple of `alignment`, at which both overlap and take the fewest bytes
        together, or one at which they lie apart; 0 if that is allowed."""
        if self.allows(input_bytes, output_bytes, 0):
            return 0
        step = math.lcm(alignment, self.pitch_bytes)
        x, y = input_bytes // self.pitch_bytes, output_bytes // self.pitch_bytes
        margin = _margin(self, x, y)
        assert margin is not None
        if self.backward:
            return -(-(x - y - margin) * self.pitch_bytes // step) * step
        return margin * self.pitch_bytes // step * step


ELEMENT_BY_ELEMENT = AccessOrder(read_bytes=1, write_bytes=1)
"""Output element i follows the last read of input element i; elements of one byte."""


def elementwise(x_dtype: str, y_dtype: str) -> AccessOrder:
    """The same for elements of these types."""
    return ELEMENT_BY_ELEMENT.of_elements(x_dtype, y_dtype)


def by_rows(
    input_row: int, output_row: int, first_read: int, stride: int, pitch_bytes: int = 1
) -> AccessOrder:
    """The order of a kernel that writes whole rows, of `output_row` bytes: before output row k is
    written, the input rows (of `input_row` bytes) below first_read + k * stride have been read for
    the last time."""
    lead = (first_read - stride) * input_row
    return AccessOrder(stride * input_row, output_row, lead, pitch_bytes=pitch_bytes)


def _margin(order: AccessOrder, input_bytes: int, output_bytes: int) -> int | None:
    """By how many bytes reading stays ahead of writing, at least; None if nothing is left to read
    when the first byte is written.

    Each step reads and writes as many bytes as the one before it, but for those that wait for the
    lead and for the last, which may write fewer: the least is found at one of these corners.
    """

    def read(step: int) -> int:
        return max(0, order.lead_bytes + step * order.read_bytes)

    steps = range(1, -(-output_bytes // order.write_bytes) + 1)
    reading = bisect_left(steps, input_bytes, key=read)
    waiting = bisect_right(steps, 0, key=read)
    corners = {1, waiting, waiting + 1, reading - 1, reading}
    return min(
        (
            read(step) - min(step * order.write_bytes, output_bytes)
            for step in corners
            if 1 <= step <= reading
        ),
        default=None,
    )


def orders_to_json(orders: Mapping[int, AccessOrder | None]) -> str:
    """By input, as an attribute of a PrimFunc carries them."""
    return json.dumps({i: order and asdict(order) for i, order in orders.items()})


def orders_from_json(text: str) -> dict[int, AccessOrder | None]:
    """What `orders_to_json` was given."""
    return {int(i): order and AccessOrder(**order) for i, order in json.loads(text).items()}


def orders_of(function: PrimFunc) -> dict[int, AccessOrder | None]:
    """Those that `LowerToTIR` put on a PrimFunc: of the inputs that its output may overlap."""
    return orders_from_json(str(function.attrs.get("vq.inplace", "{}")))
