"""Writes the pictures of docs/report.md: `python scripts/screenshots.py`, about a minute.

The model is examples/spoken_digits's of 4 bits, beside the same one with 2 bits; it is profiled in
the emulator and shown in headless Chromium. The pictures are the same for the same figures and
fonts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "spoken_digits" / "spoken_digits_4bit.onnx"
PICTURES = ROOT / "docs" / "pictures"
BOARD = "netduinoplus2"
MARGIN = 24


def main() -> None:
    """Builds, profiles and photographs."""
    with tempfile.TemporaryDirectory(prefix="vq-") as made:
        folder = Path(made)
        vq("profile", MODEL, "--board", BOARD, "-o", folder / "digits")
        vq("profile", MODEL, "--board", BOARD, "--bits", "2", "-o", folder / "fewer")
        page = folder / "report.html"
        vq("report", folder / "digits", "-o", page)
        comparison = folder / "comparison.html"
        vq("report", folder / "fewer", "--against", folder / "digits", "-o", comparison)
        PICTURES.mkdir(exist_ok=True)
        system = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
            photograph(browser, page, "report_summary", "#summary")
            photograph(browser, page, "report_layers", "#layers")
            photograph(browser, page, "report_memory", "#memory", color_scheme="dark")
            phone = {"width": 390, "height": 844}
            photograph(browser, page, "report_phone", None, viewport=phone, color_scheme="dark")
            photograph(browser, comparison, "report_comparison", "#comparison")
            browser.close()


def vq(*arguments: str | Path) -> None:
    """Runs the command."""
    command = [sys.executable, "-m", "vq_cortexm", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def photograph(browser: Browser, file: Path, name: str, part: str | None, **options: Any) -> None:
    """A section of the page, or what a window shows of it; of a chart with a mark reached."""
    page = browser.new_context(**{"viewport": {"width": 1240, "height": 900}, **options}).new_page()
    page.goto(file.as_uri())
    path = PICTURES / f"{name}.png"
    if part is None:
        page.screenshot(path=path)
    else:
        section = page.locator(part)
        marks = section.locator(".mark")
        if marks.count():
            marks.nth(marks.count() // 2).focus()
        box = section.bounding_box()
        assert box is not None
        sides = {"x": box["x"] - MARGIN, "width": box["width"] + 2 * MARGIN}
        clip: Any = {"y": box["y"], "height": box["height"] + MARGIN, **sides}
        page.screenshot(path=path, clip=clip, full_page=True)
    page.context.close()
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
