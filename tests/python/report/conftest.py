"""One folder of each kind for all tests of reports; whoever changes files copies it first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import chromium
from playwright.sync_api import Browser
from reported import write_reported


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two nets that was run, with a front and a sweep."""
    return write_reported(tmp_path_factory.mktemp("reports") / "both")


@pytest.fixture
def own(reported: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(reported, tmp_path / "both")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the session: while it is there, an event loop runs in this thread."""
    with chromium() as launched:
        yield launched
