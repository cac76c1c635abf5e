"""One folder of each kind for all tests of reports; whoever changes files copies it first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reported import write_reported


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two nets that was run, with a front and a sweep."""
    return write_reported(tmp_path_factory.mktemp("reports") / "both")


@pytest.fixture
def own(reported: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(reported, tmp_path / "both")
