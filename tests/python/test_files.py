"""Files of arrays: what is read, and what is refused in bounded memory."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vq_cortexm import files
from vq_cortexm.errors import UsageError
from vq_cortexm.files import load_arrays, read_arrays, write_atomically


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_arrays(path)
    return str(caught.value)


def test_arrays_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.arange(3), y=np.arange(3), more=np.array([None]))
    arrays = load_arrays(path, ("x",))
    assert isinstance(arrays, dict)
    assert list(arrays) == ["x"]
    # what nobody asks for is not read, so it may be anything
    x, y = read_arrays(path)
    assert y is not None
    np.testing.assert_array_equal(x, y)
    assert "plain arrays" in refused(path)


def test_one_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(3))
    np.testing.assert_array_equal(load_arrays(tmp_path / "x.npy"), np.arange(3))
    with pytest.raises(UsageError, match="but one array"):
        read_arrays(tmp_path / "x.npy")


def test_a_member_that_is_no_array(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.txt", "text")
    assert "a member is no array" in refused(tmp_path / "x.npz")


def test_few_bytes_do_not_become_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is unpacked; a file that is not packed may be of any size."""
    monkeypatch.setattr(files, "LARGEST_UNPACKED_BYTES", 1 << 20)
    zeros = np.zeros(1 << 20, np.int8)
    np.savez_compressed(tmp_path / "packed.npz", x=zeros)
    assert "1 MiB when unpacked; 1 MiB work" in refused(tmp_path / "packed.npz")
    np.savez(tmp_path / "plain.npz", x=zeros)
    assert read_arrays(tmp_path / "plain.npz")[0].size == zeros.size


def test_a_header_that_asks_for_too_much(tmp_path: Path) -> None:
    stream = io.BytesIO()
    shape = {"descr": "|i1", "fortran_order": False, "shape": (1 << 60,)}
    np.lib.format.write_array_header_1_0(stream, shape)
    (tmp_path / "x.npy").write_bytes(stream.getvalue())
    assert "plain arrays" in refused(tmp_path / "x.npy")


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link, loop = (tmp_path / "below" / "target", tmp_path / "link", tmp_path / "loop")
    target.parent.mkdir()
    link.symlink_to("below/target")
    loop.symlink_to("loop")
    for data in (b"first", b"second"):  # at first there is no target
        write_atomically(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    with pytest.raises(OSError, match=r"symbolic links.*loop'$"):
        write_atomically(loop, b"")
    assert loop.is_symlink()


def test_a_pipe_stays_and_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # both ends are open, so that neither waits for the other
    both = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    write_atomically(pipe, b"text")
    assert os.read(both, 99) == b"text"
    os.close(both)
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def read_once() -> None:
        with open(pipe, "rb", buffering=0) as stream:
            stream.read(1)

    reader = threading.Thread(target=read_once, daemon=True)
    reader.start()
    write_atomically(pipe, bytes(1 << 20))
    assert pipe.is_fifo()
    reader.join()


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "Is a directory"), (tmp_path / "none" / "x", "No such file")):
        with pytest.raises(OSError, match=said) as caught:
            write_atomically(path, b"")
        assert caught.value.filename == str(path)
    assert [*tmp_path.iterdir()] == []


def test_standard_output_by_its_name(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the link in /dev is out of reach
    monkeypatch.setattr(files, "_replace", None)
    for name in ("/dev/stdout", "/dev/fd/1"):
        write_atomically(Path(name), b"text")
        assert capfd.readouterr().out == "text"
