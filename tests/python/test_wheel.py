"""The wheel carries what is not Python."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_wheel_holds_templates_runtime_and_cmake(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ("codegen", "runtime", "cmake"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file():
                assert f"vq_cortexm/_resources/{path.relative_to(ROOT)}" in names
