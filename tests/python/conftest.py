"""Options and helpers of all tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from command_line import InProcess, Run, one_addition, one_convolution


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what is kept instead of comparing: tests/golden, docs/pictures",
    )


def pytest_configure() -> None:
    """CMake compiles through ccache where there is one: tests build the same sources many times, in
    folders of ever new names, which do not count with these settings."""
    if ccache := shutil.which("ccache"):
        os.environ["CMAKE_C_COMPILER_LAUNCHER"] = ccache
        os.environ["CMAKE_ASM_COMPILER_LAUNCHER"] = ccache
        os.environ["CCACHE_BASEDIR"] = "/"
        os.environ["CCACHE_NOHASHDIR"] = "1"


@pytest.fixture
def no_ccache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every compilation takes place: what a test says of two builds is not read from a cache."""
    monkeypatch.delenv("CMAKE_C_COMPILER_LAUNCHER", raising=False)
    monkeypatch.delenv("CMAKE_ASM_COMPILER_LAUNCHER", raising=False)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file with one convolution."""
    path = tmp_path / "tiny-net.tflite"
    path.write_bytes(one_convolution())
    return path


@pytest.fixture
def sum_of_two(tmp_path: Path) -> Path:
    """A file with two inputs and their sum."""
    path = tmp_path / "sum.tflite"
    path.write_bytes(one_addition())
    return path


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process."""
    return InProcess(monkeypatch, capfd)
