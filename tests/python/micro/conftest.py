from __future__ import annotations

from pathlib import Path

import pytest
from fake_model import APP, write_model

from vq_cortexm.micro.firmware import Firmware, build_firmware
from vq_cortexm.target import BOARDS

EMULATED = [board for board in BOARDS.values() if board.emulation == "qemu"]


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # a path with all that could confuse a build
    return write_model(tmp_path_factory.mktemp("fake") / "a model, with a comma")


@pytest.fixture(scope="session", params=EMULATED, ids=lambda board: board.name)
def firmware(
    request: pytest.FixtureRequest, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Firmware:
    build_dir = tmp_path_factory.mktemp("build") / "a build, too"
    return build_firmware(model_dir, request.param, build_dir, APP)
