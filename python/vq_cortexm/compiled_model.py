"""A compiled model: its C sources, its memory plan, and the ways to run it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from . import target as targets
from ._version import __version__
from .aot.library import function_symbols
from .aot.plan import MemoryPlan
from .aot.poison import describe_violation
from .aot.program import FLOAT_LAYER, Program
from .compat import IRModule, save_module
from .errors import BudgetError, DeviceError, RunError, UsageError
from .files import digest, write_atomically
from .function_sizes import inference_sizes, layer_sizes
from .metadata import describe_bc_net, describe_paths, describe_program
from .micro.app import AppSpec, IoTensor, ModelIo
from .micro.cycle_model import DEFAULT_TIMING, Timing
from .micro.firmware import Harness, build_firmware
from .micro.job import Job, RunJob, run_job
from .micro.model_library_format import ModelLibrary, write_model_library_format
from .module_file import MODULE_CHECKSUM
from .reference import is_exact
from .report.layers import describe_layers, layer_levels
from .report.limits import LayerLimit, layer_limits
from .run_result import RunResult, describe_device_run, output_arrays
from .samples import check_sample, check_thresholds, random_samples
from .target import Board, Core
from .transform.composed import with_thresholds
from .transform.virtual_quantize import virtual_quantization

Sample = Sequence[NDArray[Any]]
MODULE_FILE = "module.json"
"""The folded module inside an exported folder, from which it can be compiled again."""
METADATA_FILE, REPORT_FILE = "metadata.json", "report.json"
"""What an exported folder says of the model, and of what it costs."""


@dataclass(frozen=True)
class BuildOptions:
    """What `build` was asked for."""

    name: str
    core: Core
    rounding: str
    io: str


class CompiledModel:
    """What `build` returns. Immutable; its folders for builds are made on demand.

    `metadata` and `report` are what metadata.json and report.json say, `module` is the folded
    module, `sources` has the C files by name.
    """

    def __init__(
        self,
        options: BuildOptions,
        module: IRModule,
        program: Program,
        plan: MemoryPlan,
        sources: Mapping[str, str],
    ) -> None:
        self.options = options
        self.module = module
        """The folded Relax module of `vq.*` operators."""
        self.program = program
        self.plan = plan
        self.sources = dict(sources)

    @property
    def name(self) -> str:
        """The C identifier of the model."""
        return self.options.name

    @property
    def model_io(self) -> ModelIo:
        """Names and sizes of inputs and outputs, as the generated header has them."""
        inputs = tuple(IoTensor(t.name, t.size_bytes) for t in self.program.inputs)
        outputs = tuple(
            IoTensor(name, t.size_bytes)
            for name, t in zip(self.program.output_names, self.program.outputs, strict=True)
        )
        branch = self.program.branch
        count = branch.thresholds.value.size if branch else 0
        layers = len(self.program.steps)
        return ModelIo(self.name, inputs, outputs, self.options.io == "caller", count, layers)

    @property
    def float_layers(self) -> tuple[str, ...]:
        """The layers that are computed in float32, as `allow_float` lets them."""
        return tuple(s.layer for s in self.program.steps if s.op == FLOAT_LAYER)

    @cached_property
    def _symbols(self) -> dict[str, str]:
        return function_symbols(self.program, self.name)

    @cached_property
    def _limits(self) -> tuple[LayerLimit | None, ...]:
        return layer_limits(self.module, self.options.core)

    @cached_property
    def _levels(self) -> tuple[int, ...]:
        return layer_levels(self.module)

    @cached_property
    def app(self) -> AppSpec:
        """The firmware's glue: its own sample is the first of seed 1."""
        sample = random_samples(self.program.inputs, 1, seed=1)[0]
        return AppSpec(self.model_io, b"".join(a.tobytes() for a in sample))

    @property
    def metadata(self) -> dict[str, Any]:
        """What `metadata.json` says: interface, memory plan, layers, checksums."""
        return {
            "producer": "vq-cortexm",
            "version": __version__,
            "model": self.name,
            "core": self.options.core.name,
            "rounding": self.options.rounding,
            "io": self.options.io,
            "virtual_quantization": virtual_quantization(self.module),
            "float_layers": list(self.float_layers),
            **describe_bc_net(self.module, self.program),
            **describe_program(self.program, self.plan),
            "files": {name: digest(text) for name, text in sorted(self.sources.items())},
        }

    @property
    def report(self) -> dict[str, Any]:
        """Static facts: MACs, arena against its lower bound, constants, layers."""
        memory = {k: v for k, v in self.metadata["memory"].items() if k != "plan"}
        layers = describe_layers(self.program, self.name, limits=self._limits, levels=self._levels)
        paths = describe_paths(self.program)
        return {
            "model": self.name,
            "core": self.options.core.name,
            "macs": self.program.macs,
            **({"paths": paths} if paths else {}),
            **memory,
            "layers": [vars(layer) for layer in layers],
        }

    def export(self, directory: str | Path, measured: Mapping[str, Any] | None = None) -> Path:
        """Writes the C library, `metadata.json` and `report.json` into `directory`.

        Each file appears whole or not at all. `measured` is what a run took, for `report.json`
        (`report.json.describe_measured`). Raises UsageError if the folder cannot be written.
        """
        directory = Path(directory)
        report = {**self.report, **({} if measured is None else {"measured": measured})}
        module = save_module(self.module)
        metadata = {**self.metadata, MODULE_CHECKSUM: digest(module)}
        files = {
            **self.sources,
            MODULE_FILE: module,
            METADATA_FILE: json.dumps(metadata, indent=2) + "\n",
            REPORT_FILE: json.dumps(report, indent=2) + "\n",
        }
        try:
            directory.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                write_atomically(directory / name, text.encode())
        except OSError as error:
            raise UsageError(f"{directory}: {error.strerror}") from None
        return directory

    def export_firmware(self, directory: str | Path, board: str | Board) -> Path:
        """Writes `firmware_image` to `firmware.elf` in a folder that exists."""
        path = Path(directory) / "firmware.elf"
        write_atomically(path, self.firmware_image(board))
        return path

    def firmware_image(self, board: str | Board) -> bytes:
        """The ELF image for a board. Of an emulated one: started by itself it runs one inference on
        the first random sample of seed 1 and prints its outputs. Of hardware: it answers over the
        board's UART (docs/protocol.md)."""
        board = targets.board_by_name(board) if isinstance(board, str) else board
        self.check_core(board)
        self.check_budget(board)
        with tempfile.TemporaryDirectory(prefix="vq-") as folder:
            model = self.export(Path(folder) / "model")
            harness: Harness = "rpc" if board.emulation == "none" else "semihosting"
            build = Path(folder) / "build"
            firmware = build_firmware(model, board, build, self.app, harness=harness)
            return firmware.elf.read_bytes()

    def export_model_library_format(self, path: str | Path) -> Path:
        """Writes the Model Library Format's tar (its layout, our own schema version), the same
        bytes for the same model: `micro.generate_project_from_mlf` makes a project of it."""
        caller_io = self.options.io == "caller"
        library = ModelLibrary(
            self.name,
            self.sources,
            self.metadata,
            save_module(self.module),
            self.module.script() + "\n",
        )
        write_model_library_format(
            Path(path),
            library,
            target=f"{targets.DEFAULT_TARGET} -mcpu={self.options.core.name}",
            inference=inference_sizes(self.program, self.plan, caller_io=caller_io),
            layers=layer_sizes(self.program, self.name),
        )
        return Path(path)

    def check_budget(self, board: Board) -> None:
        """Raises BudgetError, with the largest buffers, if the model cannot fit `board`."""
        arena, room = self.plan.arena_bytes, board.ram.size_bytes - board.stack_bytes
        if arena > room:
            largest = sorted(self.plan.placements, key=lambda p: -p.storage.size_bytes)[:5]
            listed = ", ".join(f"{p.storage.name} {p.storage.size_bytes}" for p in largest)
            raise BudgetError(
                f"{self.name} does not fit {board.name}: the arena takes {arena} bytes of RAM, "
                f"{room} are left beside the stack; largest: {listed}"
            )
        constants = sum(c.value.nbytes for c in self.program.constants)
        if constants > board.flash.size_bytes:
            biggest = sorted(self.program.constants, key=lambda c: -c.value.nbytes)[:5]
            listed = ", ".join(f"{c.name} {c.value.nbytes}" for c in biggest)
            raise BudgetError(
                f"{self.name} does not fit {board.name}: constants take {constants} bytes of "
                f"flash, the part has {board.flash.size_bytes}; largest: {listed}"
            )

    def run(
        self,
        inputs: Sequence[Any],
        board: str | Board = "host",
        *,
        check: bool = False,
        poison: bool = False,
        timing: Timing = DEFAULT_TIMING,
        timeout_seconds: float = 120.0,
        thresholds: Sequence[int] = (),
        elsewhere: RunJob | None = None,
    ) -> RunResult:
        """Runs samples on a board.

        `inputs` holds one entry per sample: an array, or a sequence of arrays for a model with
        several inputs; shapes and dtypes are the model's own. With `check` every output is
        compared with the NumPy reference. With `poison` a debug build runs each layer twice among
        filled memory: DeviceError names a layer that reads or writes what is not its own; nothing
        is measured. `timing` is the cycle model's: UsageError on a board without one. `thresholds`
        are set in a model of two nets before the first sample: as many as it has, or one for all.
        `elsewhere` runs the job in this computer's place, on a board of the same name.
        Raises UsageError for wrong inputs, BudgetError, ToolError or DeviceError as they occur.
        """
        board = targets.board_by_name(board) if isinstance(board, str) else board
        self.check_core(board)
        self.check_budget(board)
        if timing != DEFAULT_TIMING and not board.core.models_cycles:
            raise UsageError(f"{board.name} has no cycle model whose timing could be set")
        samples = [check_sample(s, self.program.inputs) for s in inputs]
        wanted = check_thresholds(thresholds, self.model_io.thresholds)
        job = Job(
            self.sources,
            self.app,
            tuple(b"".join(a.tobytes() for a in sample) for sample in samples),
            tuple(self._symbols[step.function] for step in self.program.steps),
            timeout_seconds,
            poison,
            timing,
            tuple(map(int, wanted)),
        )
        try:
            device = run_job(job, board) if elsewhere is None else elsewhere(job)
        except RunError as error:
            violation = describe_violation(self.program, error.returned)
            raise DeviceError(f"{board.name}: {self.name}: {violation}") from error
        outputs = tuple(output_arrays(self.program, data) for data in device.outputs)
        bit_exact = None
        if check:
            module = with_thresholds(self.module, wanted) if wanted else self.module
            bit_exact = is_exact(module, samples, outputs, device.paths)
        layers = describe_layers(
            self.program, self.name, device.records, device.sizes, self._limits, self._levels
        )
        caller_io = self.options.io == "caller"
        return describe_device_run(
            self.program, self.plan, board, device, layers, bit_exact, caller_io
        )

    def check_core(self, board: Board) -> None:
        """Raises UsageError if code for this core cannot run on `board`."""
        core = self.options.core
        if board.emulation != "host" and core.name != board.core.name:
            raise UsageError(
                f"the model is built for {core.name}, board {board.name} has a {board.core.name}; "
                f'build with target="vq-cortexm/{board.core.name}"'
            )
