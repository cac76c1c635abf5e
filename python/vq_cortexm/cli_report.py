"""The verb `report`: what a build costs, as a page, plots and a table."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .cli_completion import BOARD
from .cli_options import FILE, json_option
from .errors import UsageError
from .files import write_atomically


@click.command()
@click.argument("folder", type=FILE, metavar="DIR")
@click.option("-o", "--output", type=FILE, help="the page, one HTML file")
@click.option("--against", type=FILE, metavar="OTHER", help="another folder, to compare with")
@click.option(
    "--board", type=BOARD, help="whose flash and RAM are the budget; default: where it was measured"
)
@click.option("--markdown", type=FILE, metavar="FILE", help="a table for a pull request")
@click.option("--png", type=FILE, metavar="FOLDER", help="the charts as images")
@json_option
def report(
    folder: Path,
    output: Path | None,
    against: Path | None,
    board: str | None,
    markdown: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """Show what DIR holds, a folder of `compile`, `profile -o`, `fit` or `bcnet eval`."""
    from .report.budgets import choose_board
    from .report.describe import describe_report
    from .report.folder import read_build
    from .report.markdown import render_markdown
    from .report.page import render_page
    from .report.png import render_images

    if output is None and markdown is None and png is None and not as_json:
        raise UsageError("nothing to write: -o PAGE.html, --markdown FILE, --png FOLDER or --json")
    if png is not None and png.exists() and not png.is_dir():
        raise UsageError(f"{png}: is a file; --png writes a folder")
    build = read_build(folder)
    part = choose_board(build, board)
    other = None if against is None else read_build(against)
    files: dict[Path, bytes] = {}
    if output is not None:
        files[output] = render_page(build, part, other).encode()
    if markdown is not None:
        files[markdown] = render_markdown(build, part, other).encode()
    if png is not None:
        files |= {png / name: image for name, image in render_images(build).items()}
    described = describe_report(build, part, other, [*files])
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps(described))
        return
    for written in (output, markdown, png):
        if written is not None:
            click.echo(written)
