"""What cppcheck and clang's analyzer say of generated C and of the firmware.

    python benchmarks/static_analysis.py [--record docs/reliability.md]

A drawn model of every kind of layer is compiled, as it is shipped and as a debug build. Prints a
table, and all that the tools say; exit status 1 if they say anything. `--record PAGE` puts that
into a page, between the line RECORD and the next heading.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))

from analyzers import Analysis, analyze_firmware, analyze_models
from drawn.models import KINDS

from document import count, table
from record import check_record, write_record
from vq_cortexm.micro.toolchain import tool_version

RECORD = "<!-- written by benchmarks/static_analysis.py -->"


def main() -> int:
    """Analyzes all; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path, help="a page that gets the table")
    options = parser.parse_args()
    if options.record:
        check_record(options.record, RECORD)
    with tempfile.TemporaryDirectory() as folder:
        models = analyze_models(KINDS, Path(folder))
    text = rendered(models, analyze_firmware())
    print(text)
    if options.record:
        write_record(options.record, RECORD, text)
    return 1 if "```" in text else 0


def rendered(models: Sequence[Analysis], firmware: Sequence[Analysis]) -> str:
    """The table, and behind it what the tools say."""
    by_clang = [each for each in models if each.tool == "clang"]
    (by_cppcheck,) = (each for each in models if each.tool == "cppcheck")
    generated = f"generated C of {len(by_clang)} models"
    rows = [
        _row("clang", generated, by_clang),
        _row("cppcheck", generated, [by_cppcheck]),
        *(_row(each.tool, each.what, [each]) for each in firmware),
    ]
    said = "".join(each.said for each in (*models, *firmware))
    tools = " and ".join(f"{tool} {tool_version(tool)}" for tool in ("clang", "cppcheck"))
    header = ["tool", "what", "C files", "lines", "findings"]
    lines = [f"`python benchmarks/static_analysis.py`, with {tools}:", "", table(header, rows), ""]
    return "\n".join([*lines, *([f"```\n{said}```", ""] if said else [])])


def _row(tool: str, what: str, analyses: Sequence[Analysis]) -> list[str]:
    findings = sum(len(re.findall(r"(?:warning|error):|^failed$", a.said, re.M)) for a in analyses)
    files = sum(len(analysis.files) for analysis in analyses)
    lines = sum(analysis.lines for analysis in analyses)
    return [tool, what, count(files), count(lines), count(findings)]


if __name__ == "__main__":
    sys.exit(main())
