"""`vq-cortexm micro`, and `run` and `profile` over the link."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, expected, fail, json_of, random_inputs, succeed
from fake_tools import recorded, write_tool
from port_board import board_at_a_port
from project_servers import use_threads

import vq_cortexm
from vq_cortexm.frontend import load
from vq_cortexm.micro.firmware import build_host_server

BOARD = ["--project-option", "board=netduinoplus2"]
L4R5 = ["--project-option", "board=nucleo-l4r5zi", "--project-option"]


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(monkeypatch)


@pytest.fixture
def mlf(here: Run, model: Path, tmp_path: Path) -> Path:
    tar = tmp_path / "model.tar"
    succeed("compile", model, "-o", tar, "--output-format", "mlf", run=here)
    return tar


@pytest.fixture
def project(here: Run, mlf: Path, tmp_path: Path) -> Path:
    """Created and not built."""
    folder = tmp_path / "project"
    said = succeed("micro", "create-project", folder, mlf, "qemu", *BOARD, run=here)
    assert said.strip() == str(folder)
    return folder


def test_create_build_flash_run(here: Run, model: Path, project: Path, tmp_path: Path) -> None:
    assert succeed("micro", "build", project, "qemu", run=here).strip() == str(project / "build")
    assert succeed("micro", "flash", project, run=here) == ""
    outputs = tmp_path / "y.npz"
    samples = random_inputs(model, 1, seed=4)
    (name,) = (t.name for t in vq_cortexm.build(load(model)).program.inputs)
    np.savez(tmp_path / "x.npz", **{name: samples[0][0]})
    how = ["--inputs", tmp_path / "x.npz", "--outputs", outputs, "--check", "--profile"]
    result = json_of("micro", "run", project, *how, "--print-time", "--number", "2", run=here)
    assert (result["model"], result["platform"], result["board"]) == (
        "tiny_net",
        "qemu",
        "netduinoplus2",
    )
    assert (result["bit_exact"], result["inferences"]) == (True, 1)
    assert result["outputs"] == expected(model, samples)
    assert result["seconds"] > 0 and result["seconds_of"] == "modelled cycles at 168 MHz"
    assert result["layers"][0]["cycles"] > 0
    with np.load(outputs) as saved:
        assert [array.tolist() for array in saved.values()] == result["outputs"][0]
    of_ones = ["--print-top", "2", "--fill-mode", "ones", "--check"]
    printed = succeed("micro", "run", project, *of_ones, run=here)
    title, *lines, verdict = printed.splitlines()
    assert verdict == "bit-exact with the reference: yes"
    assert title.endswith("int8[1, 2, 2, 5]")
    values = [int(line.split()[1]) for line in lines]
    assert len(values) == 2 and values == sorted(values, reverse=True)


def test_options_are_listed_for_their_verb(here: Run, mlf: Path, project: Path) -> None:
    create = succeed("micro", "create-project", "p", mlf, "board", "--list-options", run=here)
    assert "board    required" in create and "nucleo-l4r5zi" in create and "baud" in create
    assert "port" not in create
    assert "verbose" in succeed("micro", "build", project, "--list-options", run=here)
    assert "count_cycles" in succeed("micro", "run", project, "--list-options", run=here)


def test_force_replaces_a_project_and_nothing_else(
    here: Run, mlf: Path, project: Path, tmp_path: Path
) -> None:
    (project / "mine").write_text("")
    line = fail(2, "micro", "create", project, mlf, "qemu", *BOARD, run=here)
    assert "not empty" in line
    bad = ["--project-option", "board=netduino"]
    assert "did you mean" in fail(2, "micro", "create", project, mlf, "qemu", "-f", *bad, run=here)
    assert (project / "mine").exists()
    succeed("micro", "create", project, mlf, "qemu", "-f", *BOARD, run=here)
    assert (project / "CMakeLists.txt").exists() and not (project / "mine").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("")
    assert "replaces projects only" in fail(
        2, "micro", "create", other, mlf, "qemu", "-f", *BOARD, run=here
    )
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_micro_refuses(here: Run, mlf: Path, project: Path, tmp_path: Path) -> None:
    micro = "micro"
    cases: list[tuple[str, list[str | Path]]] = [
        ("which template?", ["create-project", tmp_path / "p", mlf]),
        ("unknown platform 'zephyr'", ["create-project", tmp_path / "p", mlf, "zephyr"]),
        (
            "'x': NAME=VALUE works",
            ["create-project", tmp_path / "p", mlf, "host", "--project-option", "x"],
        ),
        ("is needed to generate project", ["create-project", tmp_path / "p", mlf, "host"]),
        ("neither microtvm_api_server.py", ["build", tmp_path]),
        ("is a project for the platform qemu, not host", ["build", project, "host"]),
        *(
            (
                f"baud {baud}: the UART of nucleo-l4r5zi works with 29297 to 4000000 bits per",
                ["create-project", tmp_path / "p", mlf, "board", *L4R5, f"baud={baud}"],
            )
            for baud in (0, 9600)
        ),
        ("not built yet", ["flash", project]),
        ("not built yet", ["run", project]),
        ("an ending .npz works", ["run", project, "--outputs", "y.npy"]),
        ("No such file", ["run", project, "--inputs", tmp_path / "none.npz"]),
    ]
    for pattern, words in cases:
        assert pattern in fail(2, micro, *words, run=here)
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("board", ["netduinoplus2", "mps2-an385", "host"])
def test_link_gives_what_semihosting_gives(here: Run, model: Path, board: str) -> None:
    how = ["--board", board, "--random", "3", "--seed", "7", "--check"]
    direct = json_of("run", model, *how, run=here)
    linked = json_of("run", model, *how, "--link", run=here)
    for key in ("outputs", "bit_exact", "flash", "layers", "target", "board"):
        assert linked[key] == direct[key], key
    assert linked["bit_exact"] is True


def test_profile_over_the_link_and_its_recording(here: Run, model: Path, tmp_path: Path) -> None:
    recording = tmp_path / "link.txt"
    how = ["--board", "mps2-an386", "--record", recording]
    linked = json_of("profile", model, *how, run=here)
    assert linked["cycles"] > 0 and linked["layers"][0]["cycles"] > 0
    assert recording.read_text().startswith("vq-cortexm link 1\n")


@pytest.fixture
def wire(model: Path, tmp_path: Path) -> Iterator[str]:
    """A serial port behind which the model's firmware runs as a process of this computer."""
    compiled = vq_cortexm.build(load(model), "vq-cortexm/cortex-m4", name="tiny_net")
    server = build_host_server(compiled.export(tmp_path / "c"), tmp_path / "b", compiled.app)
    with board_at_a_port(tmp_path) as board:
        board.start(server)
        yield str(board.port)


def test_real_board_is_flashed_and_run_at_its_port(
    here: Run, model: Path, wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    write_tool(tools / "openocd")
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    at_port = ["--board", "nucleo-l4r5zi", "--port", wire, "--flash-tool", "openocd"]
    how = [*at_port, "--random", "3", "--check"]
    result = json_of("run", model, *how, run=here)
    assert (result["board"], result["bit_exact"]) == ("nucleo-l4r5zi", True)
    # this process counts no cycles, as a board with a DWT would
    assert (result["cycles"], result["instructions"]) == (None, None)
    assert result["flash"]["total"] > 0
    ((*files, script),) = recorded(tools / "openocd")
    assert files == ["-f", "interface/stlink.cfg", "-f", "target/stm32l4x.cfg", "-c"]
    assert script.endswith("firmware.elf} verify reset exit")
    more = ["--no-flash", "--baud", "57600", "--random", "3", "--check"]
    again = json_of("run", model, *how[:4], *more, run=here)
    assert again["outputs"] == result["outputs"]
    assert len(recorded(tools / "openocd")) == 1


def test_project_of_a_real_board(
    here: Run, mlf: Path, wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, project = tmp_path / "bin", tmp_path / "board"
    tools.mkdir()
    write_tool(tools / "pyocd")
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    board = ["--project-option", "board=stm32f4-discovery"]
    succeed("micro", "create-project", project, mlf, "board", *board, run=here)
    succeed("micro", "build", project, run=here)
    probe = ["--project-option", "serial_number=066DFF"]
    succeed("micro", "flash", project, *probe, run=here)
    assert recorded(tools / "pyocd") == [
        [
            *("flash", "--no-wait", "--target", "stm32f407vgtx", "--uid", "066DFF"),
            str(project / "build" / "firmware.elf"),
        ]
    ]
    port = ["--project-option", f"port={wire}"]
    result = json_of("micro", "run", project, *port, "--check", run=here)
    assert (result["platform"], result["bit_exact"]) == ("board", True)
    line = fail(2, "micro", "run", project, run=here)
    assert "project option 'port' is needed to open transport" in line
    nowhere = ["--project-option", f"port={tmp_path / 'none'}"]
    assert "no such serial port" in fail(4, "micro", "run", project, *nowhere, run=here)


def test_wrong_firmware_behind_the_port(here: Run, model: Path, wire: str) -> None:
    how = ["--board", "nucleo-l4r5zi", "--port", wire, "--no-flash"]
    line = fail(4, "run", model, *how, "--bits", "4", run=here)
    assert "has another firmware: model 'tiny_net'" in line and "flash this one" in line


def test_port_in_use(here: Run, model: Path, wire: str) -> None:
    from vq_cortexm.micro.serial_transport import SerialTransport

    how = ["--board", "nucleo-l4r5zi", "--port", wire, "--no-flash"]
    with SerialTransport(wire):
        assert f"{wire}: in use by another program" in fail(4, "run", model, *how, run=here)


def test_missing_probe_board_and_tool(
    here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    write_tool(tools / "pyocd", "No connected debug probes", status=1)
    how = ["--board", "nucleo-l4r5zi", "--port", tmp_path / "tty"]
    assert "pyocd finds no debug probe" in fail(4, "run", model, *how, run=here)
    assert "no such serial port" in fail(4, "run", model, *how, "--no-flash", run=here)


def test_what_the_link_refuses(here: Run, model: Path) -> None:
    cases: list[tuple[str, list[str]]] = [
        ("is hardware", ["--board", "nucleo-l4r5zi"]),
        ("is hardware: --port says where", ["--board", "nucleo-l4r5zi", "--link"]),
        ("--no-flash is of a board at a --port", ["--no-flash"]),
        ("are of a board at a --port", ["--link", "--flash-tool", "pyocd"]),
        ("are of a board at a --port", ["--link", "--baud", "9600"]),
        ("not behind a --port", ["--board", "host", "--port", "/dev/null"]),
        ("a poisoned build is not driven", ["--link", "--poison"]),
        (
            "baud 1200: the UART of nucleo-h743zi works with 1526 to 4000000 bits per second",
            ["--board", "nucleo-h743zi", "--port", "/dev/null", "--baud", "1200"],
        ),
    ]
    for pattern, words in cases:
        assert pattern in fail(2, "run", model, *words, run=here)


def test_tar_is_for_the_boards_core(here: Run, model: Path, tmp_path: Path) -> None:
    tar = tmp_path / "m3.tar"
    how = ["--output-format", "mlf", "--board", "mps2-an385"]
    assert succeed("compile", model, "-o", tar, *how, run=here).strip() == str(tar)
    line = fail(2, "micro", "create-project", tmp_path / "p", tar, "qemu", *BOARD, run=here)
    assert "built for cortex-m3, board netduinoplus2 has a cortex-m4" in line
    assert "mps2-an385" in line
