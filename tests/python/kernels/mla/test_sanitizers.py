"""The twins under the address and undefined-behaviour sanitizers. These also find words that are
read where none start: hardware refuses that to Armv6-M, its emulator does not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from nary_net import levels_of, nary_net
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.micro.host import build_host_library, sanitizer_environment

FAMILIES = {
    "tiny_residual": {"lanes_conv", "lanes_pack", "lanes_depthwise", "lanes_plane"},
    "tiny_classifier": {"lanes_conv", "lanes_pack", "dense_fours"},
}


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m0"])
@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_found(name: str, core: str, tmp_path: Path) -> None:
    compiled = build_folded(TINY_MODELS[name](), f"vq-cortexm/{core}", name="tiny")
    kernels = [k.family for each in compiled.program.micro_kernels.values() for k in each]
    assert set(kernels) == FAMILIES[name]
    run_sanitized(compiled, tmp_path)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m3", "cortex-m0"])
@pytest.mark.parametrize("realisation", ["hybrid", "codebook"])
def test_decoders(realisation: Any, core: str, tmp_path: Path) -> None:
    module = nary_net(levels_of(21, realisation == "codebook", 1), realisation)
    run_sanitized(build_folded(module, f"vq-cortexm/{core}", name="tiny"), tmp_path)


def run_sanitized(compiled: CompiledModel, tmp_path: Path) -> None:
    library = build_host_library(compiled.export(tmp_path / "m"), tmp_path / "b", sanitize=True)
    size = compiled.model_io.input_bytes
    script = f"""
        from pathlib import Path
        from vq_cortexm.micro.app import IoTensor, ModelIo
        from vq_cortexm.micro.host import HostModel
        io = {compiled.model_io!r}
        HostModel(Path({str(library)!r}), io).run([bytes(i * 7 % 256 for i in range({size}))])
    """
    environment = dict(os.environ, **sanitizer_environment(), PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, "-c", textwrap.dedent(script)]
    completed = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
