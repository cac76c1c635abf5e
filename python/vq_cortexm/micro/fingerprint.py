"""By what a host knows which model a firmware holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from .app import APP_SOURCE

FINGERPRINT_BYTES = 8
_SUFFIXES = (".c", ".h", ".S")


def fingerprint_of_files(digests: Mapping[str, str]) -> bytes:
    """FINGERPRINT_BYTES of a model, from the SHA-256 of each of its files, as `metadata.json` has
    them under `files`: the first of the SHA-256 over lines `NAME DIGEST` of its C and assembly
    sources and headers, by name."""
    lines = "".join(
        f"{name} {digest}\n"
        for name, digest in sorted(digests.items())
        if name.endswith(_SUFFIXES) and name != APP_SOURCE
    )
    return hashlib.sha256(lines.encode()).digest()[:FINGERPRINT_BYTES]


def fingerprint_of_folder(model_dir: Path) -> bytes:
    """`fingerprint_of_files` of a generated model's folder."""
    return fingerprint_of_files(
        {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in model_dir.iterdir()
            if path.suffix in _SUFFIXES
        }
    )
