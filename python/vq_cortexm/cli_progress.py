"""What is being done, for verbs that take more than a second: on stderr, on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def progress(what: str, *, hidden: bool = False) -> Iterator[Callable[[str], None]]:
    """Shows `what` with a moving bar and the seconds since it began, until the block ends; calling
    what it yields shows something else. Nothing is shown where `hidden`, as with `--json`."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20))
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=hidden or not console.is_terminal,
    ) as shown:
        task = shown.add_task(what, total=None)
        yield lambda now: shown.update(task, description=now)
