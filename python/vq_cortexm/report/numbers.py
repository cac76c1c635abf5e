"""How numbers are written in a report; what is not known is a dash."""

from __future__ import annotations


def count(number: float | None) -> str:
    """A whole number, or a mean that is shown as one."""
    return "–" if number is None else f"{number:,.0f}"


def percent(share: float | None, places: int = 1) -> str:
    """Of a share from 0 to 1."""
    return "–" if share is None else f"{100 * share:,.{places}f} %"


def decimals(number: float | None, places: int = 2) -> str:
    """With so many digits after the point."""
    return "–" if number is None else f"{number:,.{places}f}"


def signed(number: float | None, places: int = 0, unit: str = "") -> str:
    """A difference, with a true minus; 0 has no sign."""
    if number is None:
        return "–"
    shown = f"{number:+,.{places}f}".replace("-", "−")
    return (shown if float(f"{number:.{places}f}") else shown[1:]) + unit


def bits(levels: int) -> int:
    """That a number of levels needs."""
    return max(1, (levels - 1).bit_length())
