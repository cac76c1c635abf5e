"""TFLite → Relax QDQ: every quantized operator as dequantize → float operator → quantize.

Layouts stay TFLite's own (NHWC activations, OHWI weights), so nothing is transposed. Operators
that only move integers (reshape, pad) are emitted on the integers where TFLite demands equal
parameters on both sides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tvm import relax

from ..c_names import unique_identifiers
from ..compat import Expr, IRModule, dtype_of, main_function, tensor_type
from ..errors import ModelError, first_line
from .tflite_context import Converter, Importer, quantized, where
from .tflite_elementwise import ELEMENTWISE
from .tflite_file import TfliteOperator, read_graph
from .tflite_layers import LAYERS
from .tflite_moves import MOVES
from .tflite_resize import RESIZES


def from_tflite(model: str | Path | bytes | Any, name: str | None = None) -> IRModule:
    """Relax module (one function, `main`) of a quantized TFLite model.

    `model` is a path, the file's bytes, or a parsed `tflite.Model`. Raises ModelError for a file
    that cannot be read or an operator that is not supported, naming it.
    """
    if isinstance(model, (str, Path)):
        name = name or Path(model).name
        try:
            data = Path(model).read_bytes()
        except OSError as error:
            raise ModelError(f"{name}: {error.strerror}") from None
        return from_tflite(data, name)
    graph = read_graph(model, name or "TFLite model")
    try:
        return _Importer(graph).run()
    except ModelError as error:
        raise ModelError(f"{name or 'TFLite model'}: {error}") from None
    except Exception as error:  # TVM's shape rules refuse what a damaged file asks for
        raise ModelError(
            f"{name or 'TFLite model'}: damaged or not supported: {first_line(error)}"
        ) from error


class _Importer(Importer):
    """Walks the operators once."""

    def run(self) -> IRModule:
        names = unique_identifiers(
            [short_name(self.graph.tensors[i].name) for i in self.graph.inputs]
        )
        parameters = []
        for index, name in zip(self.graph.inputs, names, strict=True):
            tensor = self.graph.tensors[index]
            var = relax.Var(name, tensor_type(tensor.shape, tensor.dtype))
            self.values[index] = var
            parameters.append(var)
        with main_function(self.builder, parameters) as finish:
            for operator in self.graph.operators:
                self._emit(operator)
            results = [self.value(i, "the graph's output") for i in self.graph.outputs]
            finish(results[0] if len(results) == 1 else relax.Tuple(results))
        output_names = unique_identifiers(
            [short_name(self.graph.tensors[i].name) for i in self.graph.outputs]
        )
        module = self.builder.get()
        tensor_names = self.graph.tensor_names
        tensors = {
            var.name: tensor_names[index]
            for index, var in self.values.items()
            if isinstance(var, relax.Var)
        }
        module["main"] = module["main"].with_attrs(
            {"vq.output_names": output_names, "vq.source": "tflite", "vq.tensors": tensors}
        )
        return module

    def _emit(self, operator: TfliteOperator) -> None:
        if operator.name not in _CONVERTERS:
            raise ModelError(
                f"{where(operator)} is not supported; supported: {', '.join(sorted(_CONVERTERS))}"
            )
        made = _CONVERTERS[operator.name](self, operator)
        values = made if isinstance(made, list) else [made]
        if len(operator.outputs) != len(values):
            raise ModelError(
                f"{where(operator)}: has {len(operator.outputs)} outputs, must have {len(values)}"
            )
        for output, value in zip(operator.outputs, values, strict=True):
            self._define(operator, output, self.builder.normalize(value))

    def _define(self, operator: TfliteOperator, output: int, value: Expr) -> None:
        """Binds tensor `output` to what its operator gives."""
        tensor = self.graph.tensors[output]
        hint = f"{operator.name.lower()}_{operator.index}"
        if dtype_of(value) != tensor.dtype:
            if tensor.quantization is None:
                raise ModelError(f"{where(operator)}: its output has no scale")
            value = quantized(value, tensor.quantization, tensor.dtype)
        self.values[output] = self.builder.emit(value, name_hint=hint)


def short_name(name: str) -> str:
    """What a fused tensor is called last, without its output number."""
    return name.split(";")[-1].split(":")[0]


_CONVERTERS: dict[str, Converter] = {
    **ELEMENTWISE,
    **LAYERS,
    **MOVES,
    **RESIZES,
}
