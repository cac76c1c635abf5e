"""docs/pytorch.md: its blocks, one after another."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess, succeed
from docs_blocks import ROOT, blocks

PAGE = ROOT / "docs" / "pytorch.md"


@pytest.mark.slow
def test_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(PAGE)
    names: dict[str, Any] = {}
    commands = []
    for block in found:
        if block.language == "python":
            exec(compile(block.text, PAGE, "exec"), names)
        elif block.language == "sh":
            commands += [shlex.split(line) for line in block.text.splitlines()]
    result = names["result"]
    assert result.bit_exact
    assert result.cycles > 0
    layers = [each for each in names["compiled"].report["layers"] if each["weight_bytes"]]
    assert len(layers) == 3
    assert all(2 < layer["levels"] <= 16 for layer in layers)
    assert len(commands) == 2
    here = InProcess(monkeypatch, capfd)
    for program, *arguments in commands:
        assert program == "vq-cortexm"
        succeed(*arguments, run=here)
