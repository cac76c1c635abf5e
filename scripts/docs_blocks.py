"""The code of the documentation: fenced blocks of a page, and code within its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
ROOT = Path(__file__).parents[1]
_FENCED = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its first line within the page, its language, and the file it is to be."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str


def pages() -> list[Path]:
    """README, the documentation and the examples' cards."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("examples/**/README.md")]
    return [page for page in [*found, *sorted(ROOT.glob("docs/**/*.md"))] if page.exists()]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text[: match.start()].count("\n") + 1, match[1], match[2], match[3])
        for match in _FENCED.finditer(text)
    ]


def run_blocks(page: Path, place: Path, run: Callable[[Block, list[str]], Result]) -> list[Result]:
    """What `run` says of each `sh` and `python` block of a page and its command, in order.

    A block with a title is written to the file of that name in `place`, for a later block to run.
    """
    said = []
    for block in blocks(page):
        if block.title:
            (place / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            said.append(run(block, ["bash", "-euxo", "pipefail", "-c", block.text]))
        elif block.language == "python":
            said.append(run(block, ["python", "-c", block.text]))
    return said


def inline_code(page: Path) -> Iterator[tuple[int, str]]:
    """Code within the text, with its line; blocks are left out."""
    text = page.read_text(encoding="utf-8")
    # lines stay where they are
    bare = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(bare.splitlines(), 1):
        for match in _INLINE.finditer(line):
            yield number, match[1]
