"""Blocks that quote the code: each stands so in the file that its title names."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_blocks import blocks

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["new_operator", "new_core"])
def test_quotes_are_those_of_the_files(page: str) -> None:
    quoted = [block for block in blocks(ROOT / f"docs/howto/{page}.md") if block.language]
    assert quoted
    for block in quoted:
        assert block.title is not None
        assert block.text in (ROOT / block.title).read_text(encoding="utf-8"), block.title
