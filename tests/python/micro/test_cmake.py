"""Building with CMake: what is found out of a compiler is used again, and changes no command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from fake_model import APP, write_model

from vq_cortexm.micro import cmake
from vq_cortexm.micro.firmware import build_firmware, build_host_server
from vq_cortexm.micro.host import build_host_library
from vq_cortexm.micro.toolchain import find_tool
from vq_cortexm.target import BOARDS


def firmware(model: Path, build: Path) -> None:
    build_firmware(model, BOARDS["mps2-an386"], build, APP)


def server(model: Path, build: Path) -> None:
    build_host_server(model, build, APP)


def library(model: Path, build: Path) -> None:
    build_host_library(model, build)


def sanitized_library(model: Path, build: Path) -> None:
    build_host_library(model, build, sanitize=True)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], Any]:
    """As in a new process."""
    monkeypatch.setattr(cmake, "_found", {})
    return cmake._found


def _commands(build: Path) -> str:
    """All that compile, assemble and link, whatever the folder's name."""
    ninja = find_tool("ninja")
    told = subprocess.run([ninja, "-C", build, "-t", "commands"], capture_output=True, check=True)
    return told.stdout.decode().replace(build.name, "")


@pytest.mark.parametrize("build", [firmware, server, library, sanitized_library])
def test_found_once(tmp_path: Path, found: Any, build: Any) -> None:
    model = write_model(tmp_path / "model")
    said, commands = [], []
    for name in ("first", "later"):
        build(model, tmp_path / name)
        said.append((tmp_path / name / cmake.BUILD_LOG).read_text())
        commands.append(_commands(tmp_path / name))
    assert "Detecting C compiler ABI" in said[0]
    assert "Detecting" not in said[1]
    assert "CMAKE_PLATFORM" not in said[1]
    assert commands[0] == commands[1]
    assert "fake_run.c" in commands[0]
    assert len(found) == 1


def test_other_flags_are_another_find(tmp_path: Path, found: Any) -> None:
    model = write_model(tmp_path / "model")
    for build in (library, sanitized_library, firmware):
        build(model, tmp_path / build.__name__)
        log = (tmp_path / build.__name__ / cmake.BUILD_LOG).read_text()
        assert "Detecting C compiler ABI" in log
    assert len(found) == 3


def test_another_path_is_another_find(
    tmp_path: Path, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another compiler may come first."""
    model = write_model(tmp_path / "model")
    firmware(model, tmp_path / "a")
    monkeypatch.setenv("PATH", f"/usr/bin:{tmp_path}", prepend=":")
    firmware(model, tmp_path / "b")
    assert len(found) == 2


def test_a_folder_built_before_keeps_its_own(tmp_path: Path, found: Any) -> None:
    model = write_model(tmp_path / "model")
    firmware(model, tmp_path / "a")
    for files in found.values():
        files.update(dict.fromkeys(files, b"message(FATAL_ERROR wrong)\n"))
    firmware(model, tmp_path / "a")
    with pytest.raises(cmake.BuildError, match="CMake Error"):
        firmware(model, tmp_path / "b")
