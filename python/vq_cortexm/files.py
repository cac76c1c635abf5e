"""Files that appear whole or not at all, and files of samples."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError, first_line

LARGEST_UNPACKED_BYTES = 1 << 30
"""Of a `.npz` file that is packed: far more could be asked for by a few bytes."""


_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2, "/dev/fd/1": 1, "/dev/fd/2": 2}
"""Opened by name, a file that one of them is redirected to would be written from its begin again,
and what is printed afterwards over it."""


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that it is never seen half written. A link stays, and what it points to is
    written. A device or a pipe is written to as it is. OSError, naming `path`, where it cannot be.
    """
    try:
        if str(path) in _STREAMS or _is_device(path):
            # a reader that has left wants no more
            with suppress(BrokenPipeError), open(_opened(path), "wb") as stream:
                stream.write(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _is_device(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _opened(path: Path) -> Path | int:
    number = _STREAMS.get(str(path))
    return path if number is None else os.dup(number)


def _replace(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def digest(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_tar(path: Path, members: Mapping[str, str]) -> None:
    """Writes a tar of texts, the same bytes for the same texts; UsageError where it cannot be."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(members):
            data = members[name].encode()
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes a `.npz` file of arrays by name; UsageError where it cannot be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def load_arrays(
    path: Path, names: Collection[str] | None = None
) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """What a `.npy` file holds, or a `.npz` file by name, of `names` alone where they are given.

    Raises UsageError for a file that cannot be read or holds anything else, and for one that is
    packed so that its arrays would take more than LARGEST_UNPACKED_BYTES.
    """
    try:
        _check_unpacked_size(path)
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            wanted = [n for n in loaded.files if names is None or n in names]
            arrays = {name: loaded[name] for name in wanted}
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or first_line(error)}") from None
    except UsageError:
        raise
    except Exception:  # numpy and zipfile raise many types, one for each kind of damage
        raise UsageError(f"{path}: not a .npy or .npz file of plain arrays") from None
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise UsageError(f"{path}: a member is no array")
    return arrays


def _check_unpacked_size(path: Path) -> None:
    """An array that is not packed takes no more than the file has."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(LARGEST_UNPACKED_BYTES, path.stat().st_size):
        raise UsageError(
            f"{path}: {unpacked >> 20} MiB when unpacked; "
            f"{LARGEST_UNPACKED_BYTES >> 20} MiB work, or any size that is not packed"
        )


def read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """`x` (N, ...), numbers, and, where it is there, `y` (N,), classes, of a `.npz` file.

    Raises UsageError for anything else.
    """
    arrays = load_arrays(path, ("x", "y"))
    if isinstance(arrays, np.ndarray):
        raise UsageError(f"{path}: not a .npz file, but one array; a .npz file with `x` works")
    x, y = arrays.get("x"), arrays.get("y")
    if x is None or x.dtype.kind not in "fiu":
        raise UsageError(f"{path}: holds no array `x` of numbers")
    if y is not None and (y.dtype.kind not in "iu" or y.shape != x.shape[:1]):
        raise UsageError(f"{path}: y is {y.dtype}{y.shape}; one class number for each sample works")
    return x, y
