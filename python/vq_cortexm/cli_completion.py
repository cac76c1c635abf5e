"""The verb `completion`, and what shells complete arguments with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

_PROGRAM, _VARIABLE = "vq-cortexm", "_VQ_CORTEXM_COMPLETE"
"""Click reads the variable: its name is the program's."""
_Names = Callable[[], list[tuple[str, str]]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes this command's arguments: eval "$(vq-cortexm completion
    bash)" in ~/.bashrc, or the same for zsh; `vq-cortexm completion fish | source` for fish."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())


class _Name(click.ParamType[str]):
    """A text, completed from what `names` gives: (name, description)."""

    name = "text"

    def __init__(self, names: _Names) -> None:
        self.names = names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(n, help=d) for n, d in self.names() if n.startswith(incomplete)]


class _FileOf(click.Path):
    """A path, completed from the files with one of some endings, and folders."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(path_type=Path)
        self.suffixes = suffixes

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        # the shell finds folders by itself
        return [CompletionItem(incomplete, type="dir"), *self._files(incomplete)]

    def _files(self, typed: str) -> list[CompletionItem]:
        folder = Path(typed) if typed.endswith("/") else Path(typed).parent
        try:
            found = sorted(p for p in folder.iterdir() if p.suffix in self.suffixes)
        except OSError:
            return []
        names = [f"{typed.rpartition('/')[0]}/{p.name}" if "/" in typed else p.name for p in found]
        return [CompletionItem(name) for name in names if name.startswith(typed)]


def _boards() -> list[tuple[str, str]]:
    from .target import BOARDS

    return [(name, board.description) for name, board in BOARDS.items()]


def _targets() -> list[tuple[str, str]]:
    from .tags import target_tags

    return [(tag, "") for tag in target_tags()]


BOARD, TARGET = _Name(_boards), _Name(_targets)
MODEL = _FileOf(".tflite", ".onnx", ".json")
"""A folder that `compile` made is one too."""
DATA, JSON = _FileOf(".npz"), _FileOf(".json")
