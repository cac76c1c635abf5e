"""The page of a build: one HTML file with all it needs inside."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .._version import __version__
from ..resources import resource_dir
from ..target import Board
from .budgets import budgets
from .compare import changed_layers, check_comparable, totals
from .folder import Build
from .layer_rows import layer_rows, limit_of, weight_bytes_by_realisation
from .numbers import bits, count, decimals, percent, signed
from .plan_chart import plan_chart
from .trade_offs import front_charts, front_models, score_name, shown_points, sweep_chart


def render_page(build: Build, board: Board | None = None, against: Build | None = None) -> str:
    """The page's text, the same for the same files.

    It loads nothing: its style and script are inside, and its content security policy allows these
    two alone. UsageError where two folders cannot be compared.
    """
    check_comparable(build, against)
    templates = resource_dir("codegen") / "report"
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count, percent=percent, decimals=decimals, signed=signed, bits=bits
    )
    style, script = (_inline(templates / name) for name in ("style.css", "script.js"))
    rows = layer_rows(build)
    front, evaluation = build.front, build.evaluation
    return environment.get_template("page.html.j2").render(
        version=__version__,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        build=build,
        board=board,
        budgets=budgets(build, board),
        rows=rows,
        limit=limit_of(rows),
        plan=plan_chart(build),
        realisations=weight_bytes_by_realisation(rows),
        front=front,
        front_charts=front_charts(front) if front else (),
        front_models=front_models(front) if front else [],
        score=score_name(front) if front else "",
        sweep=sweep_chart(evaluation) if evaluation else None,
        points=shown_points(evaluation) if evaluation else [],
        against=against,
        totals=totals(build, against) if against else [],
        changed=changed_layers(build, against) if against else [],
    )


def _inline(path: Path) -> Markup:
    """A file of the page's own, which is no text to escape."""
    return Markup(path.read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    """As a content security policy names what it allows."""
    return base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()
