"""The handwritten digits that scikit-learn brings along, and the one split that everybody uses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

# The model's input grid: grey value p (0 to 16) is the int8 value 8 p - 64, without any loss.
INPUT_SCALE = 1 / 8
INPUT_ZERO_POINT = -64


class Digits(NamedTuple):
    """Images are [N, 1, 8, 8] with grey values 0 to 16, labels [N]."""

    train_images: Images
    test_images: Images
    train_labels: Labels
    test_labels: Labels


def load() -> Digits:
    """All 1797 digits: three quarters for training and calibration, one quarter for the test."""
    digits = load_digits()
    images = digits.images.astype(np.float32)[:, np.newaxis]
    labels = digits.target.astype(np.int64)
    split = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
    return Digits(*split)


def quantize(images: Images) -> NDArray[np.int8]:
    """The images on the model's input grid."""
    return (images / INPUT_SCALE + INPUT_ZERO_POINT).astype(np.int8)
