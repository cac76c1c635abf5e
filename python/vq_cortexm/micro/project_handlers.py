"""The Project API servers of our templates: emulated boards, hardware, this computer."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..target import BOARDS, Board, board_by_name
from .cmake import BUILD_LOG
from .flash import FLASH_TOOLS, flash
from .model_info import model_info
from .model_library_format import read_model_library_format
from .process_transport import ProcessTransport
from .project_api import server
from .project_api.client import SERVER_PYTHON_FILENAME
from .project_files import (
    BUILD_FOLDER,
    MODEL_TAR,
    PROJECT_FILE,
    build_project,
    built_firmware,
    read_settings,
    write_project,
)
from .qemu_transport import QemuTransport
from .serial_transport import SerialTransport
from .transport import (
    DEFAULT_BAUD,
    IoTimeoutError,
    Transport,
    TransportClosedError,
    TransportTimeouts,
)

_FOREVER_SECONDS = 1e6
_READ_BYTES = 4096
_GENERATE, _BUILD, _FLASH, _OPEN = (
    [method] for method in ("generate_project", "build", "flash", "open_transport")
)


class VqProjectHandler(server.ProjectAPIHandler):
    """What all our servers do; a subclass knows its boards and the way to them. `folder` is the
    template's or the project's."""

    platform: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._transport: Transport | None = None
        self._received = bytearray()

    @abstractmethod
    def boards(self) -> list[str]:
        """Names of the boards of this platform."""

    @abstractmethod
    def make_transport(self, firmware: Path, board: Board, options: dict[str, Any]) -> Transport:
        """The way to a device that runs `firmware`; not opened yet."""

    def options(self) -> list[server.ProjectOption]:
        """Those of this platform alone."""
        return []

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        """What this server is."""
        tar = self._folder / MODEL_TAR
        return server.ServerInfo(
            self.platform,
            not (self._folder / PROJECT_FILE).exists(),
            tar if tar.exists() else None,
            [*self._common_options(), *self.options()],
        )

    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: dict[str, Any],
    ) -> None:
        """Writes the project; what runs on the device is this package's own."""
        write_project(
            project_dir,
            model_library_format_path,
            self._folder / SERVER_PYTHON_FILENAME,
            platform=self.platform,
            board=board_by_name(options["board"]),
            baud=options.get("baud", DEFAULT_BAUD),
            profile=options.get("profile", False),
        )

    def build(self, options: dict[str, Any]) -> None:
        """Runs CMake."""
        try:
            build_project(self._folder)
        finally:
            log = self._folder / BUILD_FOLDER / BUILD_LOG
            if options.get("verbose") and log.exists():
                print(log.read_text(errors="replace"))

    def flash(self, options: dict[str, Any]) -> None:
        """Nothing has to be done where the firmware runs in a process."""
        built_firmware(self._folder)

    def open_transport(self, options: dict[str, Any]) -> TransportTimeouts:
        """Starts or opens what the device is behind."""
        self.close_transport()
        transport = self.make_transport(built_firmware(self._folder), self._board(), options)
        transport.open()
        self._transport = transport
        return transport.timeouts()

    def close_transport(self) -> None:
        """Ends it."""
        transport, self._transport = self._transport, None
        self._received.clear()
        if transport is not None:
            transport.close()

    def read_transport(self, n: int, timeout_sec: float | None) -> bytes:
        """Exactly `n` bytes."""
        transport = self._opened()
        until = time.monotonic() + (_FOREVER_SECONDS if timeout_sec is None else timeout_sec)
        while len(self._received) < n:
            try:
                left = max(0.0, until - time.monotonic())
                self._received += transport.read(_READ_BYTES, left)
            except IoTimeoutError as error:
                raise server.IoTimeoutError(str(error)) from None
            except TransportClosedError as error:
                raise server.TransportClosedError(str(error)) from None
        data = bytes(self._received[:n])
        del self._received[:n]
        return data

    def write_transport(self, data: bytes, timeout_sec: float | None) -> None:
        """All of it."""
        seconds = _FOREVER_SECONDS if timeout_sec is None else timeout_sec
        try:
            self._opened().write(data, seconds)
        except IoTimeoutError as error:
            raise server.IoTimeoutError(str(error)) from None
        except TransportClosedError as error:
            raise server.TransportClosedError(str(error)) from None

    def bytes_available(self) -> int:
        """Those that have been received and not been asked for."""
        return len(self._received)

    def describe_transport(self) -> dict[str, Any]:
        """How fast the line is."""
        return {"line": asdict(self._opened().line())}

    def take_records(self) -> list[dict[str, Any]] | None:
        """What an emulator counted of each inference since it was asked last."""
        records = self._opened().take_records()
        return None if records is None else [asdict(record) for record in records]

    def _common_options(self) -> list[server.ProjectOption]:
        return [
            server.ProjectOption(
                "board",
                type="str",
                required=_GENERATE,
                choices=self.boards(),
                help="the board to build for",
            ),
            server.ProjectOption(
                "profile",
                type="bool",
                optional=_GENERATE,
                default=False,
                help="let the firmware count the cycles of each layer",
            ),
            server.ProjectOption(
                "verbose",
                type="bool",
                optional=_BUILD,
                default=False,
                help="show what CMake and the compiler say",
            ),
        ]

    def _opened(self) -> Transport:
        if self._transport is None:
            raise server.TransportClosedError("the project's transport is not open")
        return self._transport

    def _board(self) -> Board:
        return board_by_name(read_settings(self._folder).board)


class EmulatedProjectHandler(VqProjectHandler):
    """Boards that QEMU emulates, over their UART."""

    platform = "qemu"

    def boards(self) -> list[str]:
        """All that are emulated."""
        return [board.name for board in BOARDS.values() if board.emulation == "qemu"]

    def options(self) -> list[server.ProjectOption]:
        """What the emulator does beside."""
        return [
            server.ProjectOption(
                "count_cycles",
                type="bool",
                optional=_OPEN,
                default=True,
                help="count instructions and model cycles of every inference; slower",
            )
        ]

    def make_transport(self, firmware: Path, board: Board, options: dict[str, Any]) -> Transport:
        """QEMU's serial port."""
        symbols: Sequence[str] | None = None
        if options.get("count_cycles", True):
            library = read_model_library_format(self._folder / MODEL_TAR)
            symbols = [layer.symbol for layer in model_info(library.metadata).layers]
        return QemuTransport(firmware, board, layer_functions=symbols)


class HardwareProjectHandler(VqProjectHandler):
    """Boards with a debug probe and a serial port."""

    platform = "board"

    def boards(self) -> list[str]:
        """All that can be flashed."""
        return [board.name for board in BOARDS.values() if board.probe is not None]

    def options(self) -> list[server.ProjectOption]:
        """Where the board is."""
        return [
            server.ProjectOption(
                "baud",
                type="int",
                optional=_GENERATE,
                default=DEFAULT_BAUD,
                help="of the serial link, bits per second",
            ),
            server.ProjectOption(
                "port",
                type="str",
                required=_OPEN,
                help="the board's serial port, as /dev/ttyACM0",
            ),
            server.ProjectOption(
                "flash_tool",
                type="str",
                optional=_FLASH,
                choices=FLASH_TOOLS,
                help="what writes the flash; default: the first that is installed",
            ),
            server.ProjectOption(
                "serial_number",
                type="str",
                optional=_FLASH,
                help="of the debug probe, where there are several",
            ),
        ]

    def flash(self, options: dict[str, Any]) -> None:
        """By pyOCD or OpenOCD."""
        flash(
            built_firmware(self._folder),
            self._board(),
            tool=options.get("flash_tool"),
            serial_number=options.get("serial_number", ""),
        )

    def make_transport(self, firmware: Path, board: Board, options: dict[str, Any]) -> Transport:
        """The serial port."""
        return SerialTransport(options["port"], baud=read_settings(self._folder).baud)


class HostProjectHandler(VqProjectHandler):
    """The same firmware as a process of this computer."""

    platform = "host"

    def boards(self) -> list[str]:
        """This computer."""
        return ["host"]

    def make_transport(self, firmware: Path, board: Board, options: dict[str, Any]) -> Transport:
        """Its standard input and output."""
        return ProcessTransport([str(firmware)], name="host")
