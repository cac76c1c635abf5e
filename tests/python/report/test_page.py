"""The page in a browser: complete, equal to its files, and to be used by everyone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browsing import SLOW, open_page
from playwright.sync_api import Browser, Page, expect

from vq_cortexm.report.budgets import choose_board
from vq_cortexm.report.folder import read_build
from vq_cortexm.report.page import render_page

CHECKS = (Path(__file__).parent / "page_checks.js").read_text()
PHONE = {"width": 320, "height": 640}
FILES = {"report": "report.json", "metadata": "metadata.json"}
FILES |= {"pareto": "pareto.json", "eval": "eval.json"}


@pytest.fixture(scope="module")
def file(reported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = read_build(reported)
    text = render_page(build, choose_board(build, None), against=build)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text)
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    shown = open_page(browser, file)
    yield shown
    shown.context.close()


def look_up(folder: Path, place: str) -> Any:
    """What a file says at a place such as `report.layers[0].flash`; None where it says nothing."""
    name, _, rest = place.partition(".")
    value = json.loads((folder / FILES[name]).read_text())
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", rest):
        value = value.get(key) if key else value[int(index)]
        if value is None:
            return None
    return value


def figures(page: Page) -> dict[str, str]:
    script = "all => all.map(one => [one.dataset.figure, one.textContent])"
    return dict(page.locator("[data-figure]").evaluate_all(script))


def numbers(value: Any, place: str) -> Iterator[str]:
    """The places of all numbers in a JSON value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from numbers(item, f"{place}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


def test_figures_are_those_of_the_files(page: Page, reported: Path) -> None:
    shown = {place.removeprefix("against."): text for place, text in figures(page).items()}
    assert len(shown) > 200
    for place, text in shown.items():
        wanted = look_up(reported, place)
        if wanted is None:
            assert text == "–", place
            continue
        number, percent = re.fullmatch(r"([\d,.]+)( %)?", text).groups()  # type: ignore[union-attr]
        digits = len(number.partition(".")[2])
        scaled = 100 * wanted if percent else wanted
        assert number == f"{scaled:,.{digits}f}", place
        assert percent or isinstance(wanted, int) or wanted == round(wanted), place


def test_every_figure_of_the_report_is_there(page: Page, reported: Path) -> None:
    report = json.loads((reported / "report.json").read_text())
    shown = figures(page)
    measured = report["measured"]["layers"]
    for place in numbers(report, "report"):
        # a layer's facts are the same before and after a run, but for its flash
        if match := re.fullmatch(r"report\.layers\[(\d+)\]\.(?!flash)(\w+)", place):
            index, key = int(match[1]), match[2]
            assert report["layers"][index][key] == measured[index][key]
            continue
        weights = re.fullmatch(r"report\.measured\.layers\[(\d+)\]\.(levels|weight_bytes)", place)
        if weights and not measured[int(weights[1])]["weight_bytes"]:
            continue
        assert place in shown, place
    plan = json.loads((reported / "metadata.json").read_text())["memory"]["plan"]
    assert set(numbers(plan, "metadata.memory.plan")) <= shown.keys()
    assert {"pareto.chosen.n-ary.accuracy", "eval.rows[2].accuracy.mean"} <= shown.keys()


def test_nothing_is_loaded_and_nothing_fails(browser: Browser, file: Path) -> None:
    page = browser.new_context().new_page()
    page.set_default_timeout(SLOW)
    seen: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.locator("th button").first.click()
    assert seen == []
    assert requests == [file.as_uri()]
    assert file.stat().st_size < 1_000_000
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|url\(", file.read_text())
    page.context.close()


def test_tables_are_sorted_by_keyboard(page: Page) -> None:
    heading = page.locator("#layers th", has=page.get_by_role("button", name="cycles", exact=True))
    cells = page.locator("#layers tbody td:nth-child(4)")

    def column() -> list[int]:
        return [int(text.replace(",", "")) for text in cells.all_text_contents()]

    unsorted = column()
    heading.get_by_role("button").focus()
    for key, order in (("Enter", "descending"), ("Space", "ascending")):
        page.keyboard.press(key)
        assert heading.get_attribute("aria-sort") == order
        assert column() == sorted(unsorted, reverse=order == "descending")
    page.locator("#layers th").first.get_by_role("button").press("Enter")
    assert column() == unsorted
    assert heading.get_attribute("aria-sort") == "none"
    limits = page.locator("#layers").get_by_role("button", name="× limit")
    limits.press("Enter")
    shown = page.locator("#layers tbody td:nth-child(7)").all_text_contents()
    # what has no limit comes last
    assert shown[-1] == "–"
    assert float(shown[0]) == max(float(text) for text in shown if text != "–")


def test_buffers_tell_their_names(page: Page, reported: Path) -> None:
    plan = json.loads((reported / "metadata.json").read_text())["memory"]["plan"]
    marks, readout = page.locator("#memory .mark"), page.locator("#memory .readout")
    assert marks.count() == len(plan)
    first = marks.first
    first.focus()
    told = [readout.text_content()]
    for _ in plan[1:]:
        page.keyboard.press("ArrowRight")
        told.append(readout.text_content())
    names = sorted(f"{p['storage']}: {p['role']}, {p['size_bytes']:,} bytes" for p in plan)
    assert sorted((text or "").partition(" at ")[0] for text in told) == names
    page.keyboard.press("Home")
    assert readout.text_content() == first.locator("title").text_content()
    page.locator("#sweep .mark").last.hover()
    expect(page.locator("#sweep .readout")).to_contain_text("mean cycles")


def test_tab_goes_through_the_page_in_its_order(page: Page) -> None:
    ways = page.evaluate("document.querySelectorAll('a, summary, th button, .scroll').length")
    ways += page.locator(".chart").count()
    script = """() => {
        const at = document.activeElement;
        const all = [...document.querySelectorAll("*")];
        const style = getComputedStyle(at);
        const seen = at.matches(".mark") || style.outlineStyle !== "none";
        return [all.indexOf(at), seen, at.tagName];
    }"""
    reached = []
    for _ in range(ways - page.locator("details th button, details .scroll").count()):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(script))
    places = [place for place, _, _ in reached]
    assert places == sorted(set(places))
    assert all(seen for _, seen, _ in reached)
    assert {name for _, _, name in reached} == {"A", "DIV", "BUTTON", "g", "SUMMARY"}
    page.keyboard.press("Enter")
    assert page.locator("details").last.get_attribute("open") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("medium", ["screen", "print"])
def test_contrast(browser: Browser, file: Path, scheme: Any, medium: Any) -> None:
    page = open_page(browser, file, color_scheme=scheme)
    page.emulate_media(media=medium, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    checked = page.evaluate(CHECKS)
    assert len(checked) > 500
    assert [text for text, contrast, least in checked if contrast < least] == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = (scheme, medium) == ("dark", "screen")
    assert (paper != "rgb(255, 255, 255)") == is_dark
    page.context.close()


def test_narrow_screens_scroll_down_only(browser: Browser, file: Path) -> None:
    page = open_page(browser, file, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    # nothing hangs out of the page but what scrolls by itself
    outside = """() => [...document.querySelectorAll("main *")].filter(one =>
        !one.closest(".scroll, .unseen") && one.getBoundingClientRect().right > innerWidth
    ).map(one => one.outerHTML)"""
    assert page.evaluate(outside) == []
    page.context.close()


def test_on_paper(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("details td").first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_script(browser: Browser, file: Path, page: Page) -> None:
    plain = open_page(browser, file, java_script_enabled=False)
    assert figures(plain) == figures(page)
    assert plain.locator("th button").count() == 0
    assert plain.locator(".mark[tabindex='0']").count() == plain.locator(".mark").count()
    plain.context.close()


def test_names_are_text(browser: Browser, own: Path, tmp_path: Path) -> None:
    name = "<script>document.title = 'run'</script><img src=x>"
    report = json.loads((own / "report.json").read_text())
    for layers in (report["layers"], report["measured"]["layers"]):
        layers[0]["name"] = name
    (own / "report.json").write_text(json.dumps(report))
    file = tmp_path / "report.html"
    file.write_text(render_page(read_build(own)))
    page = open_page(browser, file)
    assert page.title() == "both: what it costs"
    assert page.locator("#layers tbody th").first.text_content() == name
    page.context.close()


def test_charts_have_names_and_the_page_has_headings(page: Page) -> None:
    assert page.locator("html").get_attribute("lang") == "en"
    unnamed = "all => all.filter(one => !one.ariaLabel && !one.querySelector('title')).length"
    assert page.locator("svg[role], g[role]").evaluate_all(unnamed) == 0
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => +one.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.locator("table:not(:has(caption))").count() == 0
