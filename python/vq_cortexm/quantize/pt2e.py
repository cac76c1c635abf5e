"""What PyTorch's PT2E quantization asks a back end for: which tensors are quantized, and how.

    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    prepared = prepare_pt2e(torch.export.export(net, inputs).module(), CortexMQuantizer())
    for batch in calibration:
        prepared(batch)
    program = torch.export.export(convert_pt2e(prepared), inputs)
    compiled = vq_cortexm.build(vq_cortexm.frontend.from_exported_program(program))

Needs the extra `train`: pip install 'vq-cortexm[train]'.
"""

from __future__ import annotations

from typing import Any

try:
    import torch
    from torchao.quantization.pt2e import HistogramObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantizer import (
        FixedQParamsQuantizationSpec,
        QuantizationAnnotation,
        QuantizationSpec,
        Quantizer,
        SharedQuantizationSpec,
    )
except ModuleNotFoundError as error:
    raise ImportError(
        f"vq_cortexm.quantize.pt2e needs {error.name}; pip install 'vq-cortexm[train]' works"
    ) from error

_ANNOTATION = "quantization_annotation"
"""Where PT2E looks for what is to be done with a node."""
_OUTPUT_CHANNELS = {"conv1d": 0, "conv2d": 0, "linear": 0, "conv_transpose2d": 1}
"""Operators with weights, and the axis of those that is the output's channels."""
_ACTIVATIONS = {"relu", "relu_", "relu6", "relu6_", "hardtanh", "hardtanh_", "clamp", "clamp_min"}
"""Part of the layer before them."""
_SAME_SCALE = {
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "flatten",
    "max_pool2d",
    "pad",
    "permute",
    "reshape",
    "slice",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
}
"""What they give lies in the range of what they take."""
_FIXED_SCALES = {"sigmoid": (1 / 256, -128), "softmax": (1 / 256, -128), "tanh": (1 / 128, 0)}
"""Scale and zero point of what always lies in the same range."""
_NO_LAYERS = {"dropout", "dropout_"}
"""They pass their input on."""

_VALUES = QuantizationSpec(
    dtype=torch.int8,
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
    observer_or_fake_quant_ctr=HistogramObserver.with_args(eps=2**-12),
)


class CortexMQuantizer(Quantizer):  # type: ignore[misc]
    """Every layer's output in int8, with one scale and zero point; weights in int8, symmetric, with
    a scale for each output channel. Biases stay real: the build makes int32 of them."""

    def annotate(self, model: Any) -> Any:
        """The same graph with its nodes annotated."""
        for node in model.graph.nodes:
            if node.op == "call_function" and _kind(node) not in _NO_LAYERS and _is_real(node):
                node.meta[_ANNOTATION] = _annotation(node)
        return model

    def validate(self, model: Any) -> None:
        """Nothing is refused here: the import names what has no form in integers."""


def _annotation(node: Any) -> Any:
    kind = _kind(node)
    inputs = [arg for arg in _flat(node.args) if _is_real(arg)]
    follower = next(iter(node.users), None)
    is_followed = len(node.users) == 1 and _kind(follower) in _ACTIVATIONS
    output: Any = None if is_followed else _VALUES
    if kind in _ACTIVATIONS and len(inputs[0].users) == 1 and _kind(inputs[0]) not in _ACTIVATIONS:
        return QuantizationAnnotation(output_qspec=output, _annotated=True)
    values = inputs[:1] if kind in _OUTPUT_CHANNELS else inputs
    taken: dict[Any, Any] = {x: _VALUES for x in values if _integers_behind(x) is None}
    if kind in _OUTPUT_CHANNELS:
        taken[inputs[1]] = _weights(_OUTPUT_CHANNELS[kind])
    elif kind in _SAME_SCALE and output is not None:
        output = SharedQuantizationSpec(_integers_behind(inputs[0]) or (inputs[0], node))
    elif kind in _FIXED_SCALES and output is not None:
        output = FixedQParamsQuantizationSpec(torch.int8, *_FIXED_SCALES[kind], -128, 127)
    return QuantizationAnnotation(taken, output, _annotated=True)


def _integers_behind(node: Any) -> Any:
    """The node whose output is quantized already, and passed on; None where there is none."""
    while _kind(node) in _NO_LAYERS:
        node = node.args[0]
    annotation = node.meta.get(_ANNOTATION)
    return node if annotation is not None and annotation.output_qspec is not None else None


def _weights(axis: int) -> Any:
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=axis,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=2**-12),
    )


def _kind(node: Any) -> str:
    """The operator's name without its form: "conv2d" of aten.conv2d.default."""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]


def _flat(args: Any) -> list[Any]:
    """The arguments, those of lists too."""
    return [one for arg in args for one in (arg if isinstance(arg, (list, tuple)) else [arg])]


def _is_real(node: Any) -> bool:
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return isinstance(value, torch.Tensor) and value.is_floating_point()
