"""Where `depthwise_conv2d` keeps its rows in scratch, and how many channels and rows at once.

    padded row r of channel a     │ left │ pixels … │ right │     `pitch` halfwords
    padded row r of channel b     │ …
    …                                                            `group` channels
    padded row r + 1 of channel a

A group's plane is whole, or a strip of it: strips overlap by the rows that a window has in common
with the next one's. An image may lie transposed: its columns are the rows then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...op.depthwise_conv2d import DepthwiseConv2dAttrs
from ..layer import Layer

_PLANE_BYTES = 5120
"""A plane up to this size is kept whole."""
_GROUP_BYTES = 1024
"""Several planes, or a strip, may take this much, or a share of the input:"""
_SHARE = 5
_PARTS = (2, 4)
"""By which a schedule's limit may be smaller or larger."""
_GATHERED = {1: 2.4, 2: 2.05, 4: 1.6}
"""Modelled cycles by which an element gets to scratch, with so many channels at once."""
_MOVED, _CALLED = 1.5, 60
"""Cycles of moving an element inside scratch, and of the calls for a group's strip."""
_STRIDES, _KERNEL = 3, 64
"""The largest stride of columns and side of a kernel that the routines take."""
FILLED = 8
"""Halfwords that are filled with padding at once."""
_OFFSETS = 4096
"""Bytes within which loads reach from their base."""


@dataclass(frozen=True)
class Image:
    """What a layer does in one of its two orientations. Pairs are (rows, columns); `x_bytes` and
    `y_bytes` lie between neighbouring rows and columns of the input and the output."""

    size: tuple[int, int]
    out_size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    before: tuple[int, int]
    dilation: tuple[int, int]
    x_bytes: tuple[int, int]
    y_bytes: tuple[int, int]
    transposed: bool = False

    @property
    def span(self) -> int:
        """Rows under a window."""
        return (self.kernel[0] - 1) * self.dilation[0] + 1

    @property
    def needed(self) -> tuple[int, int]:
        """Padded rows and columns that outputs depend on."""
        rows = (self.out_size[0] - 1) * self.strides[0] + self.span
        return rows, (self.out_size[1] - 1) * self.strides[1] + self.kernel[1]

    @property
    def read(self) -> tuple[int, int]:
        """Rows and columns of the input that outputs depend on."""
        rows = min(self.size[0], self.needed[0] - self.before[0])
        return rows, min(self.size[1], self.needed[1] - self.before[1])

    @property
    def is_padded(self) -> bool:
        """Whether outputs depend on padding."""
        return self.needed != self.read

    @property
    def has_both_phases(self) -> bool:
        """Whether windows start at both halves of a word."""
        return self.strides[1] % 2 == 1 and self.out_size[1] > 1


@dataclass(frozen=True)
class Layout:
    """`group` channels and, of them, the input of `strip` rows of outputs at once."""

    image: Image
    group: int
    strip: int

    @property
    def name(self) -> str:
        """As schedules have it."""
        return f"{self.group}x{self.strip}{'t' if self.image.transposed else ''}"

    @property
    def pitch(self) -> int:
        """Halfwords of a row of one channel, whole words."""
        columns = max(self.image.needed[1], self.image.before[1] + self.image.read[1])
        return columns + columns % 2

    @property
    def is_whole(self) -> bool:
        """Whether all rows are kept at once."""
        return self.strip == self.image.out_size[0]

    @property
    def rows(self) -> int:
        """Padded rows in scratch."""
        return (self.strip - 1) * self.image.strides[0] + self.image.span

    @property
    def step(self) -> int:
        """Padded rows from a strip to the next."""
        return self.strip * self.image.strides[0]

    @property
    def kept(self) -> int:
        """Rows that a strip has in common with the next."""
        return 0 if self.is_whole else max(0, self.rows - self.step)

    @property
    def row(self) -> int:
        """Halfwords from a row to the next."""
        return self.group * self.pitch

    @property
    def strips(self) -> int:
        """How many a plane has."""
        return -(-self.image.out_size[0] // self.strip)

    @property
    def elements(self) -> int:
        """Halfwords of scratch, with what filling writes behind a strip."""
        used = self.rows * self.row
        if self.image.is_padded:
            used += -used % FILLED + (0 if self.is_whole else FILLED)
        return used

    @property
    def is_3x3(self) -> bool:
        """Whether `depthwise_3x3` takes it, whose loads reach the rows of two rows of outputs."""
        image = self.image
        last_word = 2 * (image.strides[0] + 2) * self.row + 16
        fits = image.kernel == (3, 3) and image.dilation[0] == 1 and image.strides[1] <= 2
        return fits and last_word < _OFFSETS

    @property
    def is_possible(self) -> bool:
        """Whether the routines take it, and strips share rows with the next one only."""
        image = self.image
        if max(image.kernel) > _KERNEL or image.kernel[1] > 1 < image.dilation[1]:
            return False
        if image.strides[1] > _STRIDES or image.x_bytes[1] >= _OFFSETS or min(image.read) < 1:
            return False
        last = (self.strips - 1) * self.step - image.before[0]
        in_input = self.rows > image.before[0] and last <= image.size[0]
        return self.is_whole or (in_input and self.kept <= self.step)

    def cycles(self, channels: int, outputs: int) -> float:
        """Modelled, of a layer with so many channels in and out."""
        image, groups = self.image, -(-channels // self.group)
        kept = (self.strips - 1) * self.kept * self.pitch
        elements = image.read[0] * image.read[1]
        per_group = self.group * (elements * _GATHERED[self.group] + kept * _MOVED)
        per_group += self.strips * _CALLED
        return groups * per_group + outputs * image.out_size[0] * self._row_cycles

    @property
    def _row_cycles(self) -> float:
        """Modelled, of a row of one channel's outputs."""
        kernel, columns = self.image.kernel, self.image.out_size[1]
        if self.is_3x3:
            return 7 + 12 * columns + 5.5 * -(-columns // 2)
        steps = kernel[0] * (kernel[1] // 2 + 1)
        return 20 + (3 + steps) * columns + (25 + 4 * steps) * -(-columns // 4)


def choose_layout(layer: Layer) -> Layout | None:
    """The layout that the schedule says, else that with the fewest cycles within the bytes that
    this module allows; None if the routines reach none."""
    channels, outputs = layer.inputs[0].shape[3], layer.output.shape[3]
    _, height, width, _ = layer.inputs[0].shape
    limit = min(_PLANE_BYTES, max(_GROUP_BYTES, height * width * channels // _SHARE))
    possible = [layout for layout in _layouts(layer, limit) if layout.is_possible]
    if not possible:
        return None
    own = min(possible, key=lambda layout: layout.cycles(channels, outputs))
    limits = (limit, *(limit // part for part in _PARTS), *(limit * part for part in _PARTS))
    others = {
        layout.name: layout
        for limit in limits
        for layout in _layouts(layer, min(limit, _PLANE_BYTES))
        if layout.is_possible
    }
    return others[str(layer.knobs.choose("layout", own.name, list(others)))]


def _layouts(layer: Layer, limit: int) -> Iterator[Layout]:
    """Those of `limit` bytes; of one channel at a time a larger one."""
    image, channels = _image(layer), layer.inputs[0].shape[3]
    for group in (group for group in (1, 2, 4) if group <= channels):
        for turned in (image, _transposed(image)):
            whole = Layout(turned, group, turned.out_size[0])
            if 2 * whole.elements <= (_PLANE_BYTES if group == 1 else limit):
                yield whole
        row_bytes = 2 * Layout(image, group, 1).row
        strip = (limit // row_bytes - image.span) // image.strides[0] + 1
        # an odd row of outputs comes only at the end, and a strip has the next one's first rows
        least = -(-(image.span - image.strides[0]) // image.strides[0])
        strip = max(strip - strip % 2, least + least % 2, 2)
        layout = Layout(image, group, min(strip, image.out_size[0]))
        if group == 1 or 2 * layout.elements <= limit:
            yield layout


def _image(layer: Layer) -> Image:
    attrs: DepthwiseConv2dAttrs = layer.attrs
    _, height, width, channels = layer.inputs[0].shape
    _, out_height, out_width, outputs = layer.output.shape
    kernel = layer.constants[0].shape
    return Image(
        size=(height, width),
        out_size=(out_height, out_width),
        kernel=(kernel[0], kernel[1]),
        strides=attrs.strides,
        before=attrs.padding[:2],
        dilation=attrs.dilation,
        x_bytes=(width * channels, channels),
        y_bytes=(out_width * outputs, outputs),
    )


def _transposed(image: Image) -> Image:
    turned = {name: value[::-1] for name, value in vars(image).items() if isinstance(value, tuple)}
    return replace(image, transposed=True, **turned)
