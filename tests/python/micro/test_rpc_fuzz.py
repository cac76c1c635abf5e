"""libFuzzer on the device's side of the link (tests/c/rpc/fuzz.c), under sanitizers."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from fake_model import replace
from rpc_link import SESSION, Kind, body, stuffed

from vq_cortexm.resources import resource_dir

SECONDS = 600
"""Of the long run, in `make verify`."""
RUNS = 20_000
"""Inputs of the short one."""

SOURCES = Path(__file__).parents[2] / "c" / "rpc"
FLAGS = (
    *("-std=c11", "-g", "-O1", "-fsanitize=fuzzer,address,undefined"),
    *("-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-attributes"),
    "-DVQ_RPC_PAYLOAD=256",
)


RUNTIME = resource_dir("runtime")
SERVER = RUNTIME / "rpc" / "server.c"


def build_fuzzer(server: Path, folder: Path) -> Path:
    program = folder / "fuzz"
    sources = [SOURCES / "fuzz.c", SOURCES / "device.c", server, RUNTIME / "firmware" / "bench.c"]
    sources += [RUNTIME / "rpc" / name for name in ("frames.c", "layers.c")]
    includes = [f"-I{RUNTIME / folder}" for folder in ("include", "rpc")]
    subprocess.run(["clang", *FLAGS, *includes, "-o", program, *sources], check=True)
    return program


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_fuzzer(SERVER, tmp_path_factory.mktemp("fuzzer"))


def requests() -> list[bytes]:
    """One of each kind and more, all of one session."""
    load = [struct.pack("<HHI", index, 0, 0) for index in range(2)]
    asked = [
        (Kind.HELLO, struct.pack("<H", 1)),
        (Kind.LOAD, load[0] + b"\1\2\3\4\5"),
        (Kind.LOAD, load[1] + bytes(range(200))),
        (Kind.LOAD, struct.pack("<HHI", 1, 0, 200) + bytes(100)),
        (Kind.RUN, struct.pack("<I", 2)),
        (Kind.READ, struct.pack("<HHI", 0, 7, 0)),
        (Kind.READ, struct.pack("<HHI", 1, 256, 1244)),
        (Kind.LAYERS, struct.pack("<H", 0)),
        (Kind.LAYERS, struct.pack("<H", 64)),
        (Kind.COUNTERS, b""),
        (Kind.THRESHOLD, struct.pack("<HHi", 2, 1, -5)),
        (Kind.LOAD, load[0] + b"\xf0"),
        (Kind.RUN, struct.pack("<I", 1)),
        (Kind.LOAD, load[0] + b"\xf1"),
        (Kind.RUN, struct.pack("<I", 1)),
        (Kind.HELLO, struct.pack("<H", 1)),
        (Kind.RESET, b""),
    ]
    return [body(kind, data, SESSION, number) for number, (kind, data) in enumerate(asked)]


def write_corpus(folder: Path) -> None:
    """Both ways in which the fuzzer takes its inputs, from whole sessions to single requests."""
    folder.mkdir()
    with_length = [bytes([len(request)]) + request for request in requests()]
    for count in range(1, len(with_length) + 1):
        (folder / f"requests_{count}").write_bytes(b"\1" + b"".join(with_length[:count]))
        (folder / f"pair_{count}").write_bytes(b"\1" + with_length[0] + with_length[count - 1])
    line = [stuffed(request) for request in requests()]
    (folder / "line").write_bytes(b"\0" + b"".join(line))
    (folder / "damaged").write_bytes(b"\0" + b"".join(frame[:-3] + b"\0" for frame in line))
    (folder / "too_long").write_bytes(b"\0" + stuffed(bytes(range(256)) * 2) + line[0])


def fuzz(fuzzer: Path, folder: Path, *limits: str) -> subprocess.CompletedProcess[str]:
    write_corpus(folder / "corpus")
    return subprocess.run(
        [fuzzer, folder / "corpus", *limits, "-seed=1", "-max_len=4096", "-timeout=20"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def assert_clean(completed: subprocess.CompletedProcess[str]) -> None:
    assert completed.returncode == 0, completed.stderr[-4000:]
    assert "DONE" in completed.stderr


def test_many_inputs(fuzzer: Path, tmp_path: Path) -> None:
    assert_clean(fuzz(fuzzer, tmp_path, f"-runs={RUNS}"))


@pytest.mark.slow
def test_for_ten_minutes(fuzzer: Path, tmp_path: Path) -> None:
    assert_clean(fuzz(fuzzer, tmp_path, f"-max_total_time={SECONDS}"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("offset <= size && ", "", "AddressSanitizer"),
        ("(uint8_t)(kind + ANSWER)", "kind", "deadly signal"),
    ],
)
def test_what_is_wrong_is_found(old: str, new: str, message: str, tmp_path: Path) -> None:
    server = tmp_path / "server.c"
    replace(Path(shutil.copy(SERVER, server)), old, new)
    completed = fuzz(build_fuzzer(server, tmp_path), tmp_path, f"-runs={RUNS}")
    assert completed.returncode != 0
    assert message in completed.stderr
