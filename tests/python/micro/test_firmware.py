"""Building images: sizes, boards, determinism, and what does not fit or compile."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from fake_model import APP, IO, WEIGHTS, Command, expected, replace, sample, write_model
from preset import check_preset, read_preset

from vq_cortexm.errors import BudgetError, ToolError, UsageError
from vq_cortexm.micro.app import AppSpec, render_app
from vq_cortexm.micro.cmake import BuildError, cmake_build, first_error
from vq_cortexm.micro.emulator import run_standalone
from vq_cortexm.micro.firmware import Firmware, build_firmware
from vq_cortexm.micro.toolchain import TOOLS, find_tool, tool_version
from vq_cortexm.resources import resource_dir
from vq_cortexm.target import BOARDS, Board

M4 = BOARDS["mps2-an386"]
FIRMWARE = resource_dir("runtime") / "firmware"
EMULATED = [board for board in BOARDS.values() if board.emulation == "qemu"]
BARE = [board for board in BOARDS.values() if board.emulation != "host"]


def test_sizes_are_the_models_alone(firmware: Firmware) -> None:
    sizes = firmware.sizes
    assert {symbol.name: symbol.part for symbol in sizes.symbols} == {
        "tvmgen_fake_map_io": "text",
        "tvmgen_fake_run": "text",
        "fake_scale": "text",
        "fake_recurse": "text",
        "fake_use_stack": "text",
        "fake_weights": "rodata",
        "arena": "arena",
        "fake_divisor_shift": "data",
    }
    functions = [symbol.size_bytes for symbol in sizes.symbols if symbol.part == "text"]
    assert sum(functions) <= sizes.text < sum(functions) + 4 * len(functions)
    # on Armv6-M a switch's table of addresses is a constant without a symbol
    table = 4 * len(Command) if firmware.board.core.name == "cortex-m0" else 0
    assert 0 <= sizes.rodata - len(WEIGHTS) - table <= 3
    assert sizes.arena == 48
    assert 1 <= sizes.data <= 8


def test_symbols_by_address_without_thumb_bit(firmware: Firmware) -> None:
    addresses = [symbol.address for symbol in firmware.sizes.symbols]
    assert addresses == sorted(addresses)
    assert all(s.address % 2 == 0 for s in firmware.sizes.symbols if s.part == "text")
    ram = firmware.board.ram
    for symbol in firmware.sizes.symbols:
        assert (symbol.address >= ram.origin) == (symbol.part in ("arena", "data"))


@pytest.mark.usefixtures("no_ccache")
def test_same_sources_same_bytes(tmp_path: Path) -> None:
    images = []
    for name in ("one", "somewhere else/with a longer path"):
        model = write_model(tmp_path / name / "model")
        # a path that got into the image would change this number
        replace(model / "fake_run.c", "return 7;", "return (int32_t)sizeof __FILE__;")
        images.append(build_firmware(model, M4, tmp_path / name / "build", APP).elf.read_bytes())
    assert images[0] == images[1]
    assert str(tmp_path).encode() not in images[0]


def test_the_links_speed_is_built_in(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    fast, slow = (
        build_firmware(model, M4, tmp_path / str(baud), APP, harness="rpc", baud=baud)
        for baud in (115_200, 9600)
    )
    assert fast.elf.read_bytes() != slow.elf.read_bytes()


def test_a_second_build_follows_the_sources(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    before = build_firmware(model, M4, tmp_path / "build", APP)
    replace(model / "fake_run.c", "#define FAKE_ARENA_BYTES 48", "#define FAKE_ARENA_BYTES 96")
    after = build_firmware(model, M4, tmp_path / "build", APP)
    assert (before.sizes.arena, after.sizes.arena) == (48, 96)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("fake_weights.c", "BYTES 15", "BYTES 0x400000", r"\d+ bytes too many for its FLASH"),
        ("fake_run.c", "BYTES 48", "0x400000 - 0x1000", r"\d+ bytes too many for its RAM"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    model = write_model(tmp_path / "model")
    replace(model / file, old, new if new.startswith("BYTES") else f"BYTES ({new})")
    with pytest.raises(BudgetError, match=f"^fake does not fit mps2-an386: {message}") as caught:
        build_firmware(model, M4, tmp_path / "build", APP)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_ccache")
def test_the_callers_environment_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "model")
    image = build_firmware(model, M4, tmp_path / "alone", APP).elf.read_bytes()
    headers, tools = tmp_path / "include", tmp_path / "bin"
    headers.mkdir()
    tools.mkdir()
    (headers / "string.h").write_text('#error "another"\n')
    (tools / "as").symlink_to("/bin/false")
    for name, value in (
        ("CPATH", headers),
        ("C_INCLUDE_PATH", headers),
        ("COMPILER_PATH", tools),
        ("GCC_EXEC_PREFIX", tmp_path / "none"),
        ("CFLAGS", "-none"),
        ("ASMFLAGS", "-none"),
    ):
        monkeypatch.setenv(name, str(value))
    again = build_firmware(model, M4, tmp_path / "build", APP).elf.read_bytes()
    assert again == image
    with_assembly = tmp_path / "assembly"
    with_assembly.mkdir()
    (with_assembly / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES C ASM)\nadd_library(a a.S)\n"
    )
    (with_assembly / "a.S").write_text(".globl a\na:\n")
    cmake_build(with_assembly, tmp_path / "b", {})


@pytest.mark.parametrize("flags", ["-O1 -DVQ_FLAG", "-O1;-DVQ_FLAG"])
def test_several_flags(tmp_path: Path, flags: str) -> None:
    model = write_model(tmp_path / "model")
    (model / "vq_app.c").write_text(render_app(APP, bytes(8)))
    checked = "#include <string.h>\n#ifndef VQ_FLAG\n#error no flag\n#endif"
    replace(model / "fake_run.c", "#include <string.h>", checked)
    how = {"VQ_MODEL_DIR": str(model), "VQ_OPTIMIZE": flags}
    cmake_build(FIRMWARE, tmp_path / "build", how)
    assert run_standalone(tmp_path / "build" / "firmware.elf", M4) == (expected(APP.sample),)


def test_another_model_brings_its_own_app(tmp_path: Path) -> None:
    """In the same folder, where nothing says which."""
    for seed in (1, 2):
        model = write_model(tmp_path / f"model{seed}")
        text = render_app(AppSpec(IO, sample(seed)), bytes(8))
        (model / "vq_app.c").write_text(text)
        cmake_build(FIRMWARE, tmp_path / "build", {"VQ_MODEL_DIR": str(model)})
        elf = tmp_path / "build" / "firmware.elf"
        assert run_standalone(elf, M4) == (expected(sample(seed)),)


def test_what_does_not_compile(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    replace(model / "fake_layers.c", "int32_t sum =", "int32_t total =")
    with pytest.raises(BuildError, match=r"fake_layers\.c:\d+:\d+: error: 'sum' undeclared"):
        build_firmware(model, M4, tmp_path / "build", APP)
    assert "'sum' undeclared" in (tmp_path / "build" / "build.log").read_text()


def test_what_does_not_link(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    # the heap is out of bounds: it needs an operating system's calls
    replace(model / "fake_run.c", "return 7;", "return malloc(7) != NULL;")
    replace(model / "fake_run.c", "#include <string.h>", "#include <stdlib.h>\n#include <string.h>")
    with pytest.raises(BuildError, match="undefined reference to `_sbrk'"):
        build_firmware(model, M4, tmp_path / "build", APP)


def test_no_firmware_for_the_host(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'host' takes no firmware"):
        build_firmware(tmp_path, BOARDS["host"], tmp_path / "build", APP)


def test_sample_of_a_wrong_size() -> None:
    with pytest.raises(ValueError, match="the sample of fake has 3 bytes, its inputs 17"):
        render_app(AppSpec(IO, bytes(3)), bytes(8))


def test_a_missing_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for tool in TOOLS:
        with pytest.raises(ToolError, match=rf"^{tool} not found on PATH; .* apt install ") as e:
            find_tool(tool)
        assert e.value.status == 3


def test_broken_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "cmake"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("vq_cortexm.micro.toolchain._VERSION_SECONDS", 0.2)
    again = "; on Debian: apt install --reinstall cmake"
    for script, said in (
        ("", f"{tool} does not start: Exec format error{again}"),
        ("#!/bin/sh\nexec sleep 60\n", f"{tool} --version does not end within 0.2 s{again}"),
        ("#!/bin/sh\nprintf '\\377'\n", "cmake --version tells no version; is it the right"),
    ):
        tool.write_text(script)
        tool.chmod(0o755)
        with pytest.raises(ToolError, match=f"^{re.escape(said)}"):
            tool_version("cmake")


@pytest.mark.parametrize("program", TOOLS)
def test_tool_versions(program: str) -> None:
    assert re.fullmatch(r"\d+(\.\d+)+", tool_version(program))


def test_the_telling_line_of_a_log() -> None:
    log = "CMake Error at x\nninja: error: y\nld: region `RAM' overflowed by 8 bytes\n"
    assert first_error(log) == "ld: region `RAM' overflowed by 8 bytes"
    assert first_error(log + "a.c:1:2: error: z\n") == "a.c:1:2: error: z"
    assert first_error("stopped\n") == "stopped"
    assert first_error("") == "the build said nothing"


@pytest.mark.parametrize("board", BARE, ids=lambda board: board.name)
def test_presets_say_what_target_says(board: Board) -> None:
    check_preset(board, resource_dir("runtime"))


def compile_strictly(board: Board, folder: Path, sources: list[Path], *options: str) -> None:
    """The glue of the fake model, too. What it makes lies in `folder`."""
    (folder / "vq_app.c").write_text(render_app(APP, bytes(8)))
    subprocess.run(
        [
            find_tool("arm-none-eabi-gcc"),
            *board.core.cflags,
            *("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-Werror"),
            *(f"-I{resource_dir('runtime') / 'include'}", f"-I{write_model(folder / 'model')}"),
            *options,
            *("-c", folder / "vq_app.c", *sources),
        ],
        cwd=folder,
        check=True,
    )


@pytest.mark.parametrize("board", EMULATED, ids=lambda board: board.name)
def test_runtime_compiles_without_warnings(board: Board, tmp_path: Path) -> None:
    compile_strictly(board, tmp_path, sorted((resource_dir("runtime") / "firmware").glob("*.c")))


@pytest.mark.parametrize("board", BARE, ids=lambda board: board.name)
def test_link_compiles_without_warnings(board: Board, tmp_path: Path) -> None:
    runtime = resource_dir("runtime")
    preset = read_preset(board.name, runtime)
    sources = sorted((runtime / "rpc").glob("*.c"))
    sources += [runtime / source for source in preset["VQ_BOARD_SOURCES"]]
    definitions = ["VQ_RPC", "VQ_RPC_PAYLOAD=256", "VQ_BAUD=115200"]
    definitions += preset.get("VQ_BOARD_DEFINITIONS", [])
    compile_strictly(board, tmp_path, sources, *(f"-D{each}" for each in definitions))
