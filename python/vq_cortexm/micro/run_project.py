"""Runs samples on a project's device, as `micro run` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..aot.program import Tensor
from ..errors import ModelError, UsageError
from ..module_file import load_module_file
from ..op.bc_net import PATHS
from ..reference import is_exact
from ..samples import Sample, load_samples, nested, random_samples
from .executor import AotModule
from .model_info import model_info
from .model_library_format import ModelLibrary, read_model_library_format
from .project import GeneratedProject
from .session import Session, create_local_aot_executor
from .timing import DeviceTimes, LayerTime


@dataclass(frozen=True)
class ProjectRun:
    """`outputs[sample][output]`; `times` and `layers` where they were asked for, of the last
    sample; `bit_exact` is None where nothing was compared."""

    model: str
    platform: str
    board: str
    output_names: tuple[str, ...]
    outputs: tuple[tuple[NDArray[Any], ...], ...]
    paths: tuple[str, ...]
    bit_exact: bool | None
    times: DeviceTimes | None
    layers: tuple[LayerTime, ...]

    def describe(self) -> dict[str, Any]:
        """The object of `micro run --json`; `seconds` is the mean of an inference."""
        described: dict[str, Any] = {
            "model": self.model,
            "platform": self.platform,
            "board": self.board,
            "bit_exact": self.bit_exact,
            "inferences": len(self.outputs),
            "seconds": None if self.times is None else self.times.mean,
            "seconds_of": None if self.times is None else self.times.source,
            "layers": [asdict(layer) for layer in self.layers],
            "outputs": [[nested(array) for array in sample] for sample in self.outputs],
        }
        return {**described, "paths": list(self.paths)} if self.paths else described


def run_project(
    project: GeneratedProject,
    *,
    inputs: Path | None = None,
    fill_mode: str = "random",
    seed: int = 1,
    print_time: bool = False,
    number: int = 10,
    repeat: int = 1,
    profile: bool = False,
    check: bool = False,
) -> ProjectRun:
    """Runs the samples of a file, or one of `fill_mode` ("random", "zeros", "ones").

    UsageError: the project has no model of ours, or the file does not fit it; DeviceError: the
    device is not there, does not answer, or holds another firmware.
    """
    path = project.info()["model_library_format_path"]
    if not path:
        raise UsageError(f"{project.directory}: its server does not tell of which model it is")
    library = read_model_library_format(Path(path))
    info = model_info(library.metadata)
    tensors = [Tensor(t.name, t.shape, t.dtype, "") for t in info.inputs]
    samples = load_samples(inputs, tensors) if inputs else [_filled(tensors, fill_mode, seed)]
    times, layers = None, tuple[LayerTime, ...]()
    with Session(project.transport(), info.name) as session:
        executor = create_local_aot_executor(session)
        results = [_infer(executor, sample) for sample in samples]
        if print_time:
            times = executor.time_evaluator("run", session.device, number, repeat)()
        if profile:
            layers = executor.profile()
        board = str(session.device)
    outputs = tuple(arrays for arrays, _ in results)
    taken = tuple(taken for _, taken in results if taken is not None)
    return ProjectRun(
        info.name,
        project.info()["platform_name"],
        board,
        tuple(tensor.name for tensor in info.outputs),
        outputs,
        taken,
        _compare(library, samples, outputs, taken) if check else None,
        times,
        layers,
    )


def _filled(tensors: list[Tensor], mode: str, seed: int) -> Sample:
    if mode == "random":
        return random_samples(tensors, 1, seed)[0]
    value = 1 if mode == "ones" else 0
    return [np.full(tensor.shape, value, tensor.dtype) for tensor in tensors]


def _infer(executor: AotModule, sample: Sample) -> tuple[tuple[NDArray[Any], ...], str | None]:
    """Outputs and, of two nets, the path."""
    for index, array in enumerate(sample):
        executor.set_input(index, array)
    executor.run()
    outputs = range(executor.get_num_outputs())
    return tuple(executor.get_output(n).numpy() for n in outputs), executor.get_path()


def _compare(
    library: ModelLibrary,
    samples: list[Sample],
    outputs: tuple[tuple[NDArray[Any], ...], ...],
    taken: tuple[str, ...],
) -> bool:
    numbers = tuple(PATHS.index(path) for path in taken)
    try:
        module = load_module_file(library.module)
    except Exception as error:  # whatever TVM raises
        raise ModelError(f"{library.name}: the module in its tar is damaged") from error
    return is_exact(module, samples, outputs, numbers)
