"""Many candidates in one image: a program whose steps are candidates' layers, side by side.

    x ──► layers of candidate 0 ──► y0
      ├─► layers of candidate 1 ──► y1
      ├─► …
      └─► a last one, so that what follows all layers counts to no candidate

One build and one run of the emulator measure all of them, each by the cycle model's records of its
layers, and give every candidate's outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm import relax

from ..aot.extract import extract_program
from ..aot.library import LibraryOptions, function_symbols, micro_symbol, render_library
from ..aot.plan import check_plan, plan_memory
from ..aot.program import Program, Step
from ..codegen.lower import lower_functions
from ..compat import (
    Expr,
    IRModule,
    constant,
    dtype_of,
    main_function,
    shape_of,
    tensor_type,
)
from ..kernels.layer import Kernel, TensorSpec
from ..kernels.tir import FunctionBuilder, T, store
from ..micro.app import AppSpec, IoTensor, ModelIo
from ..micro.firmware import FirmwareSizes
from ..micro.runner import DeviceRun
from ..transform.lower_to_tir import with_facts

_NAME = "tune"
_FACTS = {"op": "candidate", "macs": 0, "realisation": "plain", "weight_bytes": 0}


@dataclass(frozen=True, eq=False)
class Made:
    """A candidate as kernels, of which each takes what the one before gives; of `inputs`."""

    inputs: tuple[TensorSpec, ...]
    kernels: tuple[Kernel, ...]
    output: TensorSpec
    between: tuple[TensorSpec, ...] = ()
    """What the kernels but the last give."""


@dataclass(frozen=True)
class Cost:
    """What one candidate takes: cycles, modelled or counted by a board (None on cores without a
    model), instructions (None on a board), the bytes of its constants and code, and of its arena by
    itself."""

    cycles: int | None
    instructions: int | None
    flash_bytes: int
    ram_bytes: int


@dataclass(frozen=True, eq=False)
class Image:
    """Candidates of equal inputs as one program, which has a step for each layer of each; and its
    files. `ram_bytes` are those of each candidate's arena by itself."""

    candidates: tuple[Made, ...]
    program: Program
    sources: dict[str, str]
    ram_bytes: tuple[int, ...]

    @property
    def app(self) -> AppSpec:
        """The firmware's glue."""
        inputs = tuple(IoTensor(t.name, t.size_bytes) for t in self.program.inputs)
        names, outputs = self.program.output_names, self.program.outputs
        given = tuple(IoTensor(n, t.size_bytes) for n, t in zip(names, outputs, strict=True))
        io = ModelIo(_NAME, inputs, given)
        return AppSpec(io, bytes(io.input_bytes))

    @property
    def layer_functions(self) -> list[str]:
        """C symbols of the steps."""
        symbols = function_symbols(self.program, _NAME)
        return [symbols[step.function] for step in self.program.steps]

    def outputs(self, run: DeviceRun, sample: int) -> list[bytes]:
        """Of each candidate."""
        found, start = [], 0
        for tensor in self.program.outputs[:-1]:
            found.append(run.outputs[sample][start : start + tensor.size_bytes])
            start += tensor.size_bytes
        return found

    def costs(self, run: DeviceRun) -> list[Cost]:
        """Of each candidate, in the last inference of a run on a board, emulated or not."""
        record, sizes = run.records[-1], run.sizes
        assert sizes is not None
        found, first = [], 0
        for candidate, ram_bytes in zip(self.candidates, self.ram_bytes, strict=True):
            last = first + len(candidate.kernels)
            layers, steps = record.layers[first:last], self.program.steps[first:last]
            found.append(
                Cost(
                    _sum([layer.cycles for layer in layers]),
                    _sum([layer.instructions for layer in layers]),
                    self._flash_bytes(candidate, steps, sizes),
                    ram_bytes,
                )
            )
            first = last
        return found

    def _flash_bytes(self, made: Made, steps: Sequence[Step], sizes: FirmwareSizes) -> int:
        """Constants, functions and routines, as if no other candidate used them."""
        code = {symbol.name: symbol.size_bytes for symbol in sizes.symbols}
        functions = function_symbols(self.program, _NAME)
        names = {functions[step.function] for step in steps}
        names |= {micro_symbol(m, _NAME) for kernel in made.kernels for m in kernel.micro}
        constants = sum(c.nbytes for kernel in made.kernels for c in kernel.constants)
        return constants + sum(code[name] for name in names)


def _sum(counts: Sequence[int | None]) -> int | None:
    """None where nothing was counted."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def image_of(candidates: Sequence[Made]) -> Image:
    """The image; not for several threads at once, as TVM's builder is not."""
    program = _program(candidates, ends=True)
    plan = plan_memory(program)
    check_plan(plan, program)
    options = LibraryOptions(_NAME, False, "candidates of a tuning run")
    ram_bytes = tuple(plan_memory(_program([made])).arena_bytes for made in candidates)
    sources = render_library(program, plan, options)
    return Image(tuple(candidates), program, sources, ram_bytes)


def _program(candidates: Sequence[Made], ends: bool = False) -> Program:
    """`ends`: with the last layer."""
    module = _module(candidates, ends)
    return extract_program(module, lower_functions(module))


def _module(candidates: Sequence[Made], ends: bool) -> IRModule:
    """In the form that `LowerToTIR` gives."""
    inputs = [
        relax.Var(f"x{i}", tensor_type(spec.shape, spec.dtype))
        for i, spec in enumerate(candidates[0].inputs)
    ]
    builder, layers = relax.BlockBuilder(), {}
    with main_function(builder, inputs) as finish:
        results = []
        for index, made in enumerate(candidates):
            values: list[Expr] = inputs
            for position, (kernel, spec) in enumerate(
                zip(made.kernels, (*made.between, made.output), strict=True)
            ):
                name = f"c{index}_{position}"
                symbol = builder.add_func(with_facts(kernel), name)
                args = [*values, *map(constant, kernel.constants)]
                call = relax.call_tir(symbol, args, tensor_type(spec.shape, spec.dtype))
                result = builder.emit(call, name_hint=name)
                values, layers[result.name] = [result], dict(_FACTS)
            results += values
        if ends:
            end = builder.add_func(with_facts(_end(inputs[0])), "end")
            last = builder.emit(relax.call_tir(end, inputs[:1], tensor_type((1,), "int8")))
            layers[last.name] = dict(_FACTS)
            results.append(last)
        finish(relax.Tuple(results))
    module = builder.get()
    module["main"] = module["main"].with_attrs({"vq.layers": layers})
    return module


def _end(x: Expr) -> Kernel:
    """The last layer; one of `x` alone."""
    with FunctionBuilder("end") as builder:
        builder.parameter("x", shape_of(x), dtype_of(x))
        store(builder.parameter("y", (1,), "int8"), [0], T.int8(0))
    return Kernel(builder.function, ())
