"""What the tutorial, the how-to guides and README show, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tiny_nets
from doc_pages import run_page


def test_readme(tmp_path: Path) -> None:
    said = run_page("README.md", tmp_path)[0]
    # outputs, whether they are exact, flash, RAM
    assert re.search(r"\] True \d+ \d+$", said, re.MULTILINE)
    assert (tmp_path / "out/digits/digits.h").exists()


def test_numbers(tmp_path: Path) -> None:
    rows = [
        line.split(maxsplit=1) for line in run_page("docs/numbers.md", tmp_path)[0].splitlines()
    ]
    found = {name: [int(y) for y in row.strip("[]").split()] for name, row in rows}
    assert found == {
        "single": [-2, -1, 0, 1, 2, 3],
        "double": [-3, -2, -1, 1, 2, 3],
        "float": [-2, -2, 0, 0, 2, 2],
    }


def test_kernels(tmp_path: Path) -> None:
    assert run_page("docs/kernels.md", tmp_path) == ["True True\n"]


def test_memory_plan(tmp_path: Path) -> None:
    plan, checked = run_page("docs/memory_plan.md", tmp_path)
    arena, bound = re.findall(r"(\d+) bytes; no plan is smaller than (\d+)$", plan)[0]
    assert 0 < int(bound) <= int(arena)
    assert "bit-exact with the reference: yes" in checked


@pytest.mark.slow
def test_tutorial(tmp_path: Path) -> None:
    said = "\n".join(run_page("docs/tutorial.md", tmp_path))
    assert said.count("bit-exact with the reference: yes") == 2
    assert "modelled cycles at 168 MHz" in said
    for name in ("report.html", "report4.html", "compared.md", "for_board/firmware.elf"):
        assert (tmp_path / name).stat().st_size > 0
    header = (tmp_path / "digits4/digits4.h").read_text(encoding="utf-8")
    page = (Path(__file__).parents[3] / "docs/tutorial.md").read_text(encoding="utf-8")
    for name in ("tvmgen_digits4_map_io", "tvmgen_digits4_run", "struct tvmgen_digits4_inputs"):
        assert name in header and name in page
    assert "int8_t *image;" in header and "int8_t *logits;" in header


@pytest.mark.slow
def test_fit_64k(tmp_path: Path) -> None:
    run_page("docs/howto/fit_64k.md", tmp_path)
    assert (tmp_path / "firmware/firmware.elf").exists()
    assert (tmp_path / "fitted.html").exists()


@pytest.mark.slow
def test_bcnet_data(tmp_path: Path) -> None:
    said = "\n".join(run_page("docs/howto/bcnet_data.md", tmp_path))
    assert "bit-exact with the reference: yes" in said
    header = (tmp_path / "both/both.h").read_text(encoding="utf-8")
    assert "tvmgen_both_set_threshold" in header and "tvmgen_both_path" in header


@pytest.mark.slow
@pytest.mark.parametrize("name", ["from_tflite_micro", "from_cmsis_nn"])
def test_coming_from(name: str, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(tiny_nets.wake_words())
    run_page(f"docs/howto/{name}.md", tmp_path)
    assert (tmp_path / "net/net.h").exists()
