"""A float model to the same with quantizers, which training then moves.

The model is traced (torch.fx). Each convolution and dense layer gets quantized weights. Each
result that the compiled code stores gets an 8-bit quantizer: the input, ReLUs, and what
convolutions, dense layers, additions and average pools give with no ReLU behind. A batch norm
stays behind its convolution; the importer folds it into steps and bias. Binary layers (`binary`)
stay as they are, and what a sign reads is not stored.
"""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from brevitas import nn as qnn
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ..errors import ModelError, first_line
from ..quantize.activation_scales import sampling_stride
from ..transform.vq_config import VirtualQuantizeConfig
from .binary import BinaryConv2d, BinaryLinear, Sign
from .quantizers import activation_quantizer, quantized_layer

_KINDS: dict[str, tuple[Any, ...]] = {
    "layer": (nn.Conv2d, nn.Linear),
    "binary": (BinaryConv2d, BinaryLinear),
    "sign": (Sign,),
    "norm": (nn.BatchNorm1d, nn.BatchNorm2d),
    # a learned step clips where ReLU6 would
    "relu": (nn.ReLU, nn.ReLU6, F.relu, F.relu6, torch.relu, "relu"),
    "sum": (
        *(nn.AvgPool2d, nn.AdaptiveAvgPool2d, F.avg_pool2d, F.adaptive_avg_pool2d),
        *(torch.mean, "mean", operator.add, operator.iadd, torch.add, "add"),
    ),
    "move": (
        *(nn.MaxPool2d, nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d),
        *(F.max_pool2d, F.dropout, torch.flatten, "flatten"),
    ),
}
"""Modules, functions and methods by what they ask of the quantizers."""


def quantize_model(
    model: nn.Module,
    config: VirtualQuantizeConfig,
    x: Tensor,
    *,
    input_scale: float | None = None,
) -> fx.GraphModule:
    """The model with quantizers that begin at what it computes of the inputs x (N, ...).

    `config` gives the levels (3 to 256) of layers, by their modules' names. `input_scale` fixes
    the step of the input, which else is learned. The given model stays as it is. Raises ModelError
    that names what cannot be compiled, UsageError for levels that cannot be trained.
    """
    traced = _traced(model)
    kinds = {node: _kind(traced, node) for node in traced.graph.nodes}
    stored = [node for node in kinds if _must_be_quantized(node, kinds)]
    seen = _Values(traced)
    x = x.to(next(model.parameters()).device)
    # a copy: the model may overwrite its input
    seen.run(x.clone())
    for node, kind in kinds.items():
        if kind == "layer":
            name, layer = node.target, traced.get_submodule(node.target)
            _set_module(traced, name, quantized_layer(name, layer, config.levels_of(name)))
        elif kind == "relu":
            relu = qnn.QuantReLU(act_quant=activation_quantizer(seen.values[node]))
            behind = _put_behind(traced, node, relu)
            behind.args = tuple(node.all_input_nodes)
            traced.graph.erase_node(node)
        elif node.target is operator.iadd:
            # training needs what it would overwrite
            node.target = operator.add
    for node in stored:
        scale = input_scale if kinds[node] == "placeholder" else None
        quantizer = activation_quantizer(seen.values[node], scale)
        _put_behind(traced, node, qnn.QuantIdentity(act_quant=quantizer))
    traced.graph.lint()
    traced.recompile()
    return traced.to(x.device)


class _Values(fx.Interpreter):  # type: ignore[misc]
    """Keeps some of the values of every node's result.

    Raises ModelError for a node that reads what an operator overwrote in place (a ReLU, `+=`): the
    converted model overwrites nothing, and would compute something else there.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        # which would make errors many lines
        self.extra_traceback = False
        self.values: dict[fx.Node, Tensor] = {}
        self.versions: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        """As the base does, and keeps."""
        for read in n.all_input_nodes:
            # PyTorch counts what overwrites a tensor, or a view of it
            if read in self.versions and self.env[read]._version != self.versions[read]:
                raise ModelError(
                    f"{n.name}: reads {read.name} behind an operator that overwrites it in place; "
                    "that operator's result works"
                )
        with torch.no_grad():
            result = super().run_node(n)
        if isinstance(result, Tensor):
            self.versions[n] = result._version
            flat = result.flatten()
            self.values[n] = flat[:: sampling_stride(flat.numel())].clone()
        return result


class _Proxy(fx.Proxy):  # type: ignore[misc]
    """`+=` overwrites; torch.fx takes it for an addition, behind which what was there is left."""

    def __iadd__(self, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Tracer(fx.Tracer):  # type: ignore[misc]
    """Does not look into the modules of `_KINDS`."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """What stands for the node's result while the model is traced."""
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """As the base has it, and for the binary layers."""
        is_known = any(type(m) in members for members in _KINDS.values())
        return is_known or super().is_leaf_module(m, module_qualified_name)


def _traced(model: nn.Module) -> fx.GraphModule:
    try:
        root = copy.deepcopy(model).eval()
        for module in root.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                # training needs what it would overwrite
                module.inplace = False
        return fx.GraphModule(root, _Tracer().trace(root))
    except Exception as error:  # torch.fx raises many types on what depends on values
        raise ModelError(f"the model cannot be traced: {first_line(error)}") from error


def _kind(traced: fx.GraphModule, node: fx.Node) -> str:
    if node.op in ("placeholder", "output"):
        return str(node.op)
    is_module = node.op in ("call_module", "get_attr")
    key = type(operator.attrgetter(node.target)(traced)) if is_module else node.target
    kind = next((kind for kind, members in _KINDS.items() if key in members), None)
    if kind is None:
        members = [member for kind in _KINDS.values() for member in kind]
        known = ", ".join(sorted({m.__name__ for m in members if isinstance(m, type)}))
        raise ModelError(
            f"{node.name}: {getattr(key, '__name__', key)} cannot be quantized; {known}, additions "
            "and the functions of these can"
        )
    if kind == "norm":
        before = node.args[0]
        if _kind(traced, before) not in ("layer", "binary") or len(before.users) > 1:
            raise ModelError(f"{node.name}: works only right behind a convolution or dense layer")
    return kind


def _must_be_quantized(node: fx.Node, kinds: dict[fx.Node, str]) -> bool:
    """Whether a result is stored as it is: a ReLU, sign or batch norm behind it stores its own."""
    if kinds[node] not in ("placeholder", "layer", "binary", "norm", "sum"):
        return False
    return kinds[node] == "placeholder" or any(
        kinds[user] not in ("relu", "norm") and not _leads_to_signs(user, kinds)
        for user in node.users
    )


def _leads_to_signs(node: fx.Node, kinds: dict[fx.Node, str]) -> bool:
    """A sign, or what only moves and selects values that signs then read."""
    if kinds[node] == "move":
        return all(_leads_to_signs(user, kinds) for user in node.users)
    return kinds[node] == "sign"


def _put_behind(traced: fx.GraphModule, node: fx.Node, quantizer: nn.Module) -> fx.Node:
    """The quantizer, which all readers of the node then read."""
    name = f"{node.name}_quant"
    traced.add_submodule(name, quantizer)
    with traced.graph.inserting_after(node):
        behind = traced.graph.call_module(name, (node,))
    node.replace_all_uses_with(behind, delete_user_cb=lambda user: user is not behind)
    return behind


def _set_module(traced: fx.GraphModule, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(traced.get_submodule(parent), child, module)
