"""How the command ends: refused by the system, read by nobody, or told to end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import SECONDS, Run, fail, succeed
from fake_tools import recorded, write_tool

FULL = Path("/dev/full")


_WRONG = """
from vq_cortexm import cli, reference

def wrong(module, sample, right=reference.reference_answer):
    outputs, path = right(module, sample)
    return tuple(y + 1 for y in outputs), path

reference.reference_answer = wrong
cli.main()
"""
"""The command, with a reference that no board agrees with."""


def shell(
    line: str, folder: Path | None = None, program: str | Path = "-mvq_cortexm"
) -> tuple[int, str, str]:
    """Status of `vq`, this command in a line of a shell, and what the line printed."""
    script = f'program=$1; vq() {{ "$0" "$program" "$@"; }}; {line}; exit ${{PIPESTATUS[0]}}'
    completed = subprocess.run(
        ["bash", "-c", script, sys.executable, program],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=folder,
    )
    return completed.returncode, completed.stdout, completed.stderr


@pytest.mark.parametrize("arguments", ["boards --json", "boards", "--help", ""])
def test_a_reader_that_leaves_is_no_failure(arguments: str) -> None:
    assert shell(f"vq {arguments} | true") == (0, "", "")


def test_a_closed_pipe_hides_no_status() -> None:
    assert shell("vq frobnicate 2>&1 | true") == (2, "", "")


def test_a_failed_check_is_one_though_nobody_reads(model: Path, tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(_WRONG)
    run = f"vq run {model} --board host"
    assert shell(f"{run} | true", program=program) == (0, "", "")
    assert shell(f"{run} --check | true", program=program) == (1, "", "")
    assert shell(f"{run} --check --json | true", program=program) == (1, "", "")


@pytest.mark.parametrize("arguments", ["boards --json", "boards"])
def test_a_full_device_is_one_line(arguments: str) -> None:
    assert FULL.is_char_device()
    said = "vq-cortexm: error: standard output: No space left on device\n"
    assert shell(f"vq {arguments} >{FULL}") == (2, "", said)


def test_streams_that_are_closed_already() -> None:
    assert shell("vq boards >&-") == (0, "", "")
    assert shell("vq frobnicate 2>&-") == (2, "", "")


def test_what_the_system_refuses_names_the_file(here: Run, model: Path, tmp_path: Path) -> None:
    name = "n" * 300
    line = fail(2, "report", name, "--json", run=here)
    assert line.endswith(f" {name}: File name too long")
    (tmp_path / "out" / "firmware.elf").mkdir(parents=True)
    line = fail(2, "compile", model, "-o", tmp_path / "out", "--board", "mps2-an386", run=here)
    assert line.endswith(f" {tmp_path}/out/firmware.elf: Is a directory")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name[0] == "."] == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (PermissionError(errno.EACCES, "No", b"/a\n\xff"), "/a\\n\\udcff: No"),
        (OSError(errno.ENOSPC, "No space left on device"), "TMPDIR names another"),
        (ConnectionResetError(errno.ECONNRESET, "Reset"), "Reset; run again with `vq-cortexm"),
        (OSError("odd"), "odd; run again with `vq-cortexm --debug`"),
    ],
    ids=["file", "odd name", "full", "no file", "no number"],
)
def test_errors_of_the_system_are_one_line(
    error: OSError, said: str, here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr("vq_cortexm.report.tables.describe_boards", refuse)
    assert said in fail(2, "boards", "--json", run=here)


def test_outputs_to_standard_output(model: Path, tmp_path: Path) -> None:
    # not /dev/stdout, a link that root could lose to a defect; see test_files.py
    succeed("compile", model, "-o", tmp_path / "out")
    succeed("report", tmp_path / "out", "--markdown", tmp_path / "table.md")
    written = (tmp_path / "table.md").read_text() + "/dev/fd/1\n"
    (tmp_path / "log").write_text("before\n")
    report = "vq report out --markdown /dev/fd/1"
    assert shell(report, tmp_path) == (0, written, "")
    assert shell(f"{report} >>log", tmp_path) == (0, "", "")
    assert (tmp_path / "log").read_text() == f"before\n{written}"
    assert shell(f"{report} | true", tmp_path) == (0, "", "")


def test_a_terminated_run_leaves_no_temporary_files(model: Path, tmp_path: Path) -> None:
    tools, temporary = tmp_path / "bin", tmp_path / "temporary"
    for folder in (tools, temporary):
        folder.mkdir()
    emulator = tools / "qemu-system-arm"
    write_tool(emulator, endless=True)
    places = {"PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "vq_cortexm", "run", str(model), "--board", "mps2-an386"]
    with subprocess.Popen(command, env={**os.environ, **places}) as process:
        try:
            end = time.monotonic() + SECONDS
            while not recorded(emulator) and process.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            assert recorded(emulator)
            assert [*temporary.iterdir()]
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert [*temporary.iterdir()] == []
