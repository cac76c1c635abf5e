"""Micro-kernels as text: assembly for the cores that can run it, and the scalar C twin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

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

_INSTRUCTION_BYTES = {"dsp": 3.8, "thumb2": 3.6, "thumb": 2.0}
_STATEMENT_BYTES = 12


@dataclass(frozen=True)
class RenderedMicroKernel:
    """The texts of one routine under its final symbol."""

    symbol: str
    prototype: str
    """With its semicolon."""
    condition: str
    """What the assembly needs, to the preprocessor: where it does not hold there is the twin."""
    assembly: str | None
    """None for a family that has none: all cores run the twin."""
    twin: str


def render_micro_kernel(kernel: MicroKernel, symbol: str) -> RenderedMicroKernel:
    """Renders the templates of the kernel's family; the prototype is the head of the twin."""
    environment = _environment()
    values = {"symbol": symbol, **kernel.parameters}
    twin = environment.get_template(f"{kernel.family}.c.j2").render(values)
    prototype = twin[twin.index("void ") : twin.index("\n{")] + ";"
    uses_fpu = kernel.isa == "dsp" and kernel.parameters.get("rounding") == "float"
    condition = _ISAS[kernel.isa] + (_FPU if uses_fpu else "")
    suffix = ".thumb" if kernel.isa == "thumb" else ""
    name = f"{kernel.family}{suffix}.S.j2"
    try:
        template = environment.get_template(name)
    except TemplateNotFound:
        return RenderedMicroKernel(symbol, prototype, condition, None, twin)
    assembly = template.render(values)
    lines = [line for line in assembly.splitlines() if line.strip()]
    return RenderedMicroKernel(symbol, prototype, condition, "\n".join(lines), twin)


def code_bytes(kernel: MicroKernel) -> int:
    """Of a routine's assembly, about: by its instructions; of its C, by its statements."""
    rendered = render_micro_kernel(kernel, kernel.symbol)
    if rendered.assembly is None:
        return _STATEMENT_BYTES * rendered.twin.count(";")
    lines = (line.split("@")[0].strip() for line in rendered.assembly.splitlines())
    count = sum(1 for line in lines if line and not line.endswith(":"))
    return round(count * _INSTRUCTION_BYTES[kernel.isa])


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
