"""What docs/micro.md shows, run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vq_cortexm.micro import project_api, project_files
from vq_cortexm.micro.project_api import server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "micro.md").read_text()


def _blocks(language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the examples."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def _run(command: list[str], place: Path) -> str:
    # the command `vq-cortexm` is beside this Python
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    completed = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_python_of_the_page_runs(place: Path) -> None:
    said = _run([sys.executable, "-c", _blocks("python")], place)
    assert "of modelled cycles at 168 MHz" in said
    assert (place / "out/digits/build/firmware.elf").exists()


@pytest.mark.slow
def test_commands_of_the_page_run(place: Path) -> None:
    said = _run(["bash", "-euxc", _blocks("sh")], place)
    assert "modelled cycles at 168 MHz" in said
    assert (place / "digits/build/firmware.elf").exists()


def test_page_names_what_there_is() -> None:
    folder = project_files.__doc__
    assert folder is not None
    for name in re.findall(r"^    (\w[\w.]*/?) ", folder, re.MULTILINE):
        assert re.search(rf"^{re.escape(name)} ", PAGE, re.MULTILINE), name
    for name in server.__all__:
        documented = {"JSONRPCError", "ServerError", "ErrorCode", "ProjectAPIServer"}
        errors = name.endswith("Error")
        assert errors or name in documented or f"`{name}`" in PAGE, name
    assert project_api.server is server
