"""Micro-kernels as text: assembly for the cores that can run it, and the scalar C twin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..kernels.micro_kernel import MicroKernel
from ..resources import resource_dir

_ISAS = {
    "dsp": "defined(__ARM_FEATURE_DSP)",
    "thumb2": "defined(__thumb2__)",
    "thumb": "defined(__thumb__)",
}
"""What the assembly needs, to the preprocessor."""
_FPU = " && defined(__ARM_FP)"
"""Of `float` rounding in assembly, besides."""


@dataclass(frozen=True)
class RenderedMicroKernel:
    """The texts of one routine under its final symbol."""

    symbol: str
    prototype: str
    """With its semicolon."""
    condition: str
    """What the assembly needs, to the preprocessor: where it does not hold there is the twin."""
    assembly: str
    twin: str


def render_micro_kernel(kernel: MicroKernel, symbol: str) -> RenderedMicroKernel:
    """Renders the templates of the kernel's family; the prototype is the head of the twin."""
    environment = _environment()
    values = {"symbol": symbol, **kernel.parameters}
    twin = environment.get_template(f"{kernel.family}.c.j2").render(values)
    suffix = ".thumb" if kernel.isa == "thumb" else ""
    assembly = environment.get_template(f"{kernel.family}{suffix}.S.j2").render(values)
    prototype = twin[twin.index("void ") : twin.index("\n{")] + ";"
    lines = [line for line in assembly.splitlines() if line.strip()]
    uses_fpu = kernel.isa == "dsp" and kernel.parameters.get("rounding") == "float"
    condition = _ISAS[kernel.isa] + (_FPU if uses_fpu else "")
    return RenderedMicroKernel(symbol, prototype, condition, "\n".join(lines), twin)


@cache
def _environment() -> Environment:
    """Templates are compiled once a process. Lines that start with %% are statements."""
    environment = Environment(
        loader=FileSystemLoader(resource_dir("codegen") / "micro"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        line_statement_prefix="%%",
    )
    environment.globals["zip"] = zip
    return environment
