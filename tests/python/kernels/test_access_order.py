"""Access orders: what they allow is exactly what a run in their order survives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vq_cortexm.kernels.access_order import (
    ELEMENT_BY_ELEMENT,
    AccessOrder,
    by_rows,
    orders_from_json,
    orders_to_json,
)

ORDERS = st.builds(
    AccessOrder,
    read_bytes=st.integers(0, 9),
    write_bytes=st.integers(1, 9),
    lead_bytes=st.integers(-9, 20),
    backward=st.booleans(),
    pitch_bytes=st.integers(1, 3),
)


def survives(order: AccessOrder, input_bytes: int, output_bytes: int, distance: int) -> bool:
    """Whether each input byte still is itself when it is read: as late as the order allows."""
    pitch = order.pitch_bytes
    x, y = input_bytes // pitch, output_bytes // pitch
    overwritten: set[int] = set()
    for plane in range(pitch):
        inputs = [i * pitch + plane for i in range(x)]
        outputs = [distance + i * pitch + plane for i in range(y)]
        if order.backward:
            inputs, outputs = inputs[::-1], outputs[::-1]
        read = 0
        for first in range(0, y, order.write_bytes):
            done = first // order.write_bytes + 1
            now = min(max(order.lead_bytes + done * order.read_bytes, read), x)
            if overwritten & set(inputs[read:now]):
                return False
            read = now
            overwritten |= set(outputs[first : first + order.write_bytes])
        if overwritten & set(inputs[read:]):
            return False
    return True


def taken(input_bytes: int, output_bytes: int, distance: int) -> int:
    """Bytes from the first to the last of both."""
    return max(input_bytes, distance + output_bytes) - min(0, distance)


@settings(max_examples=300, deadline=None)
@given(ORDERS, st.integers(1, 20), st.integers(1, 20), st.integers(-70, 70))
def test_allows_what_survives(order: AccessOrder, x: int, y: int, distance: int) -> None:
    x, y = x * order.pitch_bytes, y * order.pitch_bytes
    allowed = order.allows(x, y, distance)
    if distance % order.pitch_bytes == 0:
        assert allowed == survives(order, x, y, distance)
    else:
        assert not allowed or survives(order, x, y, distance)


@settings(max_examples=200, deadline=None)
@given(ORDERS, st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 4]))
def test_nearest_takes_the_fewest_bytes(order: AccessOrder, x: int, y: int, alignment: int) -> None:
    x, y = x * order.pitch_bytes, y * order.pitch_bytes
    nearest = order.nearest(x, y, alignment)
    assert order.allows(x, y, nearest)
    overlapping = [d for d in range(-80, 81, alignment) if -y < d < x and order.allows(x, y, d)]
    fewest = min((taken(x, y, d) for d in overlapping), default=taken(x, y, nearest))
    assert taken(x, y, nearest) == fewest


def test_elementwise_output_may_lie_over_or_in_front_of_its_input() -> None:
    assert [d for d in range(-3, 4) if ELEMENT_BY_ELEMENT.allows(9, 9, d)] == [-3, -2, -1, 0]


def test_larger_pixels_go_backward_or_start_in_front() -> None:
    forward, backward = AccessOrder(4, 8), AccessOrder(4, 8, backward=True)
    assert not forward.allows(40, 80, 0)
    assert backward.allows(40, 80, 0)
    assert backward.nearest(40, 80, 4) == 0
    assert forward.nearest(40, 80, 4) == -36
    assert taken(40, 80, -36) == 80


def test_rows() -> None:
    # 3x3 windows, one row of padding, rows of 10 bytes in and out: read in place
    direct = by_rows(10, 10, first_read=-1, stride=1)
    assert direct.nearest(80, 80, 1) == -20
    # the three rows under the window copied before the first output row
    copied = by_rows(10, 10, first_read=2, stride=1)
    assert copied.allows(80, 80, 0)
    assert copied.allows(80, 80, 10)
    assert not copied.allows(80, 80, 11)
    # twice the channels: the output starts where it ends with the input's last rows
    assert by_rows(10, 20, first_read=2, stride=1).nearest(80, 160, 1) == -50


def test_planes_keep_apart() -> None:
    # 6 channels, channel by channel, each copied whole
    order = by_rows(5, 5, first_read=7, stride=1, pitch_bytes=6)
    assert order.allows(210, 210, 0)
    assert order.allows(210, 210, 12)
    assert not order.allows(210, 210, 4)


@given(st.dictionaries(st.integers(0, 3), st.none() | ORDERS))
def test_json(orders: dict[int, AccessOrder | None]) -> None:
    assert orders_from_json(orders_to_json(orders)) == orders


def test_all_of_the_input_copied_first_allows_any_place() -> None:
    order = AccessOrder(0, 8, lead_bytes=40)
    assert all(order.allows(40, 80, d) for d in range(-80, 41))
    assert order.nearest(40, 80, 4) == 0


def test_tensors_of_any_size_take_no_longer() -> None:
    order = AccessOrder(1, 2, lead_bytes=-3)
    assert order.nearest(2**40, 2**41, 1) == -(2**40) - 3
