"""The pictures of docs/report.md, of pages in a browser.

`pytest tests/python/report/test_pictures.py --update-golden` takes them anew. Pixels depend on the
fonts and the browser, so each file carries the text that its picture shows, and that is compared.
It says too which compiler made the code: with another one figures are others, and only the words
between them are compared.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from browsing import open_page
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Page

from vq_cortexm.cli import cli
from vq_cortexm.micro.toolchain import tool_version

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
FOLDER = DOCS / "pictures"
MODEL = ROOT / "examples" / "spoken_digits" / "spoken_digits_4bit.onnx"
BOARD = "netduinoplus2"
PHONE = {"width": 390, "height": 844}
MARGIN = 24
TEXT, COMPILER = "Description", "Software"
"""Names of what a file carries beside the pixels."""


@dataclass(frozen=True)
class Picture:
    """Of a section of a page, or of the top of one: what the window shows."""

    page: str
    section: str | None
    context: dict[str, Any] = field(default_factory=dict)


PICTURES = {
    "report_summary": Picture("report", "#summary"),
    "report_layers": Picture("report", "#layers"),
    "report_memory": Picture("report", "#memory", {"color_scheme": "dark"}),
    "report_comparison": Picture("comparison", "#comparison"),
    "report_phone": Picture("report", None, {"viewport": PHONE, "color_scheme": "dark"}),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model's page, and one of it with fewer levels beside it."""
    folder = tmp_path_factory.mktemp("pictures")
    digits, fewer = folder / "digits", folder / "fewer"
    vq("profile", MODEL, "--board", BOARD, "-o", digits)
    vq("profile", MODEL, "--board", BOARD, "--bits", "2", "-o", fewer)
    vq("report", digits, "-o", folder / "report.html")
    vq("report", fewer, "--against", digits, "-o", folder / "comparison.html")
    return folder


def vq(*arguments: str | Path) -> None:
    cli.main([*map(str, arguments)], prog_name="vq-cortexm", standalone_mode=False)


def photograph(page: Page, section: str | None) -> tuple[bytes, str]:
    """A PNG file, and the text in it; of a chart with a mark reached."""
    if section is None:
        # what the window cuts depends on the fonts, so the text is that of both parts it shows
        text = "\n".join(page.locator("header, #summary").all_inner_texts())
        return page.screenshot(), text
    part = page.locator(section)
    marks = part.locator(".mark")
    if marks.count():
        marks.nth(marks.count() // 2).focus()
    # of the whole page: what has the focus may have scrolled it
    box = part.evaluate(
        """one => {
            const { x, y, width, height } = one.getBoundingClientRect();
            return { x: x + scrollX, y: y + scrollY, width, height };
        }"""
    )
    sides = {"x": box["x"] - MARGIN, "width": box["width"] + 2 * MARGIN}
    clip: Any = {"y": box["y"], "height": box["height"] + MARGIN, **sides}
    return page.screenshot(clip=clip, full_page=True), part.inner_text()


def write(path: Path, png: bytes, text: str) -> None:
    info = PngInfo()
    info.add_itxt(TEXT, text, zip=True)
    info.add_text(COMPILER, tool_version("arm-none-eabi-gcc"))
    Image.open(io.BytesIO(png)).save(path, pnginfo=info, optimize=True)


def same(shown: str, committed: str, *, with_figures: bool) -> bool:
    return shown == committed if with_figures else words(shown) == words(committed)


def words(text: str) -> str:
    return re.sub(r"[+−]?\d[\d,.]*", "0", text)


def shown_in_docs() -> Iterator[tuple[str, str]]:
    """Text in place of a picture, and its name."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        yield from re.findall(r"!\[([^\]]*)\]\((?:\.\./)*pictures/(\w+)\.png\)", text)


def test_each_picture_is_shown_once_and_described() -> None:
    shown = [name for _, name in shown_in_docs()]
    assert sorted(shown) == sorted(PICTURES)
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{n}.png" for n in PICTURES)
    assert all(len(text.split()) > 3 for text, _ in shown_in_docs())


def test_other_figures_are_noticed() -> None:
    assert not same("cycles 1,234", "cycles 1,235", with_figures=True)
    assert same("−1.5 % of cycles", "+12 % of cycles", with_figures=False)
    assert not same("12 cycles", "12 bytes", with_figures=False)


@pytest.mark.slow
def test_pictures_are_of_the_page_as_it_is(
    pages: Path, browser: Browser, update_golden: bool
) -> None:
    stale = []
    for name, picture in PICTURES.items():
        page = open_page(browser, pages / f"{picture.page}.html", **picture.context)
        png, text = photograph(page, picture.section)
        page.context.close()
        path = FOLDER / f"{name}.png"
        if update_golden:
            write(path, png, text)
        taken, kept = Image.open(io.BytesIO(png)), Image.open(path)
        # heights are the fonts'
        assert kept.width == taken.width and kept.height > 400, name
        colors = kept.convert("RGB").getcolors(1 << 24)
        assert colors is not None and len(colors) > 50, name
        is_same_compiler = kept.info[COMPILER] == tool_version("arm-none-eabi-gcc")
        if not same(text, kept.info[TEXT], with_figures=is_same_compiler):
            stale.append(name)
    assert stale == [], "remake them with --update-golden"
