"""The verbs `micro create-project | build | flash | run`, as tvmc had them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from .cli_options import FILE, json_option
from .errors import UsageError
from .files import write_arrays

if TYPE_CHECKING:
    from .micro.project import GeneratedProject
    from .micro.timing import LayerTime

_Command = Callable[..., Any]
_DIRECTORY = click.argument("project_dir", type=FILE)
_PLATFORM = click.argument("platform", required=False)


@click.group()
def micro() -> None:
    """Projects that build a model's firmware, and the devices they run on."""


def _project_options(method: str) -> Callable[[_Command], _Command]:
    """`--project-option`, `--list-options`, which shows those of `method`, and `--json`."""

    def decorate(command: _Command) -> _Command:
        command = click.option(
            "--project-option",
            "project_options",
            multiple=True,
            metavar="NAME=VALUE",
            help="may be repeated; --list-options shows them",
        )(command)
        show = click.option("--list-options", is_flag=True, help=f"to {method.replace('_', ' ')}")
        return json_option(show(command))

    return decorate


@micro.command("create-project")
@_DIRECTORY
@click.argument("mlf", type=FILE)
@_PLATFORM
@click.option("-f", "--force", is_flag=True, help="replace a project that is there")
@click.option("--template-dir", type=FILE, help="a template of your own, in place of PLATFORM")
@_project_options("generate_project")
def create_project(
    project_dir: Path,
    mlf: Path,
    platform: str | None,
    force: bool,
    template_dir: Path | None,
    project_options: tuple[str, ...],
    list_options: bool,
    as_json: bool,
) -> None:
    """Make a project of the Model Library Format tar MLF for a PLATFORM: qemu, board or host."""
    from .micro.project import TemplateProject, get_microtvm_template_projects
    from .micro.project_files import replace_project
    from .micro.project_options import parse_options

    # tvmc's third word where the template is one's own
    if template_dir is not None and platform in (None, "template"):
        folder = template_dir
    elif template_dir is None and platform is not None:
        folder = Path(get_microtvm_template_projects(platform))
    else:
        raise UsageError("which template? PLATFORM (qemu, board or host) or --template-dir works")
    with TemplateProject.from_directory(folder) as template:
        if list_options:
            _print_options(template.info(), "generate_project", as_json)
            return
        name, options = template.info()["platform_name"], parse_options(project_options)
        if force and project_dir.exists():
            replace_project(
                project_dir,
                lambda to: template.generate_project_from_mlf(mlf, to, options).close(),
            )
        else:
            template.generate_project_from_mlf(mlf, project_dir, options).close()
    click.echo(_done(project_dir, name, project_dir) if as_json else project_dir)


@micro.command()
@_DIRECTORY
@_PLATFORM
@click.option("-f", "--force", is_flag=True, help="build everything again")
@_project_options("build")
def build(
    project_dir: Path,
    platform: str | None,
    force: bool,
    project_options: tuple[str, ...],
    list_options: bool,
    as_json: bool,
) -> None:
    """Build the firmware of a project."""
    from .micro.project_files import BUILD_FOLDER

    with _open(project_dir, platform, project_options) as project:
        if list_options:
            _print_options(project.info(), "build", as_json)
            return
        if force:
            shutil.rmtree(project_dir / BUILD_FOLDER, ignore_errors=True)
        project.build()
        name, folder = project.info()["platform_name"], project_dir / BUILD_FOLDER
    click.echo(_done(project_dir, name, folder) if as_json else folder)


@micro.command()
@_DIRECTORY
@_PLATFORM
@_project_options("flash")
def flash(
    project_dir: Path,
    platform: str | None,
    project_options: tuple[str, ...],
    list_options: bool,
    as_json: bool,
) -> None:
    """Bring the firmware of a project onto its board."""
    with _open(project_dir, platform, project_options) as project:
        if list_options:
            _print_options(project.info(), "flash", as_json)
            return
        project.flash()
        name = project.info()["platform_name"]
    if as_json:
        click.echo(_done(project_dir, name, None))


@micro.command()
@_DIRECTORY
@_PLATFORM
@click.option("--inputs", type=FILE, help=".npz or .npy; one sample or many")
@click.option("--outputs", type=FILE, help="write them to a .npz file")
@click.option("--fill-mode", type=click.Choice(["random", "zeros", "ones"]), default="random")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--print-top", type=click.IntRange(1), help="the largest values of each output")
@click.option("--print-time", is_flag=True, help="seconds of an inference, and what they are of")
@click.option("--number", type=click.IntRange(1), default=10, help="of inferences, to time")
@click.option("--repeat", type=click.IntRange(1), default=1, help="of these, to time")
@click.option("--profile", is_flag=True, help="cycles layer by layer")
@click.option("--check", is_flag=True, help="compare with the exact reference; status 1 if not")
@_project_options("open_transport")
def run(
    project_dir: Path,
    platform: str | None,
    project_options: tuple[str, ...],
    list_options: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a project's model on its device, which holds the firmware already."""
    from .micro.run_project import run_project

    outputs: Path | None = options.pop("outputs")
    print_top = options.pop("print_top")
    if outputs is not None and outputs.suffix != ".npz":
        raise UsageError(f"--outputs {outputs}: an ending .npz works")
    with _open(project_dir, platform, project_options) as project:
        if list_options:
            _print_options(project.info(), "open_transport", as_json)
            return
        result = run_project(project, **options)
    if outputs is not None:
        _write_outputs(outputs, result.output_names, result.outputs)
    if as_json:
        click.echo(json.dumps(result.describe()))
    else:
        _print_outputs(result.output_names, result.outputs[-1], print_top)
        if result.times is not None:
            click.echo(str(result.times))
        if result.layers:
            Console(width=None if Console().is_terminal else 140).print(_layer_table(result.layers))
        if result.bit_exact is not None:
            click.echo(f"bit-exact with the reference: {'yes' if result.bit_exact else 'NO'}")
    if result.bit_exact is False:
        raise SystemExit(1)


micro.add_command(create_project, "create")


def _open(
    project_dir: Path, platform: str | None, project_options: Sequence[str]
) -> GeneratedProject:
    from .micro.project import GeneratedProject
    from .micro.project_options import parse_options

    project = GeneratedProject.from_directory(project_dir, parse_options(project_options))
    actual = project.info()["platform_name"]
    if platform not in (None, "template", actual):
        project.close()
        raise UsageError(f"{project_dir} is a project for the platform {actual}, not {platform}")
    return project


def _done(project: Path, platform: str, output: Path | None) -> str:
    """`json_objects_micro.Project`."""
    written = None if output is None else str(output)
    return json.dumps({"project": str(project), "platform": platform, "output": written})


def _print_options(info: dict[str, Any], method: str, as_json: bool) -> None:
    """A table, or a list of `json_objects_micro.ProjectOption`."""
    options = [_option(o, method) for o in info["project_options"] if method in _methods(o)]
    if as_json:
        click.echo(json.dumps(options))
        return
    table = Table("option", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for heading in ("", "type", "default", "choices", "help"):
        table.add_column(heading)
    for option in options:
        need = "required" if option["required"] else ""
        default = "" if option["default"] is None else str(option["default"])
        choices = ", ".join(option["choices"] or ())
        table.add_row(option["name"], need, option["type"], default, choices, option["help"])
    Console(width=140).print(table)


def _methods(option: Mapping[str, Any]) -> list[str]:
    """That need a server's option, or may be given it."""
    return [*(option.get("required") or ()), *(option.get("optional") or ())]


def _option(option: Mapping[str, Any], method: str) -> dict[str, Any]:
    choices = option.get("choices")
    return {
        "name": option["name"],
        "required": method in (option.get("required") or ()),
        "type": option.get("type", ""),
        "default": option.get("default"),
        "choices": None if choices is None else [str(choice) for choice in choices],
        "help": option.get("help", ""),
    }


def _print_outputs(names: Sequence[str], outputs: Sequence[NDArray[Any]], top: int | None) -> None:
    """Of one sample, each with its largest values, or all of them."""
    for name, array in zip(names, outputs, strict=True):
        flat = array.ravel()
        click.echo(f"{name} {array.dtype}{list(array.shape)}")
        if top is None:
            click.echo(" ".join(map(str, flat.tolist())))
            continue
        for index in np.argsort(-flat.astype(np.float64), kind="stable")[:top]:
            click.echo(f"{index:6} {flat[index]}")


def _layer_table(layers: Sequence[LayerTime]) -> Table:
    table = Table("layer", "operator", box=box.SIMPLE, padding=(0, 0, 0, 1))
    for heading in ("MACs", "instructions", "cycles"):
        table.add_column(heading, justify="right")
    for layer in layers:
        counts = (layer.macs, layer.instructions, layer.cycles)
        table.add_row(layer.name, layer.op, *("-" if n is None else f"{n:,}" for n in counts))
    return table


def _write_outputs(
    path: Path, names: Sequence[str], outputs: Sequence[Sequence[NDArray[Any]]]
) -> None:
    """By name; of several samples with one more axis in front."""
    columns = [np.stack(column) for column in zip(*outputs, strict=True)]
    arrays = [column[0] if len(column) == 1 else column for column in columns]
    write_arrays(path, dict(zip(names, arrays, strict=True)))
