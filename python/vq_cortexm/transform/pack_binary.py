"""PackBinary: layers of -1 and +1 on both sides become `vq.binary_*` operators, 32 to a word.

The importer leaves a binary net as ordinary operators on int8 tensors of -1 and +1. This pass finds
those tensors and the layers that read them with weights of -1 and +1, and keeps them as bits:

    8-bit layer ─ sign ─► vq.binary_pack ─► vq.binary_conv2d ─► vq.binary_max_pool2d ─► …
                                             └─► 8 bits again, through its requantization

A border of one value in front becomes a layer's padding. What reads such a tensor and is not one of
these operators gets it unpacked. Layers of so few channels that words would be mostly empty stay.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
    constant_value,
    dtype_of,
    is_constant,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
)
from ..op.binary_conv2d import BinaryConv2dAttrs
from ..op.binary_max_pool2d import BinaryMaxPool2dAttrs
from ..op.binary_pack import BinaryPackAttrs
from ..op.binary_unpack import BinaryUnpackAttrs
from ..op.bits import WORD, pack, words
from ..op.conv2d import Conv2dAttrs
from ..op.registry import attributes, make_call
from ..op.reshape import ReshapeAttrs
from .rewriting import bindings_of, tensors_of

_MOST_EMPTY = 4
"""Bits of words for each that is used, in inputs times outputs."""
_MOST_INPUTS = (1 << 16) - 1
"""Of an output: counts have two bytes."""
_NO_PADDING = (0, 0, 0, 0)


@tvm.transform.module_pass(opt_level=0, name="vq.PackBinary")
class PackBinary:
    """Pass on folded modules, after `FusePad`; never changes a value of the result."""

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The module with `main` rebuilt, its layers' names kept; the same where nothing is
        binary."""
        function = module["main"]
        packer = _Packer(function)
        if not packer.layers:
            return module
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = packer.run()
        return relax.transform.DeadCodeElimination()(result)


class _Packer:
    """One walk over `main`. `signs` are the variables that hold only -1 and +1; `layers` those
    whose layer becomes binary, with the tensor that it reads and the border around it."""

    def __init__(self, function: Expr) -> None:
        self.function = function
        self.calls = dict(bindings_of(function))
        self.signs: set[Expr] = set()
        self.layers: dict[Expr, tuple[Expr, Any]] = {}
        self.builder = relax.BlockBuilder()
        self.plain: dict[Expr, Expr] = {p: p for p in function.params}
        self.packed: dict[Expr, Expr] = {}
        for var, call in self.calls.items():
            if _gives_signs(call) or (_keeps_signs(call) and call.args[0] in self.signs):
                self.signs.add(var)
            layer = self._binary_layer(call)
            if layer is not None:
                self.layers[var] = layer

    def run(self) -> Expr:
        with main_function(self.builder, self.function.params) as finish:
            for var, call in self.calls.items():
                self._rebuild(var, call)
            finish(self._plain_result(self.function.body.body))
        return self.builder.get()["main"].with_attrs(kept_attrs(self.function))

    # ------------------------------------------------------------------ what becomes binary

    def _binary_layer(self, call: Expr) -> tuple[Expr, Any] | None:
        """The packed tensor that a layer can read, and the border in front of it."""
        if op_name(call) not in ("vq.conv2d", "vq.dense") or call.args[0] not in self.signs:
            return None
        weight, attrs = constant_value(call.args[1]), attributes(call)
        outputs, inputs = weight.shape[0], weight.shape[-1]
        if op_name(call) == "vq.dense":
            x, border = self._before_flatten(call.args[0]), None
            inputs = shape_of(x)[-1]
        else:
            if attrs.groups != 1 or attrs.dilation != (1, 1):
                return None
            x, border = self._before_border(call.args[0], attrs)
        held = words(inputs) * words(outputs) * WORD * WORD
        fits = held <= _MOST_EMPTY * inputs * outputs and weight[0].size <= _MOST_INPUTS
        signs = _weight_signs(weight)
        if signs is None or attrs.x_zero_point or not fits or len(shape_of(x)) not in (2, 4):
            return None
        is_whole = _gives_signs(call) or bool((signs == weight).all())
        return (x, border) if is_whole else None

    def _before_flatten(self, x: Expr) -> Expr:
        """What a dense layer's input was before it was flattened."""
        call: Expr = self.calls.get(x)
        if op_name(call) != "vq.reshape" or len(shape_of(call.args[0])) != 4:
            return x
        return call.args[0] if shape_of(call.args[0])[0] == shape_of(x)[0] else x

    def _before_border(self, x: Expr, attrs: Conv2dAttrs) -> tuple[Expr, Any]:
        """What a border of -1 or +1 around rows and columns was put on, and the border."""
        call: Expr = self.calls.get(x)
        if op_name(call) != "vq.pad" or any(attrs.padding):
            return x, None
        border = attributes(call)
        first, last = border.pad_width[:2], border.pad_width[-2:]
        others = any((*first, *last)) or border.mode != "constant"
        return (x, None) if others else (call.args[0], border)

    # ------------------------------------------------------------------ the new function

    def _rebuild(self, var: Expr, call: Expr) -> None:
        if not op_name(call):
            self.plain[var] = self._plain_result(call)
        elif var in self.layers:
            self._emit_binary(var, call)
        elif self._pools_bits(var, call):
            x, attrs = self._bits(call.args[0]), attributes(call)
            window = (attrs.pool_size, attrs.strides, attrs.padding)
            pooled = BinaryMaxPool2dAttrs(shape_of(call)[-1], *window)
            self._emit_packed(var, make_call("vq.binary_max_pool2d", [x], pooled))
        else:
            args = [arg if is_constant(arg) else self._plain_of(arg) for arg in call.args]
            attrs = attributes(call)
            if _gives_signs(call) and self._only_packed(var):
                # the sign of 2 n + 1 is asked for alone, so clamping it is not needed
                attrs = replace(attrs, y_min=-128, y_max=127)
            copied = make_call(op_name(call), args, attrs)
            self.plain[var] = self.builder.emit(copied, name_hint=var.name)

    def _pools_bits(self, var: Expr, call: Expr) -> bool:
        """Whether a layer pools signs that are packed already, or will be behind it."""
        is_pool = op_name(call) == "vq.max_pool2d" and var in self.signs
        return is_pool and (call.args[0] in self.packed or self._wants_bits(var))

    def _wants_bits(self, var: Expr) -> bool:
        """Whether a binary layer reads a tensor, or a pool of it."""
        readers = [v for v, call in self.calls.items() if op_name(call) and var in call.args]
        sources = {x for x, _ in self.layers.values()}
        return var in sources or any(
            op_name(self.calls[v]) in ("vq.max_pool2d", "vq.pad", "vq.reshape")
            and self._wants_bits(v)
            for v in readers
        )

    def _only_packed(self, var: Expr) -> bool:
        """Whether all that reads a tensor, if need be behind a border or flattened, reads bits."""
        readers = [v for v, call in self.calls.items() if var in tensors_of(call)]
        if not readers or var in tensors_of(self.function.body.body):
            return False
        return all(
            (v in self.layers and self.layers[v][0].same_as(var))
            or self._pools_bits(v, self.calls[v])
            or (op_name(self.calls[v]) in ("vq.pad", "vq.reshape") and self._is_skipped(v, var))
            for v in readers
        )

    def _is_skipped(self, var: Expr, source: Expr) -> bool:
        """Whether all readers of a border or flattened tensor take it in, and read its source."""
        readers = [v for v, call in self.calls.items() if var in tensors_of(call)]
        taken = [v for v in readers if v in self.layers and self.layers[v][0].same_as(source)]
        in_result = var in tensors_of(self.function.body.body)
        return bool(readers) and taken == readers and not in_result

    def _emit_packed(self, var: Expr, call: Expr) -> None:
        self.packed[var] = self.builder.emit(call, name_hint=var.name)

    def _emit_binary(self, var: Expr, call: Expr) -> None:
        source, border = self.layers[var]
        x, old = self._bits(source), attributes(call)
        weight, bias, scale = (constant_value(arg) for arg in call.args[1:])
        channels = shape_of(source)[-1]
        if op_name(call) == "vq.dense":
            weight = weight.reshape(len(weight), *_as_image(source)[1:])
            strides, padding, pad_value = (1, 1), _NO_PADDING, 0
        else:
            strides, padding, pad_value = old.strides, old.padding, 0
        if border is not None:
            rows, columns = border.pad_width[2:4], border.pad_width[4:6]
            padding, pad_value = (rows[0], columns[0], rows[1], columns[1]), border.pad_value
        attrs = BinaryConv2dAttrs(channels, strides, padding, pad_value, "int32")
        # a channel without weights has any: its threshold decides
        arguments = [x, constant(pack(weight >= 0))]
        if _gives_signs(call):
            never = (weight.reshape(len(weight), -1) == 0).all(axis=1)
            beyond = np.where(bias >= 0, -(weight[0].size + 1), weight[0].size + 1)
            threshold = np.where(never, beyond, -bias.astype(np.int64)).astype(np.int32)
            made = make_call("vq.binary_conv2d", [*arguments, constant(threshold)], attrs)
            self._emit_packed(var, made)
            return
        attrs = replace(
            attrs,
            y_dtype=old.y_dtype,
            x_scale=old.x_scale,
            y_scale=old.y_scale,
            y_zero_point=old.y_zero_point,
            y_min=old.y_min,
            y_max=old.y_max,
            rounding=old.rounding,
        )
        arguments += [constant(bias), constant(scale)]
        made = make_call("vq.binary_conv2d", arguments, attrs)
        self.plain[var] = self._in_shape(self.builder.emit(made, name_hint=var.name), call)

    def _bits(self, var: Expr) -> Expr:
        """A tensor of signs as words, (N, H, W, words)."""
        if var not in self.packed:
            x = self._plain_of(self._before_sign(var))
            image = _as_image(var)
            if shape_of(var) != image:
                x = self.builder.emit(make_call("vq.reshape", [x], ReshapeAttrs(image)))
            made = make_call("vq.binary_pack", [x], BinaryPackAttrs())
            self.packed[var] = self.builder.emit(made, name_hint=f"{var.name}_bits")
        return self.packed[var]

    def _before_sign(self, var: Expr) -> Expr:
        """What is rescaled to signs, where it is not negative exactly where they are: packing
        asks for no more."""
        call: Expr = self.calls.get(var)
        if op_name(call) != "vq.requantize" or not _gives_signs(call):
            return var
        keeps = attributes(call).x_zero_point == 0 and dtype_of(call.args[0]) == "int8"
        return call.args[0] if keeps else var

    def _plain_of(self, var: Expr) -> Expr:
        """A tensor as it was."""
        if var not in self.plain:
            attrs = BinaryUnpackAttrs(shape_of(var)[-1])
            made = make_call("vq.binary_unpack", [self.packed[var]], attrs)
            emitted = self.builder.emit(made, name_hint=f"{var.name}_signs")
            self.plain[var] = self._in_shape(emitted, self.calls[var])
        return self.plain[var]

    def _in_shape(self, emitted: Expr, like: Expr) -> Expr:
        shape = shape_of(like)
        if shape_of(emitted) == shape:
            return emitted
        return self.builder.emit(make_call("vq.reshape", [emitted], ReshapeAttrs(shape)))

    def _plain_result(self, expr: Expr) -> Expr:
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self._plain_result(field) for field in expr.fields])
        return self._plain_of(expr) if expr in self.plain or expr in self.packed else expr


def _gives_signs(call: Expr) -> bool:
    """Whether an operator's output is clamp(2 n + 1, -1, 1) of whole numbers n, so never 0."""
    name = op_name(call)
    if name not in ("vq.conv2d", "vq.dense", "vq.depthwise_conv2d", "vq.requantize"):
        return False
    attrs = attributes(call)
    w_scale = 1 if name == "vq.requantize" else constant_value(call.args[3])
    scale = np.float32(attrs.x_scale) * w_scale
    doubles = bool(np.all(scale == 2 * np.float32(attrs.y_scale)))
    grid = (attrs.y_zero_point, attrs.y_min, attrs.y_max, attrs.y_dtype)
    return doubles and grid == (1, -1, 1, "int8")


def _keeps_signs(call: Expr) -> bool:
    """Whether an operator's output holds only -1 and +1 if its input does."""
    name = op_name(call)
    if name == "vq.pad":
        attrs = attributes(call)
        return attrs.pad_value in (-1, 1) and bool(attrs.mode == "constant")
    if name == "vq.max_pool2d":
        attrs = attributes(call)
        return bool(attrs.y_min <= -1 and attrs.y_max >= 1 and attrs.dilation == (1, 1))
    return name == "vq.reshape"


def _weight_signs(weight: NDArray[np.int8]) -> NDArray[np.int8] | None:
    """Weights of -1 and +1; those of a channel that has only zeros as +1. None for any other."""
    rows = weight.reshape(len(weight), -1)
    nothing = (rows == 0).all(axis=1)
    if np.any(np.abs(rows[~nothing]) != 1):
        return None
    return np.asarray(np.where(weight == 0, 1, weight), np.int8)


def _as_image(var: Expr) -> tuple[int, ...]:
    shape = shape_of(var)
    return shape if len(shape) == 4 else (shape[0], 1, 1, *shape[1:])
