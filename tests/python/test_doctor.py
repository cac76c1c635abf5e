"""What `doctor` makes of a computer that is not in order."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from vq_cortexm.doctor import Finding, diagnose, is_well


def found(name: str) -> Finding:
    (finding,) = [one for one in diagnose() if one.name.startswith(name)]
    return finding


def test_a_broken_tool_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "ninja"
    tool.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    broken = found("ninja")
    assert broken.version is None
    assert broken.advice.startswith(f"{tool} does not start: Exec format error; on Debian: apt ")
    assert not is_well([broken])


def test_no_folder_for_temporary_files_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    room = found("room")
    assert room.version is None
    assert room.advice.startswith("No usable temporary directory found in ['/tmp']; set TMPDIR to")
    assert not is_well([room])
