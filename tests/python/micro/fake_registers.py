"""A board's port, compiled for this computer, on registers that a test answers for."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from preset import read_preset

from vq_cortexm.micro.toolchain import find_tool
from vq_cortexm.resources import resource_dir

BAUD = 115_200

Registers = dict[int, int]
"""By address; what is not there is 0."""

Answer = Callable[[Registers], int]
"""What a register reads as, where that is not what was written to it."""

_SOURCES = Path(__file__).parents[2] / "c" / "fake_registers"
_READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
_WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


def build_port(board: str, directory: Path, runtime: Path | None = None) -> Path:
    """The shared library of `boards/<board>` and its drivers in `runtime`, by default our own."""
    runtime = runtime or resource_dir("runtime")
    sources = read_preset(board, runtime)["VQ_BOARD_SOURCES"]
    library = directory / f"{board}.so"
    subprocess.run(
        [
            *(find_tool("cc"), "-std=c11", "-O1", "-g", "-shared", "-fPIC", "-Wall", "-Wextra"),
            *("-Wconversion", "-Wundef", "-Werror", "-fsanitize=undefined"),
            *("-fno-sanitize-recover=all", "-DVQ_FAKE_REGISTERS", f"-DVQ_BAUD={BAUD}"),
            *(f"-I{runtime / 'include'}", f"-I{runtime / 'drivers'}", "-o", library),
            *(runtime / source for source in sources),
            _SOURCES / "fake_registers.c",
        ],
        check=True,
    )
    return library


class FakeBoard:
    """A port just after reset. `values` has what was written last, `writes` everything in order,
    `before` what there was at the first write to an address, `looks` how often one was read."""

    def __init__(
        self, library: Path, reset: Mapping[int, int], answers: Mapping[int, Answer]
    ) -> None:
        self.values: Registers = dict(reset)
        self.writes: list[tuple[int, int]] = []
        self.before: dict[int, Registers] = {}
        self.looks = 0
        self.answers = dict(answers)
        self._port = ctypes.CDLL(str(library))
        # kept, since the library only has their addresses
        self._callbacks = (_READ(self._read), _WRITE(self._write))
        for name, callback in zip(("read", "write"), self._callbacks, strict=True):
            address = ctypes.cast(callback, ctypes.c_void_p)
            ctypes.c_void_p.in_dll(self._port, f"vq_fake_{name}").value = address.value

    def _read(self, address: int) -> int:
        self.looks += 1
        answer = self.answers.get(address)
        return answer(self.values) if answer else self.values.get(address, 0)

    def _write(self, address: int, value: int) -> None:
        self.before.setdefault(address, dict(self.values))
        self.values[address] = value
        self.writes.append((address, value))

    @property
    def name(self) -> str:
        """As the port calls itself."""
        return ctypes.string_at(
            ctypes.addressof(ctypes.c_char.in_dll(self._port, "vq_board_name"))
        ).decode()

    def open(self) -> int:
        """The core's clock in Hz, as the port tells it."""
        return int(self._call("vq_board_open", ctypes.c_uint32))

    def get(self) -> int:
        """The next byte, or -1."""
        return int(self._call("vq_board_get", ctypes.c_int32))

    def put(self, byte: int) -> None:
        """Sends a byte."""
        self._call("vq_board_put", None, ctypes.c_uint8(byte))

    def receiver_errors(self) -> int:
        """Since it was opened."""
        return int(self._call("vq_board_receiver_errors", ctypes.c_uint32))

    def _call(self, name: str, result: type | None, *arguments: ctypes.c_uint8) -> int:
        function = self._port[name]
        function.restype = result
        return function(*arguments) or 0
