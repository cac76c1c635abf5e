"""Post-training quantization: a float network and calibration data to an ONNX QDQ file.

read_tflite, read_onnx, read_folded   file → `FloatGraph` (graph)
calibration_data         D.npz → real inputs
quantize_graph           layer by layer: `layer_fit` (targets), `rounding` (levels),
                         `activation_scales`
export_onnx              → ONNX QDQ
"""

from .session import QuantizedModel, QuantizeOptions, quantize_file

__all__ = ["QuantizeOptions", "QuantizedModel", "quantize_file"]
