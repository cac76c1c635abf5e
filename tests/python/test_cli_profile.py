"""`vq-cortexm profile`: what each layer costs and what limits it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import RUN_KEYS, Run, fail, json_of, succeed


def test_profile_json(model: Path) -> None:
    result = json_of("profile", model, "--board", "mps2-an385")
    assert list(result) == [*RUN_KEYS[:-1], "emulated", "timing"]
    assert (result["emulated"], result["timing"]["flash_wait_states"]) == (True, 0)
    assert result["target"] == "vq-cortexm/cortex-m3"
    assert result["cycles"] is None
    assert result["instructions"] > 0
    assert result["layers"][0]["instructions"] > 0


def test_layers_have_their_limit(here: Run, model: Path) -> None:
    result = json_of("profile", model, run=here)
    (layer,) = result["layers"]
    assert 0 < layer["limit_cycles"] < layer["cycles"] <= result["cycles"]
    assert layer["limited_by"] == "MAC"


def test_without_a_cycle_model_there_is_no_limit(here: Run, model: Path) -> None:
    (layer,) = json_of("profile", model, "--board", "mps2-an385", run=here)["layers"]
    assert (layer["cycles"], layer["limit_cycles"], layer["limited_by"]) == (None, None, None)


def test_table_shows_rates_and_limits(here: Run, model: Path) -> None:
    (layer,) = json_of("profile", model, run=here)["layers"]
    text = succeed("profile", model, run=here)
    (row,) = [line.split() for line in text.splitlines() if " conv2d " in line]
    per_mac = layer["cycles"] / layer["macs"]
    near = layer["cycles"] / layer["limit_cycles"]
    cycles = f"{layer['cycles']:,}"
    assert row[4:9] == [cycles, f"{per_mac:.2f}", "100.0%", "MAC", f"{near:.2f}x"]
    other = succeed("profile", model, "--board", "mps2-an385", run=here)
    assert "limit" not in other.replace("lower bound", "")
    assert "cycles" not in other


@pytest.mark.parametrize("option", ["--branch-refill", "--wait-states"])
def test_timing_of_branches_and_flash(here: Run, option: str, model: Path) -> None:
    one, three = (json_of("profile", model, option, n, run=here) for n in ("1", "3"))
    default = json_of("profile", model, run=here)
    assert one["instructions"] == three["instructions"] == default["instructions"]
    less, more = sorted((one["cycles"], default["cycles"]))
    assert less < more < three["cycles"]


@pytest.mark.parametrize(
    "options", [("--branch-refill", "0"), ("--branch-refill", "4"), ("--wait-states", "16")]
)
def test_timing_out_of_range(here: Run, options: tuple[str, str], model: Path) -> None:
    assert options[0] in fail(2, "profile", model, *options, run=here)


@pytest.mark.parametrize("board", ["mps2-an385", "host"])
def test_timing_where_cycles_are_not_modelled(here: Run, board: str, model: Path) -> None:
    options = ["--board", board, "--wait-states", "1"]
    assert f"{board} has no cycle model" in fail(2, "profile", model, *options, run=here)
