"""docs/new_board.md, followed: its code blocks are a board that builds, links and opens."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from fake_model import APP, write_model
from fake_registers import BAUD, FakeBoard, Registers, build_port
from preset import check_preset

from vq_cortexm import target
from vq_cortexm.micro import firmware
from vq_cortexm.resources import resource_dir
from vq_cortexm.target import Board

PAGE = (Path(__file__).parents[3] / "docs" / "new_board.md").read_text()
RCC_CR, RCC_CFGR, USART2_BRR = 0x4002_1000, 0x4002_1008, 0x4000_440C


def block(language: str) -> str:
    """The only code block of a language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.fixture(scope="module")
def board() -> Board:
    made = eval(block("python"), dict(vars(target)))
    assert isinstance(made, Board)
    return made


@pytest.fixture(scope="module")
def tree(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `runtime` and `cmake` with the new board's folder."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("runtime", "cmake"):
        shutil.copytree(resource_dir(name), root / name)
    folder = root / "runtime" / "boards" / board.name
    folder.mkdir()
    (folder / "board.cmake").write_text(block("cmake"))
    (folder / "board.c").write_text(block("c"))
    return root


def test_the_preset_says_what_the_entry_says(board: Board, tree: Path) -> None:
    check_preset(board, tree / "runtime")


def test_the_board_compiles_and_links(
    board: Board, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware, "resource_dir", lambda name: tree / name)
    model = write_model(tmp_path / "model")
    image = firmware.build_firmware(model, board, tmp_path / "build", APP, harness="rpc")
    assert image.sizes.text > 0
    assert "warning" not in (tmp_path / "build" / "build.log").read_text().lower()


@pytest.fixture(scope="module")
def port(board: Board, tree: Path) -> Path:
    return build_port(board.name, tree, tree / "runtime")


@pytest.mark.parametrize("locks", [True, False], ids=["PLL", "no PLL"])
def test_the_port_opens(board: Board, port: Path, locks: bool) -> None:
    def cr(values: Registers) -> int:
        value = values.get(RCC_CR, 0)
        return value | (bool(value & 1 << 24 and locks) << 25)

    def cfgr(values: Registers) -> int:
        value = values.get(RCC_CFGR, 0)
        return value | (value & 7) << 3

    fake = FakeBoard(port, {}, {RCC_CR: cr, RCC_CFGR: cfgr})
    clock_hz = fake.open()
    assert clock_hz == (board.clock_hz if locks else 16_000_000)
    assert (fake.values.get(RCC_CFGR, 0) & 7 == 2) == locks
    assert abs(clock_hz / fake.values[USART2_BRR] / BAUD - 1) < 0.01
