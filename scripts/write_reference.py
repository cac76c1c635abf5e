"""Write docs/reference from the code: command line, JSON files and output, Python.

`python scripts/write_reference.py` writes the pages; with `--check` it says which are stale
and ends with status 1.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click

import vq_cortexm
from vq_cortexm import json_objects, json_objects_micro, quantize, relay
from vq_cortexm.cli import cli
from vq_cortexm.report import schema

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "Written by `python scripts/write_reference.py`, from the code."
TRAINING = "`vq_cortexm.train` needs PyTorch; [training.md](../training.md) has it."


def command_line() -> str:
    """Every verb: how it is used, what it does, its options."""
    parts = ["# The command line", NOTE, help_of(cli)]
    parts += [option_table(cli), "Exit status: " + EXIT_STATUS]
    for command, path in commands(cli, ("vq-cortexm",)):
        usage = " ".join((*path, *(p.make_metavar(context(command)) for p in arguments(command))))
        if options(command):
            usage += " [OPTIONS]"
        parts += [f"## {' '.join(path[1:])}", f"    {usage}", help_of(command)]
        parts += [option_table(command)] if options(command) else []
    return "\n\n".join(parts) + "\n"


EXIT_STATUS = (
    "0 done; 1 a check failed or a budget was exceeded; 2 bad usage, bad input or an unsupported "
    "model; 3 a missing tool; 4 trouble with the device or the emulator; "
    "130 interrupted."
)


def commands(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[click.Command, tuple[str, ...]]]:
    """The verbs below a group, in order of their names; not those that are a second name."""
    for name in sorted(group.commands):
        command = group.commands[name]
        if name != command.name:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield command, (*path, name)


def context(command: click.Command) -> click.Context:
    """What click wants to know to describe a command."""
    return click.Context(command, info_name=command.name)


def arguments(command: click.Command) -> list[click.Parameter]:
    """The words that a command takes."""
    return [p for p in command.params if isinstance(p, click.Argument)]


def options(command: click.Command) -> list[click.Option]:
    """The options of a command that its help shows."""
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


def help_of(command: click.Command) -> str:
    """The help text, a paragraph a line."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help or ""))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def option_table(command: click.Command) -> str:
    """A row for each option."""
    rows = ["| option | takes | |", "| --- | --- | --- |"]
    for option in options(command):
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        said = [option.help] if option.help else []
        said += ["required"] if option.required else []
        default = option.to_info_dict()["default"]
        if isinstance(default, (str, int, float)) and default != "" and not option.is_flag:
            text = f"default: {default}"
            said += [] if option.help and "default:" in option.help else [text]
        rows.append(f"| {names} | {takes(option)} | {cell('; '.join(said))} |")
    return "\n".join(rows)


def takes(option: click.Option) -> str:
    """An option's value in words."""
    if option.is_flag:
        return ""
    kind = option.type
    if isinstance(kind, click.Choice):
        return cell(", ".join(f"`{choice}`" for choice in kind.choices))
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        low = "" if kind.min is None else f"{'over' if kind.min_open else 'from'} {kind.min:,}"
        high = "" if kind.max is None else f" to {kind.max:,}"
        return f"{'integer' if isinstance(kind, click.IntRange) else 'number'} {low}{high}".strip()
    if option.metavar:
        return f"`{cell(option.metavar)}`"
    return "file or folder" if isinstance(kind, click.Path) else kind.name


def cell(text: str) -> str:
    """As it may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")


JSON_MODULES = {
    "Files": schema,
    "Printed with `--json`": json_objects,
    "Printed by `micro`": json_objects_micro,
}


def json_page() -> str:
    """The keys of files and of `--json`."""
    parts = ["# JSON: files, and what verbs print", NOTE]
    for heading, module in JSON_MODULES.items():
        parts += [f"## {heading}", text_of(module)]
        for name, record in vars(module).items():
            if typing.is_typeddict(record) and record.__module__ == module.__name__:
                parts += [f"### {name}", *described(record)]
    return "\n\n".join(parts) + "\n"


def described(record: Any) -> list[str]:
    """A TypedDict's text and its keys."""
    text = [inspect.cleandoc(record.__doc__)] if record.__doc__ else []
    rows = ["| key | value |", "| --- | --- |"]
    for key, kind in typing.get_type_hints(record, include_extras=True).items():
        is_optional = typing.get_origin(kind) is typing.NotRequired
        name = type_name(typing.get_args(kind)[0] if is_optional else kind)
        rows.append(f"| `{key}` | {cell(name)}{', where it applies' if is_optional else ''} |")
    return [*text, "\n".join(rows)]


def type_name(kind: Any) -> str:
    """A type as its annotation has it, without modules."""
    if typing.is_typeddict(kind) or not typing.get_args(kind):
        return "null" if kind is type(None) else getattr(kind, "__name__", str(kind))
    inner = [type_name(part) for part in typing.get_args(kind)]
    origin = typing.get_origin(kind)
    if origin in (list, dict):
        return f"{origin.__name__}[{', '.join(inner)}]"
    return " or ".join(inner)


def python_page() -> str:
    """The public names of the package."""
    parts = ["# Python", NOTE, TRAINING, "## vq_cortexm", *members(vq_cortexm, "vq_cortexm")]
    modules = {name: getattr(vq_cortexm, name) for name in vq_cortexm.__all__}
    modules |= {"quantize": quantize, "relay": relay}
    for name, module in modules.items():
        if isinstance(module, ModuleType):
            # what else a module's text has is for its readers: drawings, lists of files
            parts += [f"## vq_cortexm.{name}", text_of(module).split("\n\n")[0]]
            parts += members(module, f"vq_cortexm.{name}")
    return "\n\n".join(parts) + "\n"


def members(module: ModuleType, path: str) -> Iterator[str]:
    """Public classes and functions of a module, with their texts; of classes their methods."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value):
            yield f"### {path}.{name}"
            if dataclasses.is_dataclass(value):
                yield f"`{name}{signature(value)}`"
            yield text_of(value)
            for method, function in public_methods(value):
                yield f"`{name}.{method}{signature(function)}`"
                yield text_of(function)
        elif callable(value):
            yield f"### {path}.{name}"
            yield f"`{name}{signature(value)}`"
            yield text_of(value)


def public_methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """What a class itself defines, of any kind of method, where it has a text."""
    for name, value in vars(kind).items():
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
            yield name, function


def signature(function: Callable[..., Any]) -> str:
    """Names and plain defaults of the parameters; types are in the code, for type checkers."""
    words, seen_keyword = [], False
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not seen_keyword:
            seen_keyword = True
            words.append("*")
        words.append(
            {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
            + name
        )
        if parameter.default is not parameter.empty:
            # the text of an object may have an address, another one in each run
            words[-1] += f"={parameter.default!r}" if type(parameter.default) in PLAIN else "=…"
    return f"({', '.join(words)})"


PLAIN = (str, int, float, bool, type(None), tuple)


def text_of(value: Any) -> str:
    """A docstring as it stands, without those that are inherited or made by `dataclass`."""
    own = value.__doc__ or ""
    return "" if own.startswith(f"{getattr(value, '__name__', '')}(") else inspect.cleandoc(own)


PAGES = {"cli.md": command_line, "json.md": json_page, "python.md": python_page}


def main() -> int:
    """Write the pages, or compare them."""
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, re.sub(r"\n{3,}", "\n\n", make())
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name}: {'stale' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
