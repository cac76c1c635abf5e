"""Post-training quantization: a float network and calibration data to an ONNX QDQ file.

read_tflite, read_onnx, read_folded   file → `FloatGraph` (graph)
calibration_data         D.npz → real inputs
quantize_graph           layer by layer: `layer_fit` (targets), `rounding` (levels),
                         `activation_scales`
export_onnx              → ONNX QDQ

A binary net in float ONNX takes another way: `late_moves` (its signs right behind their layers),
`binary_points` (what gets 8 bits), `qonnx_run` (the ranges), `binary` (→ QONNX).
"""

from .session import QuantizedModel, QuantizeOptions, quantize_file

__all__ = ["QuantizeOptions", "QuantizedModel", "quantize_file"]
