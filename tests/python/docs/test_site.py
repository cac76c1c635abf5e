"""The site: built strictly, with every page in its navigation, and nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import docs_blocks
import docs_check
import pytest
from docs_commands import problem

ROOT = Path(__file__).parents[3]
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]* src=\"?([^\" >]+)"
    r"|<link[^>]* rel=\"?(?:stylesheet|preload|preconnect|icon)\"?[^>]* href=\"?([^\" >]+)"
)


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_site_is_built_strictly_and_loads_nothing(tmp_path: Path) -> None:
    done = python("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) >= len(list((ROOT / "docs").rglob("*.md")))
    for page in pages:
        for match in _LOADED.finditer(page.read_text(encoding="utf-8")):
            loaded = match[1] or match[2]
            assert not re.match(r"(?:\w+:)?//", loaded), f"{page.name} loads {loaded}"
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_links_lead_somewhere() -> None:
    for page in [*docs_blocks.pages(), ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not re.match(r"\w+:", link):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_reference_is_what_the_code_says() -> None:
    done = python("scripts/write_reference.py", "--check")
    assert done.returncode == 0, f"{done.stdout}run: python scripts/write_reference.py"


def test_every_block_and_figure_is_accounted_for(capsys: pytest.CaptureFixture[str]) -> None:
    status = docs_check.main()
    assert status == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "page", "said"),
    [
        ("RUN", "docs/tutorial.md", "a block of sh that is on no list"),
        ("FIGURES", "docs/vq.md", "has a table of figures and is not in FIGURES"),
    ],
)
def test_what_nothing_checks_is_found(
    table: str,
    page: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(getattr(docs_check, table), page)
    assert docs_check.main() == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(page in line and said in line for line in lines)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("vq-cortexm compil MODEL -o DIR", "has no verb"),
        ("vq-cortexm compile MODEL -o DIR --bord host", "No such option"),
        ("vq-cortexm compile MODEL", "Missing option"),
        ("vq-cortexm compile MODEL -o DIR --bits 9", "not in the range"),
        ("vq-cortexm micro create-project|bild", "has no verb bild"),
        ("vq-cortexm profile MODEL [--bords B]", "has no option --bords"),
        ("make tests", "no target tests"),
        ("python benchmarks/none.py X", "no file benchmarks/none.py"),
        ("pip install 'vq-cortexm[bords]'", "no extra bords"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, said: str) -> None:
    assert said in (problem(command) or "")


@pytest.mark.parametrize(
    "command",
    [
        "vq-cortexm profile MODEL --levels 11 --objective size   fewer levels",
        "vq-cortexm micro   create-project|build|flash|run       projects",
        "OPENBLAS_NUM_THREADS=1 python -m pytest -n 2  # tests",
        "make bench MODELS=<folder>   figures",
    ],
)
def test_a_command_that_exists_passes(command: str) -> None:
    assert problem(command) is None
