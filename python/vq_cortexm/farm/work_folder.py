"""One folder for all temporary files of a process, which a later process removes if need be."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "vq-serve-"
_LOCK = "lock"


@contextmanager
def work_folder() -> Iterator[Path]:
    """Inside, temporary files of this process and of those it starts lie in a folder of its own,
    which goes with its end. Folders of processes that were killed go first.

    A lock tells them apart: whoever dies loses it.
    """
    base = Path(tempfile.gettempdir())
    _remove_abandoned(base)
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with _locked_folder(base) as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before[0]
            os.environ.pop("TMPDIR")
            if before[1] is not None:
                os.environ["TMPDIR"] = before[1]
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked_folder(base: Path) -> Iterator[Path]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # another process may have had the lock first, and taken the folder for abandoned
            if (folder / _LOCK).exists():
                yield folder
                return


def _remove_abandoned(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        # another user's, or one that another process removes at the same moment
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
