"""The Python of docs/link.md, as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_python_of_the_page_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    page = (ROOT / "docs" / "link.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(ROOT)
    exec(compile(block, "docs/link.md", "exec"), {})
    said = capsys.readouterr().out
    assert "seconds, of modelled cycles at 168 MHz" in said
    assert len(said.splitlines()) == 2 + 8
