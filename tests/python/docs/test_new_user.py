"""The script that walks a new user's path: what it types, and when it does not begin."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import docs_blocks
import fresh_debian
import new_user
import pytest
from fresh_debian import Debian, StepError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    """No Debian, but the pages and the user's folder where they would be in one."""
    debian = Debian(tmp_path, (), {})
    debian.path(new_user.DIGITS).mkdir(parents=True)
    for name in ("README.md", "docs/tutorial.md"):
        fresh_debian.copy(ROOT / name, debian.path(new_user.CHECKOUT) / name)
    return debian


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be typed in a Debian; what has "this fails" in it does."""
    typed: list[str] = []

    def run(self: Debian, *command: str) -> str:
        typed.append(command[-1])
        if "this fails" in command[-1]:
            raise StepError("status 4\nits last line")
        return ""

    monkeypatch.setattr(Debian, "run", run)
    return typed


def test_what_the_pages_say_in_their_text() -> None:
    said = new_user.quick_start(ROOT / "README.md")
    assert said == ("make demo", ["pip install .", "vq-cortexm doctor"])
    said = new_user.tutorial_begins(ROOT / "docs/tutorial.md")
    assert said == ["make setup", ". .venv/bin/activate"]


def test_every_block_of_the_tutorial_is_typed_in_order(debian: Debian, typed: list[str]) -> None:
    steps = new_user.walk(debian)
    scripts = "\n".join(typed)
    place = scripts.index("\nmake setup\n")
    for block in docs_blocks.blocks(ROOT / "docs/tutorial.md"):
        if block.title:
            assert (debian.path(new_user.DIGITS) / block.title).read_text() == block.text
        elif block.language:
            # quoted as one word of a shell
            before = place
            place = scripts.index(block.text.replace("'", "'\"'\"'"), before)
            assert f"\n. .venv/bin/activate\ncd {new_user.DIGITS}\n" in scripts[before:place]
    assert [step.typed for step in steps].index("`make demo`") == 1
    first = next(step for step in steps if step.typed == "`python train_digits.py`")
    assert first.where == "Tutorial: 1. A float model"


def test_the_first_failure_ends_it_with_its_last_lines(debian: Debian, typed: list[str]) -> None:
    page = debian.path(f"{new_user.CHECKOUT}/docs/tutorial.md")
    page.write_text("# A page\n`make setup`\n```sh\nthis fails\n```\n```sh\nthat\n```\n")
    with pytest.raises(StepError) as caught:
        new_user.walk(debian)
    assert str(caught.value) == "Tutorial: `this fails`: status 4\nits last line"
    assert "this fails" in typed[-1]


def test_a_command_that_fails_shows_its_last_lines() -> None:
    with pytest.raises(StepError) as caught:
        fresh_debian.output("sh", "-c", "seq 100; exit 7")
    assert str(caught.value).splitlines() == ["status 7", *map(str, range(71, 101))]


def test_paths_that_settings_of_pip_name(tmp_path: Path) -> None:
    wheels, index, certificate = (tmp_path / name for name in ("wheels", "all/simple", "a.crt"))
    for folder in (wheels, index):
        folder.mkdir(parents=True)
    certificate.write_text("")
    settings = [
        f"[global]\nfind-links = {wheels}\ncert='{certificate}'",
        f"https://somewhere.invalid{wheels} file://{index}\n{tmp_path}/missing",
    ]
    assert fresh_debian.named_paths(settings) == [certificate, index.parent, wheels]
    assert fresh_debian.named_paths([f"https://somewhere.invalid{wheels}"]) == []


@pytest.mark.parametrize(
    ("user", "path", "status", "line"),
    [
        (1000, os.defpath, 2, "new-user: needs root, for debootstrap and chroot\n"),
        (0, "", 3, "new-user: debootstrap is missing: apt-get install debootstrap\n"),
    ],
)
def test_where_it_cannot_begin(
    user: int,
    path: str,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(subprocess, "run", None)
    assert new_user.main([]) == status
    assert capsys.readouterr().err == line


def test_a_folder_with_something_in_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(new_user, "TOOLS", {})
    assert new_user.main(["--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"new-user: {tmp_path} is there, and no empty folder\n"
    assert (tmp_path / "mine").exists()
