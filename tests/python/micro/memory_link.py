"""A device in this process (tests/c/rpc/device.c): each look at its counter takes one cycle."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from rpc_link import Link

from vq_cortexm.micro.app import AppSpec, render_app
from vq_cortexm.micro.toolchain import find_tool
from vq_cortexm.resources import resource_dir

SOURCES = Path(__file__).parents[2] / "c" / "rpc"


class MemoryLink(Link):
    """The generated model in `model_dir`, with cycles of its layers."""

    def __init__(self, model_dir: Path, app: AppSpec, folder: Path) -> None:
        runtime = resource_dir("runtime")
        (folder / "vq_app.c").write_text(render_app(app, bytes(8)))
        sources = [p for p in model_dir.iterdir() if p.suffix in (".c", ".S")]
        sources += [runtime / "rpc" / f"{name}.c" for name in ("frames", "layers", "server")]
        sources += [SOURCES / "device.c", runtime / "firmware" / "bench.c", folder / "vq_app.c"]
        subprocess.run(
            [
                *(find_tool("cc"), "-std=c11", "-O1", "-shared", "-fPIC", "-ffp-contract=off"),
                *("-DVQ_RPC", "-DVQ_RPC_PAYLOAD=256", "-DVQ_PROFILE"),
                *(f"-I{runtime / 'include'}", f"-I{model_dir}", "-o", folder / "device.so"),
                *sources,
            ],
            check=True,
        )
        self._device = ctypes.CDLL(str(folder / "device.so"))
        self._device.vq_app_open.restype = ctypes.c_void_p
        self._device.device_start(ctypes.c_void_p(self._device.vq_app_open()))
        super().__init__(self._take, self._said)

    def overflow_stack(self) -> None:
        """In the next run."""
        ctypes.c_int.in_dll(self._device, "device_overflows_stack").value = 1

    def _take(self, data: bytes) -> None:
        self._device.device_take(data, ctypes.c_uint32(len(data)))

    def _said(self, seconds: float) -> bytes:
        length = ctypes.c_uint32.in_dll(self._device, "device_output_length")
        output = ctypes.addressof(ctypes.c_char.in_dll(self._device, "device_output"))
        said = ctypes.string_at(output, length.value)
        length.value = 0
        return said
