"""How long a client waits for an answer before it asks again."""

from __future__ import annotations

import time
from collections.abc import Iterator

_SHORTEST_SECONDS = 0.01
_GROWTH = 1.3
_MARGIN = 1.5
"""Work takes longer now and then."""
_LARGEST_SHARE = 20
"""Of the limit: how often a request is repeated at least."""


class Pace:
    """Learns what an answer takes beside the bytes' time on the line and the device's work.

    An answer brings it down to twice what it took. One that comes when nobody waits for it any
    more brings it up: a busy device must not drown in repeated requests. Silence does neither, for
    on a bad line one should ask again soon.
    """

    def __init__(self, first_seconds: float, limit_seconds: float) -> None:
        self._longest = limit_seconds / _LARGEST_SHARE
        self._seconds = min(first_seconds, self._longest)

    def answered(self, seconds: float) -> None:
        """The answer to a request that was not repeated took so long."""
        seconds = max(2 * seconds, self._seconds / 2, _SHORTEST_SECONDS)
        self._seconds = min(seconds, self._longest)

    def late(self) -> None:
        """An answer came to a request that had been given up, or repeated needlessly."""
        self._seconds = min(2 * self._seconds, self._longest)

    def waits(self, limit_seconds: float, expected_seconds: float = 0.0) -> Iterator[float]:
        """Seconds to wait, attempt by attempt, until the limit is over; the device's work takes
        `expected_seconds`."""
        first = _MARGIN * expected_seconds + self._seconds
        longest = max(4 * first, limit_seconds / _LARGEST_SHARE)
        return growing_waits(first, longest, limit_seconds)


def growing_waits(first: float, longest: float, limit: float) -> Iterator[float]:
    """Seconds to wait, attempt by attempt, from `first` to `longest`, until `limit` is over."""
    give_up = time.monotonic() + limit
    wait = first
    while (left := give_up - time.monotonic()) > 0:
        yield min(wait, left)
        wait = min(_GROWTH * wait, longest)
