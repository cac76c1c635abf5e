"""Running what a page of the documentation shows, block by block, as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import docs_blocks
from docs_blocks import Block

ROOT = Path(__file__).parents[2]
SECONDS = 900
"""For one block; nothing depends on how long it takes."""


def run_page(page: str, place: Path) -> list[str]:
    """Runs all `sh` and `python` blocks of a page in order, in a folder; what each printed.

    A Python block with a title is written to the file of that name, for a later block to run. The
    examples are there as in a checkout.
    """
    (place / "examples").symlink_to(ROOT / "examples")
    said = docs_blocks.run_blocks(
        ROOT / page, place, lambda block, command: _run(command, block, place)
    )
    assert said, f"{page} has no block that can be run"
    return said


def _run(command: list[str], block: Block, place: Path) -> str:
    # the commands `vq-cortexm` and `python` are beside this Python
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    completed = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    where = f"{block.page.name}:{block.line}"
    assert completed.returncode == 0, f"{where}: {completed.stdout}\n{completed.stderr}"
    return completed.stdout
