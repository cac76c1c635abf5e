"""Whether a command that the documentation shows exists, with its words and options.

Nothing is run. `vq-cortexm` is asked how it reads its command line; of `make` the target must be
there, of `python` the file or module, of `pip install` the extra.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib

import click
from docs_blocks import ROOT

from vq_cortexm.cli import cli
from vq_cortexm.errors import VqError

OTHERS = {"cd", "cmake", "openocd", "pyocd"}
"""Programs that are not this project's; what they are given here is for their own manuals."""
OURS = {"vq-cortexm", "make", "python", "pip"}
_ALTERNATIVES = re.compile(r"[\[\]|…]|\.\.\.")


def is_command(line: str) -> bool:
    """Whether a line of a block, or code within a text, begins with a program's name."""
    first = without_environment(line).split(maxsplit=1)[:1]
    return bool(first) and first[0] in OURS | OTHERS


def without_environment(line: str) -> str:
    """A command without the variables that are set before it."""
    return re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line.strip())


def problem(line: str, *, whole: bool = True) -> str | None:
    """What is wrong with a command; None where nothing is.

    A comment behind two spaces or a `#` is left out. Where the command is not `whole`, but named
    within a text, what it requires may be missing.
    """
    line = without_environment(line)
    program, _, rest = line.partition(" ")
    if program in OTHERS:
        return None
    if program == "vq-cortexm":
        return _of_vq_cortexm(rest, whole)
    words = _split(re.sub(r"<[^>]*>", "X", without_comment(rest)))
    check = {"make": _of_make, "python": _of_python, "pip": _of_pip}[program]
    return check(words)


def without_comment(text: str) -> str:
    """What is in front of two spaces."""
    return re.split(r"\s{2,}", text)[0]


def _split(text: str) -> list[str]:
    """Words as a shell has them; of a text with an odd apostrophe, what is between blanks."""
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _of_make(words: list[str]) -> str | None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for word in words:
        if "=" not in word and word not in targets:
            return f"make has no target {word}"
    return None


def _of_python(words: list[str]) -> str | None:
    if words[:1] == ["-m"]:
        top = words[1].split(".")[0]
        here = (ROOT / "tests/python" / top).is_dir()
        return None if here or importlib.util.find_spec(top) else f"no module {words[1]}"
    if words and words[0].endswith(".py") and not (ROOT / words[0]).exists():
        titles = {"train_digits.py", "train_pair.py"}
        return None if words[0] in titles else f"no file {words[0]}"
    return None


def _of_pip(words: list[str]) -> str | None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in re.findall(r"\[(\w+)\]", " ".join(words)):
        if name not in extras["optional-dependencies"]:
            return f"no extra {name}"
    return None


def _of_vq_cortexm(text: str, whole: bool) -> str | None:
    command: click.Command = cli
    path = ["vq-cortexm"]
    rest = text.strip()
    while isinstance(command, click.Group):
        verb, _, after = rest.partition(" ")
        if verb.startswith("-") or not verb:
            break
        for name in verb.split("|"):
            if name not in command.commands:
                return f"{' '.join(path)} has no verb {name}"
        if "|" in verb:
            return None
        command, rest = command.commands[verb], after.strip()
        path.append(verb)
    rest = without_comment(rest)
    if _ALTERNATIVES.search(rest):
        return _of_synopsis(cli.commands[path[1]] if len(path) > 1 else cli, rest)
    # a placeholder stands for a number too
    words = [re.sub(r"\b[NLSMF]\b", "4", word) for word in _split(rest)]
    try:
        command.make_context(" ".join(path), words)
    except click.MissingParameter as error:
        return error.format_message() if whole else None
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        return error.format_message()
    except VqError as error:
        # an option that reads its file, which is not here
        return None if str(error).endswith("No such file or directory") else str(error)
    return None


def _of_synopsis(command: click.Command, text: str) -> str | None:
    """With brackets and bars: every option exists, in the verb or in a group's verbs."""
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    known = {name for one in commands for option in one.params for name in option.opts}
    for name in re.findall(r"--[a-z][\w-]*", text):
        if name not in known:
            return f"{command.name} has no option {name}"
    return None
