"""A headless browser for pages that lie in files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

DESK = {"width": 1240, "height": 900}
SLOW = 120_000
"""Milliseconds: of a busy machine."""


@contextmanager
def chromium() -> Iterator[Browser]:
    # a container has no sandbox; where there is no browser of the system Playwright has its own
    system = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system, args=["--no-sandbox"], timeout=SLOW
        )
        yield browser
        browser.close()


def open_page(browser: Browser, file: Path, **options: Any) -> Page:
    page = browser.new_context(**{"viewport": DESK, **options}).new_page()
    page.set_default_timeout(SLOW)
    page.goto(file.as_uri())
    return page
