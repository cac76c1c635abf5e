"""cppcheck and clang's static analyzer over generated C and over the firmware."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drawn.models import draw_model

from vq_cortexm.resources import resource_dir

RUNTIME = resource_dir("runtime")
TARGETS = ("vq-cortexm", "vq-cortexm/cortex-m3", "vq-cortexm/cortex-m0")
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


@dataclass(frozen=True)
class Analysis:
    """What a tool said of some C files; "" where it found nothing."""

    tool: str
    what: str
    files: tuple[Path, ...]
    lines: int
    said: str


def analyze_models(kinds: Sequence[str], folder: Path) -> list[Analysis]:
    """Of a drawn model of each kind, as it is shipped and as a debug build, for one core each."""
    found = []
    for index, kind in enumerate(kinds):
        made = _write(kind, TARGETS[index % len(TARGETS)], f"m{index}", folder)
        sources, run = sorted(made.glob("*.c")), made / f"m{index}_run.c"
        said = clang(sources, f"-I{made}") + clang([run], f"-I{made}", "-DVQ_POISON")
        found.append(_analysis("clang", kind, sources, said))
    every = sorted(folder.rglob("*.c"))
    return [*found, _analysis("cppcheck", "models", every, cppcheck(folder))]


def analyze_firmware() -> list[Analysis]:
    """Of the firmware with its drivers, and of the emulator's plugin by cppcheck."""
    every = sorted(RUNTIME.rglob("*.c"))
    said = cppcheck(f"-I{RUNTIME / 'include'}", *DEFINITIONS, RUNTIME)
    return [_analysis("cppcheck", "runtime", every, said), *map(_firmware_of, CORES)]


def _firmware_of(core: str) -> Analysis:
    described = _said("arm-none-eabi-gcc", f"-mcpu={core}", "-xc", "-E", "-v", "/dev/null")
    (listed,) = re.findall(r"<\.\.\.> search starts here:\n(.*?)End of", described, re.S)
    headers = [f"-isystem{line.strip()}" for line in listed.splitlines()]
    folders = ("rpc", "drivers", "firmware", "boards/*")
    sources = [
        p for f in folders for p in sorted(RUNTIME.glob(f"{f}/*.c")) if "host" not in p.parts
    ]
    target = ("--target=arm-none-eabi", f"-mcpu={core}", "-mthumb", "-mfloat-abi=soft")
    options = (*target, "-nostdinc", *headers, f"-I{RUNTIME / 'include'}", *DEFINITIONS)
    return _analysis("clang", f"firmware, {core}", sources, clang(sources, *options))


def cppcheck(*arguments: str | Path) -> str:
    """What it says; nothing where it finds nothing."""
    suppressed = [f"--suppress={each}" for each in SUPPRESSED]
    classes = "--enable=warning,performance,portability"
    return _said("cppcheck", "--quiet", classes, "--std=c11", *suppressed, *arguments)


def clang(sources: Sequence[Path], *options: str | Path) -> str:
    """What its analyzer says; nothing where it finds nothing."""
    given = ("clang", "--analyze", "-Xclang", "-analyzer-output=text", "-std=c11")
    return _said(*given, *options, *sources)


def _said(*command: str | Path) -> str:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    return completed.stdout + completed.stderr + "failed\n" * (completed.returncode != 0)


def _write(kind: str, target: str, name: str, folder: Path) -> Path:
    """The sources of a model of a kind."""
    compiled = draw_model(f"{kind}/0").compile(name, target)
    (folder / name).mkdir()
    for file, text in compiled.sources.items():
        (folder / name / file).write_text(text)
    return folder / name


def _analysis(tool: str, what: str, files: Sequence[Path], said: str) -> Analysis:
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in files)
    return Analysis(tool, what, tuple(files), lines, said)
