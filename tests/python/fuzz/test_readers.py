"""Damaged files are read, or refused in one line, whatever their bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from fuzz.campaign import draw
from fuzz.readers import READERS

FUZZER = Path(__file__).parents[3] / "benchmarks" / "fuzz_readers.py"
_FAULTS = """
import os, signal
from dataclasses import replace
from fuzz import campaign
from fuzz.readers import READERS
from vq_cortexm.errors import DeviceError, ModelError

def crash(folder): os.kill(os.getpid(), signal.SIGSEGV)
def loop(folder):
    while True: pass
def leave(folder):
    (folder / "half").write_text("written")
    raise ModelError("refused")
def take(folder):
    try: bytearray(2 * campaign.MEMORY_BYTES)
    except MemoryError as error: raise ModelError(f"refused: {type(error).__name__}")
def fail(folder): raise KeyError("x")
def other(folder): raise DeviceError("refused")
def refuse(folder): raise ModelError("a name\\nof two lines")

for read in (crash, loop, leave, take, fail, other, refuse):
    campaign.CPU_SECONDS = 0 if read is loop else 60
    READERS[read.__name__] = replace(READERS["recording"], read=read)
    kinds = [outcome.kind for outcome in campaign.run(read.__name__, 1, range(2))]
    print(read.__name__, *kinds, sep=", ")
"""


def fuzz(count: int, seed: int) -> list[str]:
    """The rows of the table."""
    completed = subprocess.run(
        [sys.executable, FUZZER, "--count", str(count), "--seed", str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout.splitlines()[2:]


def test_a_few_files_of_every_reader() -> None:
    rows = fuzz(12, 1)
    assert len(rows) == len(READERS)
    assert all("| 12 |" in row for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_files_of_every_reader(seed: int) -> None:
    assert len(fuzz(250, seed)) == len(READERS)


def test_what_goes_wrong_is_noticed() -> None:
    completed = subprocess.run(
        [sys.executable, "-c", _FAULTS],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    found = dict(line.split(", ", 1) for line in completed.stdout.splitlines())
    assert found == {
        "crash": "crash: SIGSEGV, crash: SIGSEGV",
        "loop": "slow, slow",
        "leave": "files left, files left",
        "take": "memory, memory",
        "fail": "exception, exception",
        "other": "status 4, status 4",
        "refuse": "refused, refused",
    }


@pytest.mark.parametrize("reader", READERS)
def test_files_that_are_not_damaged_are_read(reader: str, tmp_path: Path) -> None:
    for name, content in READERS[reader].seed(Random(5)).items():
        (tmp_path / name).write_bytes(content)
    READERS[reader].read(tmp_path)


def test_a_number_stands_for_a_file() -> None:
    for reader in ("tflite", "onnx-qdq", "relay", "npz", "library"):
        assert draw(reader, 3, 7) == draw(reader, 3, 7)
        assert draw(reader, 3, 7) != draw(reader, 3, 8)
