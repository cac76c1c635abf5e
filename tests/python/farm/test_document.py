"""docs/farm.md: its commands and its Python, as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from command_line import SECONDS, SHAPE, one_convolution
from farm_servers import until

import vq_cortexm
from vq_cortexm.farm.tracker import Address, Tracker
from vq_cortexm.frontend import from_tflite

TEXT = (Path(__file__).parents[3] / "docs/farm.md").read_text(encoding="utf-8")
TRACKER, SERVE, CLIENT = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
(PYTHON,) = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@contextmanager
def running(command: str, said: Path) -> Iterator[Path]:
    """In the background; its processes are killed at the end. What it says."""
    with said.open("wb") as output:
        process = psutil.Popen(words(command), stdout=output, stderr=output)
    try:
        yield said
    finally:
        for one in [*process.children(recursive=True), process]:
            one.kill()
        process.wait()


def words(command: str) -> list[str]:
    """With this Python."""
    first, *others = shlex.split(command)
    python = [sys.executable, *(["-m", "vq_cortexm"] if first == "vq-cortexm" else [])]
    assert first in ("python", "vq-cortexm")
    return [*python, *others]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[int]:
    """The port of the tracker, at which the server is."""
    # whatever is free there: 9190 may not be
    anywhere = TRACKER.strip().replace("--port 9190", "--port 19190 --port-end 20190")
    with running(anywhere, tmp_path / "tracker.log") as log:
        until(lambda: "bind to" in log.read_text())
        found = re.search(r"bind to 127\.0\.0\.1:(\d+)", log.read_text())
        assert found
        port = int(found[1])
        with running(SERVE.replace("9190", found[1]), tmp_path / "server.log"):
            until(lambda: registered(port) == 2)
            yield port


def registered(port: int) -> int:
    with Tracker(Address("127.0.0.1", port)) as tracker:
        return len(tracker.servers("vq-cortexm/mps2-an386"))


def test_what_the_document_says_works(
    farm: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.tflite").write_bytes(one_convolution())
    query, tune = CLIENT.replace("9190", str(farm)).replace("MODEL", "net.tflite").splitlines()
    assert "vq-cortexm/mps2-an386" in output(query)
    assert "mine.jsonl" in output(tune)
    assert Path("mine.jsonl").read_text().count("schedule") == 20

    names: dict[str, Any] = {
        "compiled": vq_cortexm.build(from_tflite(one_convolution())),
        "sample": np.zeros(SHAPE, np.int8),
    }
    exec(PYTHON.replace("9190", str(farm)), names)
    assert names["result"].bit_exact is True


def output(command: str) -> str:
    completed = subprocess.run(words(command), capture_output=True, text=True, timeout=SECONDS)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout
