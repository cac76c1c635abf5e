"""Programs that only note how they were called."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_SCRIPT = """#!{python}
import json, sys, time
with open({calls!r}, "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
print({said!r})
while {endless}:
    time.sleep(1)
sys.exit({status})
"""


def write_tool(path: Path, said: str = "", *, status: int = 0, endless: bool = False) -> None:
    """A program at `path` that says this and ends with this status, or never."""
    calls = str(_calls(path))
    path.write_text(
        _SCRIPT.format(
            python=sys.executable, calls=calls, said=said, endless=endless, status=status
        )
    )
    path.chmod(0o755)


def recorded(path: Path) -> list[list[str]]:
    """The arguments of each call of the program at `path`."""
    calls = _calls(path)
    return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


def _calls(path: Path) -> Path:
    return path.with_name(f"{path.name}.calls")
