"""The templates of `codegen/`."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from ..resources import resource_dir


def template(name: str) -> Template:
    """One of the templates, by its path in `codegen/`; what it is not given a value for is an
    error."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    """Templates are compiled once a process: that takes longer than to fill them in."""
    return Environment(
        loader=FileSystemLoader(resource_dir("codegen")),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
