"""What a project folder holds: all that its firmware is built from.

CMakeLists.txt           builds build/firmware.elf, with CMake alone
vq_app.c                 what the firmware needs to know of the model
model/                   the generated library
runtime/  cmake/         what runs beside it, the board's port, linker script, toolchain
model.tar                the Model Library Format that the project was made from
project.json             platform and options
microtvm_api_server.py   the Project API server
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..aot.program import Tensor
from ..codegen.templates import template
from ..errors import UsageError
from ..resources import resource_dir
from ..samples import random_samples
from ..target import BOARDS, Board, board_by_name
from .app import APP_SOURCE, AppSpec, IoTensor, ModelIo, render_app
from .cmake import cmake_build
from .fingerprint import fingerprint_of_files
from .firmware import overflow_explained
from .model_info import model_info
from .model_library_format import ModelLibrary, read_model_library_format
from .project_api.client import SERVER_PYTHON_FILENAME
from .toolchain import find_tool
from .transport import check_baud

MODEL_TAR, PROJECT_FILE = "model.tar", "project.json"
BUILD_FOLDER = "build"
_RUNTIME_FOLDERS = ("drivers", "firmware", "include", "rpc")


@dataclass(frozen=True)
class ProjectSettings:
    """What a project was generated for: `baud` of the link in bits per second; with `profile` the
    firmware counts the cycles of each layer."""

    platform: str
    model: str
    board: str
    baud: int
    profile: bool


def write_project(
    folder: Path,
    mlf_path: Path,
    server_script: Path,
    *,
    platform: str,
    board: Board,
    baud: int,
    profile: bool,
) -> None:
    """Makes the folder, which appears whole or not at all. ModelError: the tar is not one of ours;
    UsageError: the folder is not empty, the model is for another core than the board's, or its UART
    cannot do `baud`."""
    check_baud(board, baud)
    library = read_model_library_format(mlf_path)
    settings = ProjectSettings(platform, library.name, board.name, baud, profile)
    _check_core(library, board)
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder}: not empty; a project needs a folder of its own")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            project = Path(temporary) / "project"
            _fill(project, library, board, settings)
            shutil.copyfile(mlf_path, project / MODEL_TAR)
            shutil.copyfile(server_script, project / SERVER_PYTHON_FILENAME)
            # replaces an empty folder too
            os.replace(project, folder)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from None


def replace_project(folder: Path, generate: Callable[[Path], None]) -> None:
    """Makes the new project beside the old one, which is there until the new one is whole."""
    if not folder.is_dir() or (
        any(folder.iterdir()) and not (folder / SERVER_PYTHON_FILENAME).exists()
    ):
        raise UsageError(f"{folder}: not a project; --force replaces projects only")
    place = folder.resolve()  # "." cannot be moved
    try:
        with tempfile.TemporaryDirectory(prefix=".vq-project-", dir=place.parent) as temporary:
            new, old = Path(temporary) / "new", Path(temporary) / "old"
            generate(new)
            os.replace(place, old)
            try:
                os.replace(new, place)
            except BaseException:
                # before it goes with the temporary folder
                os.replace(old, place)
                raise
    except OSError as error:
        raise UsageError(f"{folder}: not replaced: {error.strerror}") from None


def read_settings(folder: Path) -> ProjectSettings:
    """Of a project; UsageError if its file is damaged."""
    try:
        return ProjectSettings(**json.loads((folder / PROJECT_FILE).read_text()))
    except (OSError, TypeError, ValueError):
        raise UsageError(f"{folder / PROJECT_FILE}: damaged; create the project again") from None


def app_of_library(library: ModelLibrary) -> AppSpec:
    """What the firmware needs to know of a model; its sample is the first random one of seed 1."""
    info = model_info(library.metadata)
    io = ModelIo(
        library.name,
        tuple(IoTensor(tensor.name, tensor.size_bytes) for tensor in info.inputs),
        tuple(IoTensor(tensor.name, tensor.size_bytes) for tensor in info.outputs),
        library.metadata["io"] == "caller",
        len(info.thresholds),
        len(info.layers),
    )
    tensors = [Tensor(tensor.name, tensor.shape, tensor.dtype, "") for tensor in info.inputs]
    (sample,) = random_samples(tensors, 1, seed=1)
    return AppSpec(io, b"".join(array.tobytes() for array in sample))


def build_project(folder: Path) -> Path:
    """Builds a project with CMake; the firmware. BudgetError: it does not fit the board's memories;
    BuildError: it does not compile; ToolError: no compiler."""
    settings = read_settings(folder)
    board = board_by_name(settings.board)
    find_tool("cc" if board.emulation == "host" else "arm-none-eabi-gcc")
    with overflow_explained(settings.model, board):
        cmake_build(folder, folder / BUILD_FOLDER, {})
    return built_firmware(folder)


def built_firmware(folder: Path) -> Path:
    """What the last build of a project made; UsageError if there is none."""
    for name in ("firmware.elf", "firmware"):
        if (path := folder / BUILD_FOLDER / name).is_file():
            return path
    raise UsageError(f"{folder}: not built yet; build it first")


def _check_core(library: ModelLibrary, board: Board) -> None:
    core = library.metadata.get("core")
    if board.emulation != "host" and core != board.core.name:
        fitting = [b.name for b in BOARDS.values() if b.core.name == core and b.machine]
        raise UsageError(
            f"the model is built for {core}, board {board.name} has a {board.core.name}; "
            f"boards with {core}: {', '.join(fitting) or 'none'}"
        )


def _fill(project: Path, library: ModelLibrary, board: Board, settings: ProjectSettings) -> None:
    model, runtime = project / "model", resource_dir("runtime")
    model.mkdir(parents=True)
    for name, text in library.sources.items():
        (model / name).write_text(text)
    fingerprint = fingerprint_of_files(library.metadata["files"])
    (project / APP_SOURCE).write_text(render_app(app_of_library(library), fingerprint))
    not_for_projects = shutil.ignore_patterns("CMakeLists.txt")
    for name in (*_RUNTIME_FOLDERS, f"boards/{board.name}"):
        shutil.copytree(runtime / name, project / "runtime" / name, ignore=not_for_projects)
    shutil.copytree(resource_dir("cmake"), project / "cmake")
    (project / "CMakeLists.txt").write_text(_cmake_lists(library.name, board, settings))
    (project / PROJECT_FILE).write_text(json.dumps(vars(settings), indent=2) + "\n")


def _cmake_lists(model: str, board: Board, settings: ProjectSettings) -> str:
    bare_core = board.emulation != "host"
    return template("project/CMakeLists.txt.j2").render(
        model=model,
        board=board.name,
        bare_core=bare_core,
        compiler="arm-none-eabi-gcc" if bare_core else "a C compiler",
        baud=settings.baud,
        profile=settings.profile,
    )
