"""Compile the digit network and let an emulated Cortex-M4 read 20 handwritten digits.

Exit status 1 if an output differs from the host's or fewer than 18 digits are read correctly.
"""

from __future__ import annotations

import sys
from pathlib import Path

import data
import numpy as np
from rich.console import Console
from rich.table import Table

import vq_cortexm

MODEL = Path(__file__).with_name("digits_int8.onnx")
BOARD = "mps2-an386"
COUNT = 20
WANTED = 18


def picture(image: data.Images) -> str:
    """The 8x8 image in two rows of four Braille characters, 2x4 dots each."""
    dots = (image > 7).reshape(2, 4, 4, 2).transpose(0, 2, 1, 3)
    bits = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
    codes = 0x2800 + (dots * bits).sum(axis=(2, 3))
    return "\n".join("".join(map(chr, row)) for row in codes)


def main() -> int:
    """Compile, run, show; the exit status."""
    digits = data.load()
    images, labels = digits.test_images[:COUNT], digits.test_labels[:COUNT]

    model = vq_cortexm.frontend.load(MODEL)
    compiled = vq_cortexm.build(model, target="vq-cortexm", name="digits")
    result = compiled.run(list(data.quantize(images)[:, np.newaxis]), board=BOARD, check=True)

    logits = np.array([outputs[0].ravel() for outputs in result.outputs], dtype=np.int32)
    predictions = logits.argmax(axis=1)
    second, first = np.sort(logits, axis=1)[:, -2:].T
    margins = (first - second) * compiled.metadata["outputs"][0]["scale"]
    correct = int((predictions == labels).sum())

    reading = Table("digit", "label", "read as", "margin", title=f"{COUNT} digits on {BOARD}")
    for image, label, prediction, margin in zip(images, labels, predictions, margins, strict=True):
        mark = "" if label == prediction else " [red]wrong[/]"
        reading.add_row(picture(image), str(label), f"{prediction}{mark}", f"{margin:.2f}")

    layers = Table(title="layers")
    for heading in "name", "op":
        layers.add_column(heading)
    for heading in "MACs", "instructions", "flash, bytes":
        layers.add_column(heading, justify="right")
    for layer in result.layers:
        layers.add_row(
            layer.name,
            layer.op,
            f"{layer.macs:,}",
            f"{layer.instructions:,}",
            f"{layer.flash:,}",
        )

    console = Console(highlight=False)
    console.print(reading, layers)
    console.print(f"flash {result.flash['total']:,} bytes, RAM {result.ram['total']:,} bytes")
    console.print(f"{correct} of {COUNT} digits read correctly")
    console.print(f"bit-exact with the host: {'yes' if result.bit_exact else 'no'}")
    return 0 if result.bit_exact and correct >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
