"""TFLite's operators that resize pictures."""

from __future__ import annotations

import tflite as schema
from tvm import relax

from ..compat import Expr
from ..errors import ModelError
from .tflite_context import Converter, Importer, where
from .tflite_file import TfliteOperator, parse_options


def _resize(
    importer: Importer, operator: TfliteOperator, options_type: type, method: str, halves: str
) -> Expr:
    options = parse_options(operator, options_type)
    if options.AlignCorners() and options.HalfPixelCenters():
        raise ModelError(
            f"{where(operator)}: align_corners and half_pixel_centers; one of them works"
        )
    coordinates, nearest = "asymmetric", "floor"
    if options.AlignCorners():
        coordinates, nearest = "align_corners", "round_prefer_ceil"
    elif options.HalfPixelCenters():
        coordinates = halves
    return relax.op.image.resize2d(
        importer.real(operator, 0),
        importer.result(operator).shape[1:3],
        layout="NHWC",
        method=method,
        coordinate_transformation_mode=coordinates,
        rounding_method=nearest,
    )


def _bilinear(importer: Importer, operator: TfliteOperator) -> Expr:
    options = schema.ResizeBilinearOptions
    return _resize(importer, operator, options, "linear", "half_pixel")


def _nearest(importer: Importer, operator: TfliteOperator) -> Expr:
    options = schema.ResizeNearestNeighborOptions
    return _resize(importer, operator, options, "nearest_neighbor", "tf_half_pixel_for_nn")


RESIZES: dict[str, Converter] = {
    "RESIZE_BILINEAR": _bilinear,
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
}
