"""The emulator's cycle model against sums worked out by hand: tests/c/cycle_model/sequences.S."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from vq_cortexm.errors import UsageError
from vq_cortexm.micro.cycle_model import (
    InferenceRecord,
    build_plugin,
    parse_records,
    plugin_arguments,
    read_records,
)

SOURCES = Path(__file__).parents[2] / "c" / "cycle_model"

# what every layer record holds besides its sequence: see sequences.S
OVERHEAD_INSTRUCTIONS, OVERHEAD_CYCLES = 6, 10

TWO_INFERENCES = """
    .syntax unified
    .thumb
    .global main
    .type main, %function
main:
    push {r4, lr}
    movs r4, #2
1:  bl vq_bench_begin
    bl twice
    bl twice
    bl other
    bl vq_bench_end
    subs r4, r4, #1
    bne 1b
    pop {r4, pc}
    .size main, . - main

    .type twice, %function
twice:                          @ a loop whose head is the function's entry
    subs r0, r0, #1
    ands r1, r0, #3
    bne twice
    push {r4, lr}
    bl helper
    pop {r4, pc}
    .size twice, . - twice

    .type other, %function
other:
    bx lr
    .size other, . - other

    .type helper, %function
helper:                         @ without a size: it reaches to the end of the section
    nop
    bx lr
"""


@dataclass(frozen=True)
class Sequence:
    name: str
    instructions: int
    cycles: int


def read_sequences() -> list[Sequence]:
    pattern = r"^SEQUENCE (\w+), instructions=(\d+), cycles=(\d+)"
    found = re.findall(pattern, (SOURCES / "sequences.S").read_text(), re.MULTILINE)
    return [Sequence(name, int(instructions), int(cycles)) for name, instructions, cycles in found]


SEQUENCES = read_sequences()
LAYERS = [sequence.name for sequence in SEQUENCES]


def link(source: Path, elf: Path) -> Path:
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib"]
    command += ["-T", SOURCES / "program.ld", SOURCES / "startup.S", source, "-o", elf]
    subprocess.run(command, check=True, timeout=60)
    return elf


def run(arguments: str, elf: Path, out: Path) -> tuple[InferenceRecord, ...]:
    command = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-semihosting"]
    command += ["-kernel", str(elf), "-plugin", f"{arguments},out={out}"]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return read_records(out)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache") / "a cache, not made yet"
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(build_plugin, [cache, cache])
    assert first == second
    assert list(cache.iterdir()) == [first]
    return first


def test_no_folder_for_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    line = f"cache {tmp_path / 'file' / 'vq-cortexm'}: Not a directory; set XDG_CACHE_HOME to a"
    with pytest.raises(UsageError, match=line):
        build_plugin()
    monkeypatch.delenv("XDG_CACHE_HOME")

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(UsageError, match="no home folder for a cache; set XDG_CACHE_HOME to a"):
        build_plugin()


@pytest.fixture(scope="session")
def sequences_elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link(SOURCES / "sequences.S", tmp_path_factory.mktemp("sequences") / "sequences.elf")


@pytest.fixture(scope="session")
def two_inferences_elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inferences")
    (directory / "program.S").write_text(TWO_INFERENCES)
    return link(directory / "program.S", directory / "program.elf")


@pytest.fixture(scope="session")
def measured(plugin: Path, sequences_elf: Path) -> InferenceRecord:
    arguments = plugin_arguments(plugin, sequences_elf, layer_functions=LAYERS)
    (record,) = run(arguments, sequences_elf, sequences_elf.parent / "records.jsonl")
    return record


def measured_with(option: str, plugin: Path, elf: Path, out: Path) -> InferenceRecord:
    arguments = plugin_arguments(plugin, elf, layer_functions=LAYERS)
    (record,) = run(f"{arguments},{option}", elf, out)
    return record


def cycles_by_layer(record: InferenceRecord) -> dict[str, int]:
    return {layer.function: layer.cycles or 0 for layer in record.layers}


def test_there_are_enough_sequences_and_all_run(measured: InferenceRecord) -> None:
    assert len(SEQUENCES) >= 20
    assert [layer.function for layer in measured.layers] == LAYERS


@pytest.mark.parametrize("index", range(len(SEQUENCES)), ids=LAYERS)
def test_sequence_equals_the_sum_by_hand(index: int, measured: InferenceRecord) -> None:
    layer = measured.layers[index]
    assert layer.cycles is not None
    assert (
        Sequence(
            layer.function,
            layer.instructions - OVERHEAD_INSTRUCTIONS,
            layer.cycles - OVERHEAD_CYCLES,
        )
        == (SEQUENCES[index])
    )


def test_totals_are_the_sums(measured: InferenceRecord) -> None:
    # before the first layer: the return from vq_bench_begin, and a call like those between layers
    before = (OVERHEAD_INSTRUCTIONS, OVERHEAD_CYCLES)
    layers = (
        sum(layer.instructions for layer in measured.layers),
        sum(layer.cycles or 0 for layer in measured.layers),
    )
    total = (measured.instructions, measured.cycles)
    assert total == (before[0] + layers[0], before[1] + layers[1])
    assert measured.instructions == sum(f.instructions for f in measured.functions)
    assert measured.cycles == sum(f.cycles or 0 for f in measured.functions)


@pytest.mark.parametrize(
    ("option", "differences"),
    [
        # on top of each sequence, its return and the next one's call: 2 more taken branches
        ("p=3", {"alu": 2, "loop": 2 + 3, "branch_not_taken": 2, "table_branch": 2 + 1}),
        # P as above; a load of a literal, not one of a variable, waits too
        ("ws=1", {"alu": 2, "literal_load": 2 + 1, "loads_pipelined": 2, "branch_taken": 2 + 1}),
        ("div=12", {"alu": 0, "division": 10}),
        ("it=0", {"alu": 0, "it_of_alu": -1}),
    ],
)
def test_options_change_what_they_name(
    option: str,
    differences: dict[str, int],
    plugin: Path,
    sequences_elf: Path,
    measured: InferenceRecord,
    tmp_path: Path,
) -> None:
    changed = cycles_by_layer(measured_with(option, plugin, sequences_elf, tmp_path / "out"))
    default = cycles_by_layer(measured)
    assert {name: changed[name] - default[name] for name in differences} == differences


def test_without_cycles_instructions_are_the_same(
    plugin: Path, sequences_elf: Path, measured: InferenceRecord, tmp_path: Path
) -> None:
    arguments = plugin_arguments(plugin, sequences_elf, layer_functions=LAYERS, models_cycles=False)
    (record,) = run(arguments, sequences_elf, tmp_path / "out")
    assert record.instructions == measured.instructions
    assert record.cycles is None
    assert {layer.cycles for layer in record.layers} == {None}


def test_inferences_layers_and_functions(
    plugin: Path, two_inferences_elf: Path, tmp_path: Path
) -> None:
    layers = ["other", "twice"]
    arguments = plugin_arguments(plugin, two_inferences_elf, layer_functions=layers)
    records = run(arguments, two_inferences_elf, tmp_path / "out")
    assert len(records) == 2
    for record in records:
        # not once more for each round of the loop
        assert [layer.function for layer in record.layers] == ["twice", "twice", "other"]
        counted = {function.function: function.instructions for function in record.functions}
        assert counted["helper"] == 2 * 2
        assert counted["main"] == 4
        assert record.instructions == sum(counted.values())


def test_layer_that_is_missing(plugin: Path, sequences_elf: Path) -> None:
    with pytest.raises(UsageError, match="has no function absent"):
        plugin_arguments(plugin, sequences_elf, layer_functions=["alu", "absent"])


def test_many_functions(plugin: Path, tmp_path: Path) -> None:
    count = 1000
    functions = "".join(
        f"    .type a_function_of_a_large_firmware_{i}, %function\n"
        f"a_function_of_a_large_firmware_{i}:\n    bx lr\n"
        for i in range(count)
    )
    (tmp_path / "many.S").write_text(TWO_INFERENCES + functions)
    elf = link(tmp_path / "many.S", tmp_path / "many.elf")
    arguments = plugin_arguments(plugin, elf, layer_functions=["other"])
    assert len(run(arguments, elf, tmp_path / "out")) == 2


@pytest.mark.parametrize("option", ["p=two", "colour=1", "layer=0x10", "function=0x20-0x10:f", "p"])
def test_bad_option_stops_qemu(
    option: str, plugin: Path, sequences_elf: Path, tmp_path: Path
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measured_with(option, plugin, sequences_elf, tmp_path / "out")


def test_unfinished_line_is_no_record() -> None:
    line = '{"instructions":3,"cycles":5,"layers":[],"functions":[]}\n'
    assert parse_records(line + line[:20]) == (InferenceRecord(3, 5, (), ()),)
