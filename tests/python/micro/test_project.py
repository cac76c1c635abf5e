"""Projects: made by a template, built without Python, driven through their server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tvm
from project_servers import use_threads
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import BudgetError, DeviceError, UsageError
from vq_cortexm.micro.model_library_format import read_model_library_format
from vq_cortexm.micro.project import (
    GeneratedProject,
    NotATemplateProjectError,
    TemplateProject,
    TemplateProjectError,
    generate_project,
    generate_project_from_mlf,
    get_microtvm_template_projects,
)
from vq_cortexm.micro.project_api.client import SERVER_PYTHON_FILENAME
from vq_cortexm.micro.project_files import (
    app_of_library,
    build_project,
    replace_project,
    write_project,
)
from vq_cortexm.micro.project_options import check_options, require_options
from vq_cortexm.micro.session import Session, create_local_aot_executor
from vq_cortexm.micro.transport import IoTimeoutError, TransportClosedError
from vq_cortexm.reference import run_reference
from vq_cortexm.resources import resource_dir
from vq_cortexm.samples import random_samples
from vq_cortexm.target import board_by_name

REPOSITORY = Path(__file__).parents[3]
EMULATED = get_microtvm_template_projects("qemu")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    use_threads(monkeypatch)


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return build_folded(TINY_MODELS["tiny_residual"](), name="tiny")


@pytest.fixture(scope="module")
def mlf(compiled: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled.export_model_library_format(tmp_path_factory.mktemp("mlf") / "tiny.tar")


@pytest.fixture(scope="module")
def folder(compiled: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project for an emulated board."""
    # a path with all that could confuse a build
    folder = tmp_path_factory.mktemp("project") / "my project, the first"
    with generate_project(EMULATED, compiled, folder, {"board": "netduinoplus2"}) as project:
        project.build()
        project.flash()
    return folder


def _write(mlf: Path, folder: Path, platform: str, board: str) -> Path:
    """A project, without the way over a template's server."""
    script = resource_dir("runtime") / "projects" / platform / "microtvm_api_server.py"
    how = {"platform": platform, "board": board_by_name(board), "baud": 115_200, "profile": False}
    write_project(folder, mlf, script, **how)  # type: ignore[arg-type]
    return folder


def test_outputs_over_a_projects_transport_are_exact(compiled: CompiledModel, folder: Path) -> None:
    with (
        GeneratedProject.from_directory(folder) as project,
        Session(project.transport()) as session,
    ):
        executor = create_local_aot_executor(session)
        for sample in random_samples(compiled.program.inputs, 5, seed=3):
            executor.set_input(0, sample[0])
            executor.run()
            assert np.array_equal(
                executor.get_output(0).numpy(), run_reference(compiled.module, sample)[0]
            )
        timed = executor.module.time_evaluator("run", session.device, number=2)()
        layers = executor.profile()
    direct = compiled.run([sample], board="netduinoplus2")
    assert timed.source == "modelled cycles at 168 MHz"
    assert direct.cycles is not None
    # start and end of the count are the same calls in both firmwares
    assert round(timed.mean * 168e6) == pytest.approx(direct.cycles, abs=8)
    assert [layer.cycles for layer in layers[:-1]] == [layer.cycles for layer in direct.layers[:-1]]


@pytest.mark.usefixtures("threads")
def test_without_counting_there_are_no_cycles(compiled: CompiledModel, folder: Path) -> None:
    with (
        GeneratedProject.from_directory(folder, {"count_cycles": "no"}) as project,
        Session(project.transport()) as session,
    ):
        executor = create_local_aot_executor(session)
        executor.run(**{compiled.program.inputs[0].name: _sample(compiled)})
        assert "this computer's clock" in executor.time_evaluator("run", number=1)().source


def _sample(compiled: CompiledModel) -> np.ndarray:
    return random_samples(compiled.program.inputs, 1, seed=1)[0][0]


def test_project_builds_by_cmake_alone_wherever_it_is(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved, ignore=shutil.ignore_patterns("build"))
    # the tools that the project names, and nothing else: no Python, no package
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("cmake", "ninja", *(f"arm-none-eabi-{name}" for name in ("gcc", "ar", "ranlib"))):
        path = shutil.which(tool)
        assert path is not None
        (tools / tool).symlink_to(path)
    environment = {"PATH": str(tools), "PYTHONPATH": "", "HOME": str(tmp_path)}
    for command in (["cmake", "-G", "Ninja", "-B", "build"], ["cmake", "--build", "build"]):
        subprocess.run(
            command, cwd=moved, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=300
        )
    assert (moved / "build/firmware.elf").read_bytes() == (
        folder / "build/firmware.elf"
    ).read_bytes()


def test_project_names_nothing_outside_itself(folder: Path) -> None:
    outside = [str(REPOSITORY).encode(), str(folder.parent).encode()]
    for path in folder.rglob("*"):
        if path.is_file() and "build" not in path.relative_to(folder).parts:
            assert not [name for name in outside if name in path.read_bytes()], path
            assert not path.is_symlink()


def _old_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / SERVER_PYTHON_FILENAME).write_text("old")
    return folder


def _generate(to: Path) -> None:
    to.mkdir()
    (to / SERVER_PYTHON_FILENAME).write_text("new")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_project_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    project = _old_project(tmp_path / "p")
    move, moved = os.replace, list[Path]()

    def replace(source: Path, target: Path) -> None:
        moved.append(target)
        if len(moved) == 2:
            raise error
        move(source, target)

    monkeypatch.setattr(os, "replace", replace)
    expected = UsageError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        replace_project(project, _generate)
    if expected is UsageError:
        assert str(caught.value) == f"{project}: not replaced: No space left on device"
    assert (project / SERVER_PYTHON_FILENAME).read_text() == "old"
    assert list(tmp_path.iterdir()) == [project]


def test_the_folder_that_one_is_in_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = _old_project(tmp_path / "p")
    monkeypatch.chdir(project)
    replace_project(Path("."), _generate)
    monkeypatch.chdir(tmp_path)
    assert (project / SERVER_PYTHON_FILENAME).read_text() == "new"
    assert list(tmp_path.iterdir()) == [project]


@pytest.mark.usefixtures("threads")
def test_info_says_what_the_project_is(folder: Path, mlf: Path) -> None:
    with GeneratedProject.from_directory(folder) as project:
        info = project.info()
    assert (info["platform_name"], info["is_template"]) == ("qemu", False)
    assert Path(info["model_library_format_path"]).read_bytes() == mlf.read_bytes()
    assert [option["name"] for option in info["project_options"]] == [
        "board",
        "profile",
        "verbose",
        "count_cycles",
    ]
    assert json.loads((folder / "project.json").read_text())["board"] == "netduinoplus2"


def test_app_of_the_tar_is_the_models(compiled: CompiledModel, mlf: Path) -> None:
    assert app_of_library(read_model_library_format(mlf)) == compiled.app


@pytest.mark.usefixtures("threads")
def test_what_a_template_refuses(mlf: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").write_text("kept")
    no_tar = tmp_path / "no.tar"
    no_tar.write_text("text")
    board = {"board": "netduinoplus2"}
    cases: list[tuple[type[Exception], str, Path, Path, dict[str, object]]] = [
        (
            UsageError,
            "unknown project option 'bord'; did you mean 'board'?",
            mlf,
            tmp_path / "p",
            {"bord": "x"},
        ),
        (
            UsageError,
            "'board' cannot be 'netduino'; did you mean 'netduinoplus2'",
            mlf,
            tmp_path / "p",
            {"board": "netduino"},
        ),
        (UsageError, "'board' is needed to generate project", mlf, tmp_path / "p", {}),
        (
            UsageError,
            "'profile' takes true or false",
            mlf,
            tmp_path / "p",
            {**board, "profile": "x"},
        ),
        (
            UsageError,
            "built for cortex-m4, board mps2-an385 has a cortex-m3",
            mlf,
            tmp_path / "p",
            {"board": "mps2-an385"},
        ),
        (UsageError, "taken: not empty", mlf, taken, board),
        (UsageError, "no.tar: not a tar of the Model", no_tar, tmp_path / "p", board),
        (UsageError, "none.tar: No such file", tmp_path / "none.tar", tmp_path / "p", board),
    ]
    with TemplateProject.from_directory(EMULATED) as template:
        for kind, pattern, tar, to, options in cases:
            with pytest.raises(kind) as caught:
                template.generate_project_from_mlf(tar, to, options)
            assert pattern in str(caught.value)
            assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no.tar", "taken"]
    assert [path.name for path in taken.iterdir()] == ["file"]


@pytest.mark.usefixtures("threads")
def test_templates_and_projects_are_told_apart(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TemplateProjectError, match="is a template"):
        GeneratedProject.from_directory(EMULATED)
    with pytest.raises(NotATemplateProjectError, match="is a generated project"):
        TemplateProject.from_directory(folder)
    with pytest.raises(UsageError, match=r"neither microtvm_api_server\.py nor"):
        GeneratedProject.from_directory(tmp_path)
    with pytest.raises(UsageError, match="unknown platform 'zephyr'; known: board, host, qemu"):
        get_microtvm_template_projects("zephyr")


@pytest.mark.usefixtures("threads")
def test_unbuilt_projects_and_unopened_transports(mlf: Path, tmp_path: Path) -> None:
    folder = _write(mlf, tmp_path / "p", "qemu", "mps2-an386")
    with GeneratedProject.from_directory(folder) as project:
        with pytest.raises(UsageError, match="not built yet"):
            project.flash()
        transport = project.transport()
        with pytest.raises(UsageError, match="not built yet"):
            transport.open()
        with pytest.raises(TransportClosedError):
            transport.timeouts()
        with pytest.raises(TransportClosedError):
            transport.read(1, 0.0)


@pytest.mark.usefixtures("threads")
def test_broken_sources_give_the_compilers_line(mlf: Path, tmp_path: Path) -> None:
    folder = _write(mlf, tmp_path / "p", "qemu", "mps2-an386")
    (folder / "vq_app.c").write_text("#error broken\n")
    with (
        GeneratedProject.from_directory(folder) as project,
        pytest.raises(UsageError, match=r"vq_app\.c:1:2: error: #error broken"),
    ):
        project.build()


@pytest.mark.usefixtures("threads")
def test_model_that_does_not_fit_says_by_how_much(mlf: Path, tmp_path: Path) -> None:
    folder = _write(mlf, tmp_path / "p", "qemu", "netduinoplus2")
    run = folder / "model" / "tiny_run.c"
    run.write_text(run.read_text() + "\nuint8_t large[1 << 18] = {1};\n")
    app = folder / "vq_app.c"
    app.write_text(
        app.read_text().replace("return &app;", "extern uint8_t large[]; large[0]++; return &app;")
    )
    with GeneratedProject.from_directory(folder) as project, pytest.raises(BudgetError) as caught:
        project.build()
    assert "tiny does not fit netduinoplus2: " in str(caught.value)
    assert "bytes too many for its RAM of 131072 bytes" in str(caught.value)


def test_project_for_hardware_builds(tmp_path: Path) -> None:
    module = build_folded(TINY_MODELS["tiny_residual"](), "vq-cortexm/cortex-m7", name="tiny")
    mlf = module.export_model_library_format(tmp_path / "tiny.tar")
    elf = build_project(_write(mlf, tmp_path / "p", "board", "nucleo-h743zi"))
    assert elf.stat().st_size > 0


USERS_SERVER = '''
"""As a user of microTVM wrote it."""
import os
from pathlib import Path
from tvm.micro.project_api import server

HERE = Path(__file__).parent

class Handler(server.ProjectAPIHandler):
    def server_info_query(self, tvm_version):
        return server.ServerInfo(
            platform_name="mine",
            is_template=not (HERE / "project").exists(),
            model_library_format_path="",
            project_options=[
                server.ProjectOption("speed", optional=["build"], type="int", help="How fast."),
            ],
        )

    def generate_project(self, model_library_format_path, standalone_crt_dir, project_dir, options):
        os.mkdir(project_dir)
        (project_dir / "project").write_text("")
        (project_dir / "microtvm_api_server.py").write_text(Path(__file__).read_text())

    def build(self, options):
        print("west build", options)
        raise RuntimeError("west not found\\nmore")

    def flash(self, options):
        os._exit(1)

    def open_transport(self, options):
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        return server.TransportTimeouts(
            session_start_retry_timeout_sec=2.0,
            session_start_timeout_sec=5.0,
            session_established_timeout_sec=5.0,
        )

    def close_transport(self):
        os.close(self.read_fd)
        os.close(self.write_fd)

    def read_transport(self, n, timeout_sec):
        return server.read_with_timeout(self.read_fd, n, timeout_sec)

    def write_transport(self, data, timeout_sec):
        server.write_with_timeout(self.write_fd, data, timeout_sec)

if __name__ == "__main__":
    server.main(Handler())
'''


def test_users_own_server_works_unchanged(
    mlf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "microtvm_api_server.py").write_text(USERS_SERVER)
    with generate_project_from_mlf(template, tmp_path / "p", mlf, {"speed": "2"}) as project:
        assert project.options == {"speed": 2}
        with project.transport() as transport:
            assert transport.timeouts().session_start_timeout_sec == 5.0
            transport.write(b"echo", 1.0)
            assert transport.read(1, 1.0) == b"e"
            assert transport.take_records() is None
            with pytest.raises(IoTimeoutError):
                [transport.read(10, 0.0) for _ in range(5)]
        with pytest.raises(DeviceError) as raised:
            project.build()
        assert str(raised.value) == "RuntimeError: west not found"
        with pytest.raises(DeviceError, match="flash: the server ended"):
            project.flash()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "west build {'speed': 2}\n")


def test_server_that_does_not_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    launcher = tmp_path / "launch_microtvm_api_server.sh"
    launcher.write_text("#!/bin/sh\necho cannot >&2\nexit 1\n")
    launcher.chmod(0o755)
    with pytest.raises(DeviceError, match="server_info_query: the server ended"):
        GeneratedProject.from_directory(tmp_path)
    assert capfd.readouterr().err == "cannot\n"
    launcher.chmod(0o644)
    with pytest.raises(UsageError, match=r"launch_microtvm_api_server\.sh: Permission denied"):
        GeneratedProject.from_directory(tmp_path)


def test_names_are_published_where_tvm_has_none() -> None:
    assert tvm.micro.generate_project is generate_project
    assert tvm.micro.Session is Session
    assert tvm.micro.get_standalone_crt_dir() == str(resource_dir("runtime"))
    assert os.path.isdir(tvm.micro.get_microtvm_template_projects("host"))
    from tvm.micro.project_api import client, server

    assert issubclass(server.IoTimeoutError, server.ServerError)
    assert callable(client.instantiate_from_dir)


def test_what_is_gone_says_what_to_take() -> None:
    with pytest.raises(AttributeError, match="create_local_aot_executor has profile"):
        _ = tvm.micro.create_local_debug_executor
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
        _ = tvm.micro.nothing


def test_options_of_a_server_that_says_little() -> None:
    known = [{"name": "ratio", "type": "float"}, {"name": "plain"}]
    options = {"ratio": 0.5, "plain": "x"}
    assert check_options(options, known) == options
    require_options({}, known, "build")


def test_real_tvm_micro_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from vq_cortexm import micro

    other = object()
    monkeypatch.setattr(tvm, "micro", other)
    assert not micro.publish()
    assert tvm.micro is other


@pytest.mark.usefixtures("threads")
def test_model_of_another_project_is_noticed(compiled: CompiledModel, folder: Path) -> None:
    other = build_folded(TINY_MODELS["tiny_conv"](), name="tiny")
    with (
        GeneratedProject.from_directory(folder) as project,
        pytest.raises(DeviceError, match="another firmware"),
        Session(project.transport(), model=other),
    ):
        raise AssertionError
