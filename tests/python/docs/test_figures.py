"""Figures of README: those of the pages that benchmarks write, rounded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODELS = {
    "anomaly detection": "ad",
    "keyword spotting": "kws",
    "image classification": "ic",
    "visual wake words": "vww",
}


def table(text: str, heading: str) -> dict[str, list[str]]:
    """Rows by their first cell, of the first table whose first heading begins so."""
    found = re.search(rf"^\| {heading}.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found is not None, heading
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    return {row[0]: row[1:] for row in rows}


def section(page: str, heading: str) -> str:
    """What is behind a heading of a page."""
    return (ROOT / page).read_text(encoding="utf-8").split(heading, 1)[1]


def same(shown: str, source: str) -> bool:
    """Whether a figure is the source's, rounded to the digits it has; both in the same unit."""
    shown, source = (text.removesuffix(" M").replace(",", "") for text in (shown, source))
    digits = len(shown.partition(".")[2])
    return abs(float(shown) - float(source)) <= 0.5001 * 10**-digits


@pytest.mark.parametrize("name", MODELS)
def test_mlperf_tiny(name: str) -> None:
    cycles, cmsis_nn, engine, ram, flash = table(README, "model")[name]
    measured = table(section("docs/performance.md", "## At a glance"), "model")
    (row,) = (row for key, row in measured.items() if key.startswith(f"**{MODELS[name]}**"))
    assert same(cycles, row[0]) and same(cmsis_nn, row[3]) and same(engine, row[5])
    assert (flash, ram) == (row[6], row[7])


def test_fewer_levels() -> None:
    rows = table(README, "keyword spotting, all weights with")
    assert len(rows) == 5
    keyword_spotting = section("docs/vq.md", "### kws")
    measured = {
        False: table(keyword_spotting, "levels"),
        True: table(keyword_spotting.split("`--objective size`", 1)[1], "levels"),
    }
    for name, (cycles, flash) in rows.items():
        levels, by_size, _ = name.partition(", `--objective size`")
        levels = {"3 levels (ternary)": "3 (ternary)"}.get(levels, levels)
        row = measured[bool(by_size)][levels]
        assert same(cycles, row[0]), name
        assert flash in row[4:7], name


def test_rounding_is_noticed() -> None:
    assert same("3.14 M", "3.143") and same("8.83 M", "8.835")
    assert not same("3.15 M", "3.143") and not same("35,148", "35,149")
