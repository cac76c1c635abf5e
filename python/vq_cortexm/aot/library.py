"""The C library of a program: every file as text, ready to be written.

    <model>.h           public: tvmgen_<model>_run, sizes        <model>_run.c      arena, executor
    <model>_layers.h    internal prototypes                      <model>_layers.c   the layers
    <model>_assembly.S  the routines they call              <model>_kernels.c  its scalar twins
    vq_inline.h         arithmetic helpers                       <model>_weights.c  constants
    vq_float.h          the same for layers that stay in float32
    <model>_poison.h    the executor of debug builds

The text depends on nothing but the program, the plan and the options: the same model gives the
same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codegen.c_printer import c_type, print_function, print_prototype
from ..codegen.float_functions import HEADER, float_literal
from ..codegen.micro_kernel import render_micro_kernel
from ..codegen.templates import template
from ..errors import ModelError, first_line
from ..kernels.access_order import orders_of
from ..kernels.micro_kernel import MicroKernel
from ..resources import resource_dir
from .branch import describe_branch, state_symbols
from .plan import MemoryPlan
from .poison import GUARD_BYTES, step_ranges
from .program import FLOAT_LAYER, Argument, Constant, Program, Step, Tensor

_VALUES_PER_LINE = 16


@dataclass(frozen=True)
class LibraryOptions:
    """What the user chose: C identifier of the model, who owns inputs and outputs."""

    model: str
    caller_io: bool
    banner: str
    """One line for the head of every file: tool, version, options."""


def render_library(program: Program, plan: MemoryPlan, options: LibraryOptions) -> dict[str, str]:
    """File name → text of the whole library, `CMakeLists.txt` included."""
    return _Renderer(program, plan, options).files()


def function_symbols(program: Program, model: str) -> dict[str, str]:
    """C symbol of every function of the program: named after the first layer that uses it."""
    symbols: dict[str, str] = {}
    for step in program.steps:
        symbols.setdefault(step.function, f"tvmgen_{model}_{step.layer}")
    return symbols


def micro_symbol(kernel: MicroKernel, model: str) -> str:
    """C symbol of a generated routine: two models in one program do not share theirs."""
    return f"tvmgen_{model}_{kernel.symbol.removeprefix('vq_')}"


class _Renderer:
    """The values that several templates share."""

    def __init__(self, program: Program, plan: MemoryPlan, options: LibraryOptions) -> None:
        self.program = program
        self.plan = plan
        self.options = options
        self.symbols = function_symbols(program, options.model)
        self.states = state_symbols(program)
        self.micro = {
            kernel.symbol: render_micro_kernel(kernel, micro_symbol(kernel, options.model))
            for kernels in program.micro_kernels.values()
            for kernel in kernels
        }

    def files(self) -> dict[str, str]:
        model = self.options.model
        sources = [f"{model}_run.c", f"{model}_layers.c", f"{model}_weights.c"]
        if self.micro:
            sources += [f"{model}_kernels.c", f"{model}_assembly.S"]
        constants = [self._constant(c) for c in self.program.constants]
        shared = {
            "model": model,
            "banner": self.options.banner,
            "caller_io": self.options.caller_io,
            "arena_bytes": self.plan.arena_bytes,
            "lower_bound_bytes": self.plan.lower_bound_bytes,
            "inputs": [self._border(t, t.name) for t in self.program.inputs],
            "outputs": [
                self._border(t, name)
                for t, name in zip(self.program.outputs, self.program.output_names, strict=True)
            ],
            "constants": constants,
            "not_finite": any(_has_no_number(c.value) for c in self.program.constants),
            "functions": self._functions(),
            "float_header": HEADER if self._computes_in_float() else "",
            "prototypes": [*self._prototypes(), *(k.prototype for k in self.micro.values())],
            "micro_kernels": list(self.micro.values()),
            "steps": [self._step(s) for s in self.program.steps],
            "branch": describe_branch(self.program.branch),
            **self._poison(),
            "plan_lines": self._plan_lines(),
            "sources": sources,
        }
        templates = {
            f"{model}.h": "model.h.j2",
            f"{model}_layers.h": "model_layers.h.j2",
            sources[0]: "model_run.c.j2",
            sources[1]: "model_layers.c.j2",
            sources[2]: "model_weights.c.j2",
            f"{model}_poison.h": "model_poison.h.j2",
            "CMakeLists.txt": "CMakeLists.txt.j2",
        }
        if self.micro:
            templates |= {sources[3]: "model_kernels.c.j2", sources[4]: "model_assembly.S.j2"}
        files = {name: template(path).render(shared) for name, path in templates.items()}
        include = resource_dir("runtime") / "include"
        headers = ["vq_inline.h", *([HEADER] if shared["float_header"] else [])]
        return {**files, **{h: (include / h).read_text(encoding="utf-8") for h in headers}}

    def _computes_in_float(self) -> bool:
        return any(step.op == FLOAT_LAYER for step in self.program.steps)

    def _border(self, tensor: Tensor, member: str) -> dict[str, Any]:
        """An input or output: its member of the header's struct and its place in the arena."""
        kind = "inputs" if tensor in self.program.inputs else "outputs"
        position = (
            self.program.inputs.index(tensor)
            if kind == "inputs"
            else self.program.outputs.index(tensor)
        )
        described = self.program.quantization.get(kind, [])
        params = described[position] if position < len(described) else {}
        meaning = "x".join(map(str, tensor.shape)) or "scalar"
        if params:
            meaning += f", real = {params['scale']:.9g} * (q - {params['zero_point']})"
        place = "" if self.options.caller_io else self._place(tensor.storage, tensor.dtype)
        return {
            "member": member,
            "c_type": c_type(tensor.dtype),
            "size_bytes": tensor.size_bytes,
            "meaning": meaning,
            "place": place,
            "last_step": self._last_step(tensor),
        }

    def _last_step(self, tensor: Tensor) -> int:
        """The step that completes a tensor; -1 of an input."""
        steps = enumerate(self.program.steps)
        return max((i for i, step in steps if step.output in tensor.storages), default=-1)

    def _within(self, tensor: Tensor, storage: str) -> str:
        """Where a part of a concatenation starts, as what C adds to the tensor's pointer."""
        sizes = {s.name: s.size_bytes for s in self.program.storages}
        before = tensor.storages[: tensor.storages.index(storage)]
        elements = sum(sizes[s] for s in before) // np.dtype(tensor.dtype).itemsize
        return f" + {elements}" if elements else ""

    def _place(self, storage: str, dtype: str) -> str:
        offset = self.plan.offset(storage)
        where = f"(arena + {offset})"
        if dtype == "uint8":
            return where
        through = "" if dtype == "int8" else "(void *)"
        return f"({c_type(dtype)} *){through}{where}"

    def _argument(self, argument: Argument, dtype: str) -> str:
        if argument.is_constant:
            return self._symbol(argument.name)
        if argument.name in self.states:
            return self.states[argument.name]
        if self.options.caller_io:
            for kind, tensors, names in (
                ("inputs", self.program.inputs, [t.name for t in self.program.inputs]),
                ("outputs", self.program.outputs, self.program.output_names),
            ):
                for tensor, name in zip(tensors, names, strict=True):
                    if argument.name in tensor.storages:
                        return f"{kind}->{name}{self._within(tensor, argument.name)}"
        return self._place(argument.name, dtype)

    def _symbol(self, constant: str) -> str:
        return f"tvmgen_{self.options.model}_{constant}"

    def _step(self, step: Step) -> dict[str, Any]:
        function = self.program.functions[step.function]
        params = function.function.params
        arguments = [
            self._argument(argument, str(param.dtype))
            for argument, param in zip(step.arguments, params, strict=True)
        ]
        output = len(params) - len(function.scratch) - 1
        return {
            "comment": f"{step.layer}: {step.op}, {step.macs} MACs",
            "symbol": self.symbols[step.function],
            "arguments": arguments,
            "output": arguments[output],
            "output_type": c_type(str(params[output].dtype)),
            "arguments_to_y": [*arguments[:output], "y", *arguments[output + 1 :]],
        }

    def _poison(self) -> dict[str, Any]:
        """The tables of debug builds: ranges of all steps, and per step where they start and end
        and the bytes of its output."""
        sizes = {s.name: s.size_bytes for s in self.program.storages}
        output_bytes = [*(sizes[step.output] for step in self.program.steps), 0]
        each = step_ranges(self.program, self.plan)
        rows, count = [], 0
        for ranges, size in zip(each, output_bytes, strict=True):
            written = count + len(ranges.dead)
            end = written + len(ranges.written)
            rows.append((count, written, end, size))
            count = end
        return {
            "poison": each,
            "poison_rows": rows,
            "guard_bytes": GUARD_BYTES,
            "largest_output_bytes": max(output_bytes),
        }

    def _functions(self) -> list[dict[str, str]]:
        result = []
        for name, symbol in self.symbols.items():
            users = [s.layer for s in self.program.steps if s.function == name]
            lowered = self.program.functions[name]
            external = {own: kernel.symbol for own, kernel in self.micro.items()}
            try:
                text = print_function(lowered.function, symbol, self._may_alias(name), external)
            except ValueError as error:
                if not self._computes_in_float():
                    raise
                raise ModelError(f"layer {users[0]}: {first_line(error)}") from error
            result.append({"comment": ", ".join(users), "text": text})
        return result

    def _prototypes(self) -> list[str]:
        return [
            print_prototype(self.program.functions[name].function, symbol, self._may_alias(name))
            for name, symbol in self.symbols.items()
        ]

    def _may_alias(self, name: str) -> frozenset[int]:
        """Parameters of a function that share memory in some call: the output and inputs that the
        plan lets it overlap."""
        lowered = self.program.functions[name]
        output = len(lowered.function.params) - len(lowered.scratch) - 1
        places = {p.storage.name: p for p in self.plan.placements}
        shared: set[int] = set()
        for step in self.program.steps:
            if step.function == name and step.output in places:
                y = places[step.output]
                for position in orders_of(lowered.function):
                    x = places.get(step.arguments[position].name)
                    if x is not None and x.offset < y.end and y.offset < x.end:
                        shared |= {position, output}
        return frozenset(shared)

    def _constant(self, constant: Constant) -> dict[str, Any]:
        value = constant.value
        flat = [_literal(v) for v in value.reshape(-1)]
        rows = range(0, len(flat), _VALUES_PER_LINE)
        return {
            "symbol": self._symbol(constant.name),
            "c_type": c_type(str(value.dtype)),
            "length": value.size,
            "comment": "x".join(map(str, value.shape)),
            "lines": [", ".join(flat[i : i + _VALUES_PER_LINE]) for i in rows],
        }

    def _plan_lines(self) -> list[str]:
        lines = []
        for placement in sorted(self.plan.placements, key=lambda p: (p.offset, p.storage.first)):
            storage = placement.storage
            span = f"{placement.offset}..{placement.end - 1}"
            lines.append(f"{span:<14}{storage.first}..{storage.last:<8} {storage.name}")
        return lines


def _has_no_number(value: NDArray[Any]) -> bool:
    """Whether a constant holds infinity or what is not a number, as masks do."""
    return value.dtype.kind == "f" and not np.isfinite(value).all()


def _literal(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return float_literal(float(value))
    return "INT32_MIN" if int(value) == -(2**31) else str(int(value))
