"""The charts as images."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vq_cortexm.report.folder import read_build
from vq_cortexm.report.png import render_images
from vq_cortexm.report.svg import MatplotlibMissingError


def test_an_image_of_every_chart_the_same_each_time(reported: Path) -> None:
    images = render_images(read_build(reported))
    assert sorted(images) == ["layers.png", "memory.png", "pareto.png", "sweep.png"]
    assert all(image.startswith(b"\x89PNG") for image in images.values())
    assert render_images(read_build(reported)) == images


def test_matplotlib_is_an_extra(reported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MatplotlibMissingError, match="pip install") as caught:
        render_images(read_build(reported))
    assert caught.value.status == 3
