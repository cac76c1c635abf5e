"""Files that appear whole or not at all, and files of samples."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that it is never seen half written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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


def read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """`x` (N, ...), numbers, and, where it is there, `y` (N,), classes, of a `.npz` file.

    Raises UsageError for anything else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            x, y = (np.asarray(archive[k]) if k in archive.files else None for k in ("x", "y"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
        raise UsageError(f"{path}: not a .npz file of plain arrays") from None
    if x is None or x.dtype.kind not in "fiu":
        raise UsageError(f"{path}: holds no array `x` of numbers")
    if y is not None and (y.dtype.kind not in "iu" or y.shape != x.shape[:1]):
        raise UsageError(f"{path}: y is {y.dtype}{y.shape}; one class number for each sample works")
    return x, y
