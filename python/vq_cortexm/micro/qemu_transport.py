"""The serial port of a board that QEMU emulates."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..target import Board
from .cycle_model import (
    DEFAULT_TIMING,
    InferenceRecord,
    Timing,
    build_plugin,
    parse_records,
    plugin_arguments,
)
from .process_transport import ProcessTransport
from .toolchain import dies_with_parent, find_tool
from .transport import Line

_RECORDS = "records"
# what QEMU manages at least on a busy computer, with and without the plugin
_COUNTED_CYCLES_PER_SECOND, _CYCLES_PER_SECOND = 1e6, 1e7


class QemuTransport(ProcessTransport):
    """Runs the firmware `elf` in QEMU while it is open; any number of them run at once.

    With `layer_functions`, the C symbols of the model's layers, QEMU's plugin counts every
    inference (`take_records`), which is slower and takes some KB of temporary files for each.
    """

    def __init__(
        self,
        elf: Path,
        board: Board,
        *,
        layer_functions: Sequence[str] | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        if board.emulation != "qemu":
            raise UsageError(f"board {board.name!r} is not one that QEMU emulates")
        self._board = board
        self._elf = elf.resolve()
        self._layer_functions = layer_functions
        self._timing = timing
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._records_read = 0
        super().__init__([], name=f"{board.name} in QEMU")

    def line(self) -> Line:
        """QEMU's serial ports have no speed of their own; a byte takes a turn of its main loop."""
        counts = self._layer_functions is not None
        return Line(2e4, 0.05, _COUNTED_CYCLES_PER_SECOND if counts else _CYCLES_PER_SECOND)

    def close(self) -> None:
        """Ends QEMU."""
        super().close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def take_records(self) -> Sequence[InferenceRecord] | None:
        """As `Transport.take_records`."""
        if self._layer_functions is None or self._folder is None:
            return None
        path = Path(self._folder.name) / _RECORDS
        if not path.exists():
            return ()
        with path.open("rb") as file:
            file.seek(self._records_read)
            # a line that is being written is taken the next time
            lines, newline, _ = file.read().rpartition(b"\n")
        self._records_read += len(lines + newline)
        return parse_records((lines + newline).decode("ascii"))

    def _prepare(self) -> tuple[list[str], Path | None]:
        """ToolError if QEMU is missing, UsageError if there is no such firmware."""
        if not self._elf.is_file():
            raise UsageError(f"{self._elf}: no such firmware")
        command = [str(find_tool("qemu-system-arm")), "-M", self._board.machine]
        command += ["-display", "none", "-monitor", "none"]
        command += ["-chardev", "stdio,id=link,signal=off", "-serial", "chardev:link"]
        if self._layer_functions is not None:
            counting = plugin_arguments(
                build_plugin(),
                self._elf,
                layer_functions=self._layer_functions,
                models_cycles=self._board.core.models_cycles,
                timing=self._timing,
            )
            command += ["-plugin", f"{counting},out={_RECORDS}"]
        self._folder = tempfile.TemporaryDirectory(prefix="vq-link-")
        self._records_read = 0
        command += ["-kernel", str(self._elf)]
        return dies_with_parent(command), Path(self._folder.name)
