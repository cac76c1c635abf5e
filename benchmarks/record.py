"""Part of a page that a benchmark writes: from a line that names it to the next heading."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def check_record(page: Path, line: str) -> None:
    """Ends the program where a page has no such line."""
    if line not in page.read_text(encoding="utf-8").splitlines():
        sys.exit(f"{page}: no line {line}")


def write_record(page: Path, line: str, text: str) -> None:
    """Replaces what is behind the line."""
    check_record(page, line)
    place = re.compile(rf"^{re.escape(line)}\n.*?(?=^#|\Z)", re.MULTILINE | re.DOTALL)
    old = page.read_text(encoding="utf-8")
    page.write_text(place.sub(lambda _: f"{line}\n\n{text.rstrip()}\n\n", old), encoding="utf-8")
