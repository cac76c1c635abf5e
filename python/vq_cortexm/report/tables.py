"""Tables for people, by rich."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from ..compiled_model import CompiledModel
from ..run_result import RunResult
from ..target import BOARDS, Board
from .layers import LayerReport


def layers_table(layers: tuple[LayerReport, ...], cycles_are_modelled: bool) -> Table:
    """Operator, MACs, instructions, modelled cycles and flash of every layer.

    Cycles are also shown for each MAC, as a share of all layers', and beside what limits the layer:
    "MAC 1.08x" takes 1.08 times its bound, most of which are MACs.
    """
    what = "layers, one inference" + (", modelled cycles" if cycles_are_modelled else "")
    table = Table(title=what, box=box.SIMPLE, padding=(0, 0, 0, 1))
    table.add_column("layer", no_wrap=True)
    table.add_column("op", no_wrap=True)
    encoded = any(layer.realisation != "plain" for layer in layers)
    if encoded:
        table.add_column("weights", no_wrap=True)
    headings = ["MACs", "instructions"]
    headings += ["cycles", "cycles/MAC", "share", "limit"] if cycles_are_modelled else []
    for heading in (*headings, "flash B"):
        table.add_column(heading, justify="right", no_wrap=True)
    total = sum(layer.cycles or 0 for layer in layers)
    for layer in layers:
        cells = [_number(layer.macs), _number(layer.instructions)]
        if cycles_are_modelled:
            cells += [_number(layer.cycles), *_rates(layer, total)]
        weights = [_weights(layer)] if encoded else []
        table.add_row(layer.name, layer.op, *weights, *cells, _number(layer.flash))
    return table


def _weights(layer: LayerReport) -> str:
    """How a layer's weights are stored, of how many levels, in how many bytes."""
    if not layer.weight_bytes:
        return ""
    return f"{layer.realisation} {layer.levels} {layer.weight_bytes:,} B"


def print_run(compiled: CompiledModel, result: RunResult, console: Console) -> None:
    """The layer table and the totals of a run."""
    modelled = result.cycles is not None
    console.print(layers_table(result.layers, modelled))
    print_arena(compiled, console)
    if result.instructions is not None:
        cycles = f", {result.cycles:,} modelled cycles" if result.cycles is not None else ""
        console.print(f"{result.instructions:,} instructions{cycles} an inference")
        console.print(
            f"flash {result.flash['total']:,} B (text {result.flash['text']:,}, "
            f"rodata {result.flash['rodata']:,}); RAM {result.ram['total']:,} B, "
            f"stack peak {result.ram['stack_peak']:,} B"
        )
    for path, path_cycles in result.path_cycles.items():
        cycles = "" if path_cycles is None else f", {path_cycles:,} modelled cycles"
        taken = result.paths.count(path)
        console.print(f"path {path}: {taken} inference{'' if taken == 1 else 's'}{cycles}")
    if result.path_cycles and result.mean_cycles is not None:
        console.print(f"mean {result.mean_cycles:,.0f} modelled cycles an inference")
    count = len(result.outputs)
    console.print(f"{count} inference{'' if count == 1 else 's'} on {result.board.name}")
    if result.bit_exact is not None:
        console.print(f"bit-exact with the reference: {'yes' if result.bit_exact else 'NO'}")


def plan_table(compiled: CompiledModel) -> Table:
    """Where every tensor and scratch buffer lies in the arena, and in which steps."""
    table = Table("bytes", "steps", "tensor", "role", title="memory plan")
    for placement in sorted(compiled.plan.placements, key=lambda p: (p.offset, p.storage.first)):
        storage = placement.storage
        table.add_row(
            f"{placement.offset}..{placement.end - 1}",
            f"{storage.first}..{storage.last}",
            storage.name,
            storage.role,
        )
    return table


def print_arena(compiled: CompiledModel, console: Console) -> None:
    """The arena beside its lower bound."""
    plan = compiled.plan
    console.print(f"arena {plan.arena_bytes:,} B, lower bound {plan.lower_bound_bytes:,} B")


def describe_boards() -> list[dict[str, Any]]:
    """Facts of all boards, for `boards --json`."""
    return [
        {
            "name": board.name,
            "core": board.core.name,
            "flash_bytes": board.flash.size_bytes,
            "ram_bytes": board.ram.size_bytes,
            "clock_hz": board.clock_hz,
            "data_cache_bytes": board.data_cache_bytes,
            "emulation": board.emulation,
            "description": board.description,
        }
        for board in BOARDS.values()
    ]


def boards_table() -> Table:
    """The same for people."""
    table = Table("board", "core", "flash KB", "RAM KB", "runs in", "description")
    for board in BOARDS.values():
        table.add_row(board.name, board.core.name, *_memories(board), board.description)
    return table


def _memories(board: Board) -> tuple[str, str, str]:
    if board.emulation == "host":
        return "-", "-", "this computer"
    flash, ram = (m.size_bytes // 1024 for m in (board.flash, board.ram))
    return str(flash), str(ram), f"QEMU {board.machine}" if board.machine else "not emulated"


def _rates(layer: LayerReport, total: int) -> tuple[str, str, str]:
    """Cycles for each MAC, share of `total` cycles, and the limit with how near it is."""
    cycles = layer.cycles or 0
    return (
        f"{cycles / layer.macs:.2f}" if layer.macs else "-",
        f"{cycles / total:.1%}" if total else "-",
        f"{layer.limited_by} {cycles / layer.limit_cycles:.2f}x" if layer.limit_cycles else "-",
    )


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
