"""Generated C and the firmware pass cppcheck and clang's static analyzer."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from drawn.models import KINDS, draw_model

from vq_cortexm.resources import resource_dir

RUNTIME = resource_dir("runtime")
TARGETS = ("vq-cortexm", "vq-cortexm/cortex-m3", "vq-cortexm/cortex-m0")
MODELS_AT_ONCE = 16
SUPPRESSED = (
    # right shifts of negative numbers: every compiler of Arm's and this computer's keeps the sign,
    # and tests compare each kernel with the reference to the bit
    "shiftTooManyBitsSigned",
    # places of the linker script, one behind the other
    "comparePointers:*/startup_cortexm.c",
)
DEFINITIONS = (
    *("-DVQ_RPC", "-DVQ_RPC_PAYLOAD=256", "-DVQ_BAUD=115200", '-DVQ_MPS_NAME="x"'),
    *("-DVQ_MPS_UART0=1u", "-DVQ_MPS_CORE_HZ=1u", "-DVQ_MPS_PERIPHERALS_HZ=1u"),
)
CORES = ("cortex-m0", "cortex-m4", "cortex-m33")
"""Of each architecture that the firmware has code of its own for."""


def said(*command: str | Path) -> str:
    """All that a tool says; nothing where it finds nothing."""
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    return completed.stdout + completed.stderr + "failed\n" * (completed.returncode != 0)


def cppcheck(*arguments: str | Path) -> str:
    suppressed = [f"--suppress={each}" for each in SUPPRESSED]
    classes = "--enable=warning,performance,portability"
    return said("cppcheck", "--quiet", classes, "--std=c11", *suppressed, *arguments)


def analyze(sources: Sequence[Path], *options: str | Path) -> str:
    given = ("clang", "--analyze", "-Xclang", "-analyzer-output=text", "-std=c11")
    return said(*given, *options, *sources)


def write(kind: str, target: str, name: str, folder: Path) -> Path:
    """The sources of a model of a kind."""
    compiled = draw_model(f"{kind}/0").compile(name, target)
    (folder / name).mkdir()
    for file, text in compiled.sources.items():
        (folder / name / file).write_text(text)
    return folder / name


def test_both_find_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.c"
    path.write_text("int f(void);\nint f(void) { int *p = 0; return *p; }\n")
    assert "nullPointer" in cppcheck(path)
    assert "core.NullDereference" in analyze([path])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(KINDS), MODELS_AT_ONCE))
def test_models_of_every_kind(first: int, tmp_path: Path) -> None:
    for index, kind in enumerate(KINDS[first : first + MODELS_AT_ONCE]):
        folder = write(kind, TARGETS[index % len(TARGETS)], f"m{index}", tmp_path)
        sources = sorted(folder.glob("*.c"))
        assert analyze(sources, f"-I{folder}") == "", kind
        assert analyze([folder / f"m{index}_run.c"], f"-I{folder}", "-DVQ_POISON") == "", kind
    assert cppcheck(tmp_path) == ""


@pytest.mark.slow
def test_firmware_passes_cppcheck() -> None:
    assert cppcheck(f"-I{RUNTIME / 'include'}", *DEFINITIONS, RUNTIME) == ""


@pytest.mark.slow
@pytest.mark.parametrize("core", CORES)
def test_firmware_passes_clangs_analyzer(core: str) -> None:
    described = said("arm-none-eabi-gcc", f"-mcpu={core}", "-xc", "-E", "-v", "/dev/null")
    (listed,) = re.findall(r"<\.\.\.> search starts here:\n(.*?)End of", described, re.S)
    headers = [f"-isystem{line.strip()}" for line in listed.splitlines()]
    folders = ("rpc", "drivers", "firmware", "boards/*")
    sources = [
        p for f in folders for p in sorted(RUNTIME.glob(f"{f}/*.c")) if "host" not in p.parts
    ]
    target = ("--target=arm-none-eabi", f"-mcpu={core}", "-mthumb", "-mfloat-abi=soft")
    options = (*target, "-nostdinc", *headers, f"-I{RUNTIME / 'include'}", *DEFINITIONS)
    assert len(sources) > 20
    assert analyze(sources, *options) == ""
