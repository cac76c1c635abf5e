"""MLPerf Tiny's int8 models. The files are not part of the project: their folder is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Model:
    """A model: its short name, what it does, and its file in mlcommons/tiny."""

    key: str
    title: str
    file: str


MODELS = (
    Model("ad", "anomaly detection (autoencoder)", "ad01_int8.tflite"),
    Model("kws", "keyword spotting (DS-CNN)", "kws_ref_model_int8.tflite"),
    Model("ic", "image classification (ResNet-8)", "pretrainedResnet_quant.tflite"),
    Model("vww", "visual wake words (MobileNet)", "vww_96_int8.tflite"),
    Model("sww", "streaming wake word (DS-CNN)", "str_ww_ref_model.tflite"),
)


class ModelsMissingError(Exception):
    """The folder lacks files; one line says which."""


def find_models(folder: Path) -> dict[Model, Path]:
    """The file of each model in `folder`."""
    paths = {model: folder / model.file for model in MODELS}
    missing = [model.file for model, path in paths.items() if not path.is_file()]
    if missing:
        raise ModelsMissingError(
            f"{folder} lacks {', '.join(missing)} (of mlcommons/tiny, benchmark/training)"
        )
    return paths
