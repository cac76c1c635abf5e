"""The link to a model that runs on this computer, emulated or compiled for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..target import Board
from .app import AppSpec
from .cycle_model import DEFAULT_TIMING, Timing
from .firmware import FirmwareSizes, build_firmware, build_host_server
from .model_info import model_info
from .process_transport import ProcessTransport
from .qemu_transport import QemuTransport
from .transport import Transport

if TYPE_CHECKING:
    from ..compiled_model import CompiledModel


def emulated_link(
    model: CompiledModel, board: Board, build_dir: Path, *, counts: bool = True
) -> Transport:
    """Builds a model's firmware in `build_dir`, for a board that QEMU emulates or for this
    computer; returns the way to it, for a `Session`.

    With `counts` the emulator counts cycles and instructions of every inference, which is slower.
    BudgetError, BuildError and ToolError as `build_firmware` has them; UsageError: a model for
    another core, or a board that is not emulated.
    """
    model.check_core(board)
    if board.emulation != "host":
        model.check_budget(board)
    sources = model.export(build_dir / "model")
    layers = [layer.symbol for layer in model_info(model.metadata).layers] if counts else None
    transport, _ = link_to_sources(sources, board, build_dir / "firmware", model.app, layers)
    transport.metadata = model.metadata
    return transport


def link_to_sources(
    model_dir: Path,
    board: Board,
    build_dir: Path,
    app: AppSpec,
    layer_functions: Sequence[str] | None,
    timing: Timing = DEFAULT_TIMING,
) -> tuple[Transport, FirmwareSizes | None]:
    """As `emulated_link`, of a generated model in `model_dir`; the sizes are those of a board.
    Without `layer_functions`, the C symbols of the layers, nothing is counted."""
    if board.emulation == "host":
        server = build_host_server(model_dir, build_dir, app)
        return ProcessTransport([str(server)], name=board.name), None
    firmware = build_firmware(model_dir, board, build_dir, app, harness="rpc")
    transport = QemuTransport(firmware.elf, board, layer_functions=layer_functions, timing=timing)
    return transport, firmware.sizes
