"""`build`: a Relax QDQ module becomes a compiled model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from tvm import relax

from . import target as targets
from ._version import __version__
from .aot.extract import extract_program
from .aot.library import LibraryOptions, render_library
from .aot.plan import MemoryPlan, check_plan, plan_memory
from .aot.program import Program
from .codegen.lower import lower_functions
from .compat import IRModule
from .compiled_model import BuildOptions, CompiledModel
from .errors import ModelError, UsageError, first_line
from .op.rounding import Rounding
from .tags import core_of_target
from .transform.composed import nets_of, policy_of
from .transform.fold_float import Floats
from .transform.lower_to_tir import DEFAULT_OBJECTIVE, Objective, built_for
from .transform.pipeline import fold_pipeline, lower_pipeline, select_pipeline
from .transform.select_schedule import is_selected
from .transform.virtual_quantize import virtual_quantization
from .transform.vq_config import VirtualQuantizeConfig, requested_quantization
from .tune.choose import schedules
from .tune.database import load_database

Io = Literal["arena", "caller"]


def build(
    mod: IRModule,
    target: str | Any = targets.DEFAULT_TARGET,
    params: Mapping[str, Any] | None = None,
    *,
    bits: int | None = None,
    levels: int | None = None,
    vq: VirtualQuantizeConfig | str | Path | None = None,
    rounding: Rounding = "single",
    io: Io = "arena",
    objective: Objective = DEFAULT_OBJECTIVE,
    db: str | Path | None = None,
    float_io: bool = False,
    allow_float: bool = False,
    name: str = "model",
) -> CompiledModel:
    """Compiles the function `main` of a Relax QDQ module, or two nets that `bcnet.compose` made
    one, for a Cortex-M core.

    `target` is a tag ("vq-cortexm", "vq-cortexm/cortex-m3") or a `tvm.target.Target`; `params`
    are bound to the parameters of their names. `io="caller"` keeps inputs and outputs outside
    the arena. One of `bits` (1 to 8), `levels` (2 to 256) and `vq` (a configuration or its JSON
    file) quantizes the weights of convolutions and dense layers to fewer levels; `objective`
    ("size", "balanced", "speed") says how weights of few levels are stored. `db` is a file of
    `tune`, whose schedules come before those of the package. With `float_io` inputs and outputs
    that the file has in float32 stay so, else the caller has the scales in the metadata; with
    `allow_float` layers that nothing quantizes are computed in float32, else they are refused.
    Raises UsageError for a bad option, ModelError for a model that is not supported.
    """
    _check(rounding, get_args(Rounding), "rounding")
    quantization = requested_quantization(bits, levels, vq)
    if policy_of(mod) is not None:
        _check_composed(mod, rounding, quantization)
        if float_io or allow_float:
            raise UsageError("two nets as one model are integers from end to end")
        return build_folded(mod, target, io=io, objective=objective, db=db, name=name)
    if params:
        mod = relax.transform.BindParams("main", dict(params))(mod)
    try:
        folded = fold_pipeline(rounding, quantization, Floats(float_io, allow_float))(mod)
    except (ValueError, ArithmeticError) as error:  # numbers that an operator does not take
        raise ModelError(f"damaged or not supported: {first_line(error)}") from error
    return build_folded(folded, target, io=io, objective=objective, db=db, name=name)


def build_folded(
    folded: IRModule,
    target: str | Any = targets.DEFAULT_TARGET,
    *,
    io: Io = "arena",
    objective: Objective | None = None,
    db: str | Path | None = None,
    name: str = "model",
) -> CompiledModel:
    """The part of `build` after the fold: a module of `vq.*` operators to C sources. Without an
    `objective` it is the one that the module was built with before, and a module that was built
    for the same core and objective keeps its schedules unless there is a `db`."""
    _check(io, get_args(Io), "io")
    objective = objective or built_for(folded)
    _check(objective, get_args(Objective), "objective")
    core = core_of_target(target)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"the name {name!r} is no C identifier")
    if db is not None or not is_selected(folded, core, objective):
        known = schedules(core, objective, [load_database(Path(db))] if db else [])
        folded = select_pipeline(core, objective, known.alternatives, known.cycles)(folded)
    # overlapping costs copies, so it is taken where the arena shrinks
    candidates = [_plan(folded, core, io, overlap) for overlap in (False, True)]
    program, plan = min(candidates, key=lambda candidate: candidate[1].arena_bytes)
    rounding = str(folded["main"].attrs["vq.rounding"])
    banner = (
        f"{name}: generated by vq-cortexm {__version__}; model {_digest(program)}, "
        f"rounding {rounding}, io {io}{_describe_levels(folded)}"
    )
    sources = render_library(program, plan, LibraryOptions(name, io == "caller", banner))
    options = BuildOptions(name, core, rounding, io)
    return CompiledModel(options, folded, program, plan, sources)


def _plan(
    folded: IRModule, core: targets.Core, io: Io, overlap: bool
) -> tuple[Program, MemoryPlan]:
    lowered = lower_pipeline(core, overlap)(folded)
    program = extract_program(lowered, lower_functions(lowered))
    borders = {s for t in (*program.inputs, *program.outputs) for s in t.storages}
    ours = [s for s in program.storages if s.role != "state"]
    placed = [s for s in ours if io == "arena" or s.name not in borders]
    plan = plan_memory(program, placed)
    check_plan(plan, program)
    return program, plan


def _check_composed(
    mod: IRModule, rounding: Rounding, quantization: VirtualQuantizeConfig | None
) -> None:
    kept = str(mod["main"].attrs["vq.rounding"])
    if rounding != kept:
        raise UsageError(f"the nets are composed with rounding {kept}, not {rounding}")
    if quantization is not None:
        raise UsageError("levels are each net's own: quantize the nets before they are composed")


def _describe_levels(folded: IRModule) -> str:
    """What the banner says of quantized weights: most layers' levels, and whether some differ."""
    said = ""
    for net in nets_of(folded):
        asked = virtual_quantization(folded, net)
        if asked is not None:
            config = VirtualQuantizeConfig.from_json(asked)
            whose = "" if net == "main" else f"{net} "
            kind = "codebook of " if config.codebook else ""
            others = " and others by layer" if config.layers else ""
            said += f", {whose}weights of {kind}{config.levels} levels{others}"
    return said


def _digest(program: Program) -> str:
    """Twelve hex digits that change with the model's structure or weights."""
    digest = hashlib.sha256()
    for constant in program.constants:
        digest.update(f"{constant.name} {constant.value.dtype}{constant.value.shape}".encode())
        digest.update(constant.value.tobytes())
    for step in program.steps:
        digest.update(f"{step.layer} {step.op} {step.arguments}".encode())
    return digest.hexdigest()[:12]


def _check(value: str, allowed: tuple[str, ...], what: str) -> None:
    if value not in allowed:
        raise UsageError(f"{what} {value!r} is unknown; known: {', '.join(allowed)}")
