"""From a module that `LowerToTIR` made to its program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm import relax

from ..c_names import unique_identifiers
from ..codegen.lower import LoweredFunction
from ..compat import (
    Expr,
    IRModule,
    constant_value,
    dtype_of,
    is_constant,
    op_name,
    shape_of,
)
from ..errors import ModelError
from ..kernels.access_order import orders_of
from ..kernels.micro_kernel import MicroKernel
from .program import Argument, Branch, Constant, Program, Role, Step, Storage, Tensor


def extract_program(module: IRModule, functions: Mapping[str, LoweredFunction]) -> Program:
    """The program of a module that `LowerToTIR` made; `functions` are its lowered PrimFuncs."""
    return _Extractor(module, functions).run()


class _Extractor:
    """Walks the bindings once, numbering the steps."""

    def __init__(self, module: IRModule, functions: Mapping[str, LoweredFunction]) -> None:
        self.main = module["main"]
        self.functions = functions
        self.attrs = self.main.attrs
        self.tensors: dict[Expr, Tensor] = {}
        self.roles: dict[str, Role] = {}
        self.sizes: dict[str, int] = {}
        self.lifetimes: dict[str, tuple[int, int]] = {}
        self.steps: list[Step] = []
        self.constants: list[Constant] = []
        self.adjacent: list[tuple[str, ...]] = []
        self.known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.settable: dict[str, Constant] = {}
        self.merged: dict[Expr, Tensor] = {}
        self.branch: Branch | None = None

    def run(self) -> Program:
        names = unique_identifiers([str(p.name) for p in self.main.params])
        for parameter, name in zip(self.main.params, names, strict=True):
            self._define(parameter, name, "input", step=0)
        for block in self.main.body.blocks:
            for binding in block.bindings:
                self._bind(binding.var, binding.value)
        outputs = self._outputs()
        storages = tuple(
            Storage(name, self.roles[name], self.sizes[name], *self.lifetimes[name])
            for name in self.sizes
        )
        return Program(
            tuple(self.tensors[p] for p in self.main.params),
            outputs,
            self._output_names(len(outputs)),
            tuple(self.steps),
            storages,
            tuple(self.constants),
            self.functions,
            _plain(self.attrs.get("vq.quantization", {})),
            {name: _micro_kernels(lowered) for name, lowered in self.functions.items()},
            _plain(self.attrs.get("vq.removed", {})),
            tuple(self.adjacent),
            self.branch,
        )

    def _define(self, var: Expr, name: str, role: Role, step: int) -> Tensor:
        shape, dtype = shape_of(var), dtype_of(var)
        size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        storage = self._allocate(name, size_bytes, role, step)
        self.tensors[var] = Tensor(name, shape, dtype, storage)
        return self.tensors[var]

    def _allocate(self, name: str, size_bytes: int, role: Role, step: int) -> str:
        """The name of a new storage: an input may be called like a layer."""
        while name in self.sizes:
            name += "_"
        self.roles[name], self.sizes[name] = role, size_bytes
        self.lifetimes[name] = (step, step)
        return name

    def _use(self, tensor: Tensor, step: int) -> None:
        for storage in tensor.storages:
            first, last = self.lifetimes[storage]
            self.lifetimes[storage] = (first, max(last, step))

    def _bind(self, var: Expr, value: Expr) -> None:
        if isinstance(value, relax.Tuple):
            return
        if isinstance(value, relax.If):
            self._branch(var, value)
        elif value in self.tensors:
            self.tensors[var] = self.tensors[value]
        elif op_name(value) == "vq.reshape":
            self._view(var, self.tensors[value.args[0]].storages)
        elif op_name(value) == "vq.concat":
            storages = tuple(self.tensors[part].storage for part in value.args)
            self.adjacent.append(storages)
            self._view(var, storages)
        elif op_name(value) == "relax.call_tir":
            self._call(var, value)
        else:
            raise ModelError(f"{op_name(value) or value} was not lowered to a kernel")

    def _branch(self, var: Expr, value: Expr) -> None:
        """The steps of a branch, whose last writes over what is the result without them."""
        first, result = len(self.steps), value.true_branch.body
        condition = self.tensors[value.cond].storage
        self.tensors[var] = self.merged[result] = self.tensors[value.false_branch.body]
        for block in value.true_branch.blocks:
            for binding in block.bindings:
                self._bind(binding.var, binding.value)
        (thresholds,) = self.settable.values()
        confidence = str(self.attrs["vq.confidence"])
        self.branch = Branch(condition, first, len(self.steps), thresholds, confidence)

    def _view(self, var: Expr, storages: tuple[str, ...]) -> None:
        first, *others = storages
        self.tensors[var] = Tensor(
            str(var.name), shape_of(var), dtype_of(var), first, tuple(others)
        )

    def _call(self, var: Expr, value: Expr) -> None:
        step, layer = len(self.steps), str(var.name)
        function = str(value.args[0].name_hint)
        lowered = self.functions[function]
        arguments: list[Argument] = []
        inputs: list[Tensor] = []
        settable = [int(n) for n in lowered.function.attrs.get("vq.settable", [])]
        for position, arg in enumerate(value.args[1].fields):
            name = f"{layer}_{lowered.function.params[position].name}"
            if position in settable:
                arguments.append(Argument(self._settable(name, arg, step), False))
            elif is_constant(arg):
                arguments.append(Argument(self._constant(name, arg), True))
            else:
                tensor = self.tensors[arg]
                self._use(tensor, step)
                inputs.append(tensor)
                arguments.append(Argument(tensor.storage, False))
        output = self._output(var, layer, step)
        arguments.append(Argument(output.storage, False))
        scratch = []
        for buffer in lowered.scratch:
            name = f"{layer}_{buffer.name}"
            name = self._allocate(name, buffer.size_bytes, "scratch", step)
            arguments.append(Argument(name, False))
            scratch.append(name)
        orders = orders_of(lowered.function)
        facts = self.attrs["vq.layers"][layer]
        self.steps.append(
            Step(
                layer,
                str(facts["op"]),
                function,
                tuple(arguments),
                tuple(storage for t in inputs for storage in t.storages),
                output.storage,
                tuple(scratch),
                {inputs[i].storage: o for i, o in orders.items() if not inputs[i].parts},
                int(facts["macs"]),
                str(facts["realisation"]),
                int(facts["weight_bytes"]),
            )
        )

    def _output(self, var: Expr, layer: str, step: int) -> Tensor:
        if var in self.merged:
            self._use(self.merged[var], step)
            return self.merged[var]
        # a truth value is what the executor branches on: it keeps it
        role: Role = "state" if dtype_of(var) == "bool" else "intermediate"
        return self._define(var, layer, role, step)

    def _settable(self, name: str, expr: Expr, step: int) -> str:
        """The name of the state that has a copy of the constant."""
        value = constant_value(expr)
        name = self._allocate(name, value.nbytes, "state", step)
        self.settable[name] = Constant(name, value)
        return name

    def _constant(self, name: str, expr: Expr) -> str:
        """The constant's name; equal arrays are stored once."""
        value = constant_value(expr)
        key = (str(value.dtype), value.shape, value.tobytes())
        if key not in self.known:
            self.known[key] = name
            self.constants.append(Constant(name, value))
        return self.known[key]

    def _outputs(self) -> tuple[Tensor, ...]:
        result = self.main.body.body
        bound = {b.var: b.value for block in self.main.body.blocks for b in block.bindings}
        while result in bound and result not in self.tensors:
            result = bound[result]
        fields = list(result.fields) if isinstance(result, relax.Tuple) else [result]
        if any(is_constant(field) for field in fields):
            raise ModelError("an output depends on no input; take it out of the model")
        tensors = tuple(self.tensors[field] for field in fields)
        for tensor in tensors:
            self._use(tensor, len(self.steps))
            if any(self.roles[storage] != "intermediate" for storage in tensor.storages):
                raise ModelError(f"the output {tensor.name!r} is an input or another output")
            self.roles |= dict.fromkeys(tensor.storages, "output")
        return tensors

    def _output_names(self, count: int) -> tuple[str, ...]:
        names = [str(n) for n in self.attrs.get("vq.output_names", [])]
        if len(names) != count:
            names = ["output"] if count == 1 else [f"output{i}" for i in range(count)]
        inputs = [self.tensors[p].name for p in self.main.params]
        taken = {name.upper() for name in inputs}
        apart = [f"{name}_out" if name.upper() in taken else name for name in names]
        return tuple(unique_identifiers([*inputs, *apart])[len(inputs) :])


def _micro_kernels(lowered: LoweredFunction) -> tuple[MicroKernel, ...]:
    texts = lowered.function.attrs.get("vq.micro", [])
    return tuple(MicroKernel.from_json(str(text)) for text in texts)


def _plain(value: Any) -> Any:
    """TVM containers as Python's own."""
    if hasattr(value, "items"):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (int, float, str)):
        return value
    return [_plain(v) for v in value]
