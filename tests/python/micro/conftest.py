from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_model import APP, IO, write_model
from rpc_link import Link, process_link

from vq_cortexm.micro.app import AppSpec
from vq_cortexm.micro.firmware import Firmware, build_firmware, build_host_server
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


@pytest.fixture(scope="session")
def host_server(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake model behind the link, with two paths."""
    two_paths = AppSpec(dataclasses.replace(IO, thresholds=2), APP.sample)
    return build_host_server(model_dir, tmp_path_factory.mktemp("server") / "a build", two_paths)


@pytest.fixture
def link(host_server: Path) -> Iterator[Link]:
    with process_link(host_server) as link:
        yield link


@pytest.fixture
def session(link: Link) -> Link:
    link.hello()
    return link
