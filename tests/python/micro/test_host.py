"""The generated C on this computer."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from fake_model import IO, Command, expected, replace, sample, write_model

from vq_cortexm.errors import DeviceError, UsageError
from vq_cortexm.micro.app import ModelIo
from vq_cortexm.micro.cmake import BuildError
from vq_cortexm.micro.host import HostModel, build_host_library, sanitizer_environment

CALLER_IO = ModelIo(IO.model, IO.inputs, IO.outputs, caller_io=True)


@pytest.fixture(scope="module")
def library(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_host_library(model_dir, tmp_path_factory.mktemp("host") / "a build, on the host")


@pytest.mark.parametrize("io", [IO, CALLER_IO], ids=["arena", "caller"])
def test_values(library: Path, io: ModelIo) -> None:
    samples = [sample(seed) for seed in range(1000)]
    assert HostModel(library, io).run(samples) == tuple(expected(data) for data in samples)


def test_an_error_of_the_model(library: Path) -> None:
    with pytest.raises(DeviceError, match="host: fake returned 7"):
        HostModel(library, IO).run([sample(1, Command.ERROR)])


def test_a_sample_of_a_wrong_size(library: Path) -> None:
    with pytest.raises(UsageError, match="a sample of 16 bytes, not 17"):
        HostModel(library, IO).run([sample(1)[:-1]])


def test_what_does_not_compile(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    replace(model / "fake_layers.c", "int32_t sum =", "int32_t total =")
    with pytest.raises(BuildError, match=r"fake_layers\.c:\d+:\d+: error: "):
        build_host_library(model, tmp_path / "build")


def run_sanitized(model: Path, build_dir: Path) -> subprocess.CompletedProcess[str]:
    library = build_host_library(model, build_dir, sanitize=True)
    script = f"""
        from pathlib import Path
        from fake_model import IO, expected, sample
        from vq_cortexm.micro.host import HostModel
        samples = [sample(seed) for seed in range(20)]
        results = HostModel(Path({str(library)!r}), IO).run(samples)
        assert results == tuple(expected(data) for data in samples)
    """
    environment = dict(os.environ, **sanitizer_environment())
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_under_sanitizers(model_dir: Path, tmp_path: Path) -> None:
    completed = run_sanitized(model_dir, tmp_path)
    assert completed.returncode == 0, completed.stderr


def test_sanitizers_find_what_is_wrong(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    replace(model / "fake_layers.c", "fake_weights[i]", "fake_weights[i + 1]")
    completed = run_sanitized(model, tmp_path / "build")
    assert completed.returncode != 0
    assert "global-buffer-overflow" in completed.stderr
