"""Modelled cycles and instructions of a firmware's inferences, by QEMU plugin.

The plugin (`runtime/qemu`) counts between the firmware's calls of `vq_bench_begin` and
`vq_bench_end` and writes one JSON line per inference. Cycles are those of a Cortex-M4 with memory
without wait states; on other cores only instructions are counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from ..errors import UsageError
from ..resources import resource_dir
from .cmake import cmake_build

_ELSEWHERE = "set XDG_CACHE_HOME to a folder that can be written to"
_BEGIN, _END = "vq_bench_begin", "vq_bench_end"


@dataclass(frozen=True)
class Timing:
    """What the cycle model is told of the part.

    `branch_refill` is the number of cycles (1 to 3 on hardware) that a taken branch needs more than
    one that is not taken. `flash_wait_states` are the cycles by which each taken branch and each
    load from flash is later.
    """

    branch_refill: int = 2
    flash_wait_states: int = 0


DEFAULT_TIMING = Timing()


@dataclass(frozen=True)
class LayerRecord:
    """What was executed from one entry of a layer function to the next one's, or to the end.

    `cycles` is None where cycles are not modelled, `instructions` where a device counts no more
    than its own cycles.
    """

    function: str
    instructions: int | None
    cycles: int | None


@dataclass(frozen=True)
class FunctionRecord:
    """What was executed in one function itself, without the functions it calls.

    `cycles` is None where cycles are not modelled.
    """

    function: str
    instructions: int
    cycles: int | None


@dataclass(frozen=True)
class InferenceRecord:
    """The cost of one inference.

    `layers` are in the order of execution: a function that was entered twice is there twice. What
    precedes the first entry of a layer counts to the totals only. `functions` are in the order of
    their addresses, without those that did not run. `cycles` and `instructions` as in LayerRecord.
    """

    instructions: int | None
    cycles: int | None
    layers: tuple[LayerRecord, ...]
    functions: tuple[FunctionRecord, ...]


@dataclass(frozen=True)
class _Function:
    """A function's symbol and its addresses, [low, high)."""

    name: str
    low: int
    high: int


def build_plugin(cache_dir: Path | None = None) -> Path:
    """The plugin's shared library, built from source unless `cache_dir` has it already.

    Without `cache_dir` it lies in the user's cache. Any number of processes may build at once: each
    builds in a folder of its own, and the result appears in one step. BuildError or ToolError say
    what is wrong, UsageError that the folder cannot be written to.
    """
    sources = resource_dir("runtime") / "qemu"
    directory = _user_cache() if cache_dir is None else cache_dir
    library = directory / f"vq_cycle_model-{_digest(sources)}.so"
    try:
        if library.exists():
            return library
        directory.mkdir(parents=True, exist_ok=True)
        build = tempfile.TemporaryDirectory(prefix="build-", dir=directory)
    except OSError as error:
        raise UsageError(f"cache {directory}: {error.strerror}; {_ELSEWHERE}") from None
    with build as folder:
        cmake_build(sources, Path(folder), {"CMAKE_BUILD_TYPE": "Release"})
        os.replace(Path(folder) / "libvq_cycle_model.so", library)
    return library


def plugin_arguments(
    plugin: Path,
    elf: Path,
    *,
    layer_functions: Sequence[str],
    models_cycles: bool = True,
    timing: Timing = DEFAULT_TIMING,
    instruction_limit: int | None = None,
) -> str:
    """QEMU's `-plugin` argument for counting `elf`; `,out=FILE` has to follow it. The emulator
    fails after `instruction_limit` instructions since reset.

    `layer_functions` are C symbols, in any order. All functions are named in the argument, which
    Linux limits to 128 KB: some 2000 functions. UsageError: `elf` lacks one.
    """
    functions = _functions(elf)
    addresses = {function.name: function.low for function in functions}
    missing = [name for name in (_BEGIN, _END, *layer_functions) if name not in addresses]
    if missing:
        raise UsageError(f"{elf.name} has no function {', '.join(missing)}")
    options = [
        str(plugin).replace(",", ",,"),
        f"start={addresses[_BEGIN]:#x}",
        f"stop={addresses[_END]:#x}",
        f"cycles={int(models_cycles)}",
        f"p={timing.branch_refill}",
        f"ws={timing.flash_wait_states}",
        *([f"limit={instruction_limit}"] if instruction_limit else []),
    ]
    layers = set(layer_functions)
    # of the names of one address the last stays: a layer's
    functions.sort(key=lambda function: (function.low, function.name in layers))
    for function in {function.low: function for function in functions}.values():
        key = "layer" if function.name in layers else "function"
        options.append(f"{key}={function.low:#x}-{function.high:#x}:{function.name}")
    return ",".join(options)


def parse_records(text: str) -> tuple[InferenceRecord, ...]:
    """The records that the plugin wrote, one for each inference that ended.

    A last line that is incomplete, since the emulator was stopped, is left out.
    """
    lines = text.splitlines(keepends=True)
    return tuple(_record(json.loads(line)) for line in lines if line.endswith("\n"))


def read_records(out: Path) -> tuple[InferenceRecord, ...]:
    """`parse_records` of the file that the plugin wrote to."""
    return parse_records(out.read_text(encoding="ascii"))


def _record(data: Mapping[str, Any]) -> InferenceRecord:
    return InferenceRecord(
        data["instructions"],
        data["cycles"],
        tuple(LayerRecord(**layer) for layer in data["layers"]),
        tuple(FunctionRecord(**function) for function in data["functions"]),
    )


def _functions(elf: Path) -> list[_Function]:
    """All functions; one without a size, from assembly, reaches to the next or its section's end.

    A function that the linker gave several names is there under each.
    """
    with elf.open("rb") as file:
        image = ELFFile(file)
        table = image.get_section_by_name(".symtab")
        symbols = [
            (symbol["st_value"] & ~1, symbol["st_size"], symbol["st_shndx"], symbol.name)
            for symbol in (table.iter_symbols() if table else ())
            if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(symbol["st_shndx"], int)
        ]
        ends = [section["sh_addr"] + section["sh_size"] for section in image.iter_sections()]
    following = dict(pairwise(sorted({low for low, *_ in symbols})))
    functions = []
    for low, size, section, name in symbols:
        limit = min(ends[section], following.get(low, ends[section]))
        functions.append(_Function(name, low, low + size if size else limit))
    return [function for function in functions if function.low < function.high]


def _digest(sources: Path) -> str:
    """Of all that the library is made from and for."""
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\0".encode())
    for path in sorted(sources.iterdir()):
        if path.suffix in (".c", ".h", ".txt"):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    if not base:
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:
            raise UsageError(f"there is no home folder for a cache; {_ELSEWHERE}") from None
    return Path(base) / "vq-cortexm"
