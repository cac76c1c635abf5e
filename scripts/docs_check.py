"""Say of every code block and every table of figures in the documentation what checks it.

`python scripts/docs_check.py` (`make docs-check`) prints one line for each, and ends with status 1
if a block is on no list, if a command does not exist, or if a page is listed that has none:

- blocks of a language are run, or compiled, by the test that `RUN` names;
- blocks of no language are shown: each command in them, and in the text, must exist with its
  options; those of `vq-cortexm` are run by the test that `SHOWN` names, or `NOT_RUN` says why not;
  what has no command is a drawing, a form of data or an output;
- tables with figures are written or compared by what `FIGURES` names.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docs_blocks import ROOT, Block, blocks, inline_code, pages
from docs_commands import is_command, problem

RUN = {
    "README.md": "tests/python/docs/test_pages.py",
    "docs/tutorial.md": "tests/python/docs/test_pages.py",
    "docs/kernels.md": "tests/python/docs/test_pages.py",
    "docs/memory_plan.md": "tests/python/docs/test_pages.py",
    "docs/numbers.md": "tests/python/docs/test_pages.py",
    "docs/howto/bcnet_data.md": "tests/python/docs/test_pages.py",
    "docs/howto/fit_64k.md": "tests/python/docs/test_pages.py",
    "docs/howto/from_cmsis_nn.md": "tests/python/docs/test_pages.py",
    "docs/howto/from_tflite_micro.md": "tests/python/docs/test_pages.py",
    "docs/howto/new_core.md": "tests/python/docs/test_quoted.py",
    "docs/howto/new_operator.md": "tests/python/docs/test_quoted.py",
    "docs/farm.md": "tests/python/farm/test_document.py",
    "docs/link.md": "tests/python/micro/test_docs_link.py",
    "docs/micro.md": "tests/python/test_docs_micro.py",
    "docs/new_board.md": "tests/python/micro/test_new_board.py",
    "docs/pytorch.md": "tests/python/docs/test_pytorch.py",
    "docs/relay.md": "tests/python/docs/test_docs_relay.py",
    "docs/training.md": "tests/python/docs/test_training.py",
}
"""Page → the test that runs its blocks of a language."""
SHOWN = {
    "README.md": "tests/python/docs/test_shown_commands.py",
    "docs/bcnet.md": "tests/python/docs/test_shown_commands.py",
    "docs/fit.md": "tests/python/docs/test_shown_commands.py",
    "docs/howto/ci_gate.md": "tests/python/docs/test_shown_commands.py",
    "docs/larq.md": "tests/python/docs/test_shown_commands.py",
    "docs/layer_diff.md": "tests/python/docs/test_shown_commands.py",
    "docs/pytorch.md": "tests/python/docs/test_pytorch.py",
    "docs/report.md": "tests/python/docs/test_shown_commands.py",
    "docs/tuning.md": "tests/python/docs/test_shown_commands.py",
    "docs/vq.md": "tests/python/docs/test_shown_commands.py",
    "examples/cifar10/README.md": "tests/python/docs/test_shown_commands.py",
    "examples/fer2013/README.md": "tests/python/docs/test_shown_commands.py",
    "examples/spoken_digits/README.md": "tests/python/docs/test_shown_commands.py",
}
"""Page → the test that runs what its blocks of no language show of `vq-cortexm`."""
NOT_RUN = {
    "docs/boards.md": "takes a board",
    "docs/design.md": "the forms of all verbs",
    "docs/new_board.md": "takes the board that the page adds: tests/python/micro/test_new_board.py",
    "docs/tutorial.md": "takes a board",
}
"""Page → why what its blocks of no language show of `vq-cortexm` is not run."""
RECIPES = "take data sets; tests/python/examples/test_recipes.py trains on drawn ones"
OTHERS = {
    "CONTRIBUTING.md": "targets of the Makefile, which scripts/verify.py and every check run",
    "README.md": "targets of the Makefile, which scripts/verify.py and every check run",
    "docs/boards.md": "take a board",
    "docs/howto/new_core.md": "tests, which scripts/verify.py runs",
    "docs/new_board.md": "tests, which scripts/verify.py runs",
    "examples/bcnet/README.md": RECIPES.replace("recipes", "bcnet"),
    "examples/cifar10/README.md": RECIPES,
    "examples/digits/README.md": "trained anew by tests/python/examples/test_digits.py",
    "examples/fer2013/README.md": RECIPES,
    "examples/spoken_digits/README.md": RECIPES,
}
"""Page → what runs the commands of other programs in its blocks of no language."""
FIGURES = {
    "README.md": "compared with docs/vq.md, performance.md by tests/python/docs/test_figures.py",
    "docs/bcnet.md": "written by benchmarks/bcnet.py",
    "docs/boards.md": "compared with the code by tests/python/micro/test_boards_page.py",
    "docs/farm.md": "written by benchmarks/farm.py",
    "docs/fit.md": "written by benchmarks/fit.py",
    "docs/link.md": "written by benchmarks/link.py",
    "docs/mlperf_tiny.md": "written by benchmarks/mlperf_tiny.py",
    "docs/new_board.md": "facts of a part, tried by tests/python/micro/test_new_board.py",
    "docs/new_user.md": "written by scripts/new_user.py",
    "docs/performance.md": "written by benchmarks/performance.py",
    "docs/protocol.md": "sizes, within the bounds of tests/python/micro/test_rpc_boards.py",
    "docs/quantization.md": "written by benchmarks/quantization.py",
    "docs/reliability.md": "written by benchmarks/fuzz_readers.py, benchmarks/static_analysis.py",
    "docs/tuning.md": "written by benchmarks/tuning.py",
    "docs/verify.md": "written by scripts/verify.py",
    "docs/vq.md": "written by benchmarks/virtual_quantization.py",
    "examples/bcnet/README.md": "nets compared by tests/python/examples/test_bcnet.py",
    "examples/cifar10/README.md": "written by examples/cifar10/train.py --record",
    "examples/digits/README.md": "accuracies compared by tests/python/examples/test_digits.py",
    "examples/fer2013/README.md": "written by examples/fer2013/train.py --record",
    "examples/spoken_digits/README.md": "written by examples/spoken_digits/train.py --record",
}
"""Page → what writes or compares its tables of figures."""
_FIGURE = re.compile(r"^\|.*\|\s*\**[+-]?[\d,.]*\d[\d,.]*(?: ?[MKB%×]\w*)?\**\s*\|", re.MULTILINE)


def main() -> int:
    """Check all pages; the status."""
    problems: list[str] = []
    for page in pages():
        name = page.relative_to(ROOT).as_posix()
        for block in blocks(page):
            print(f"{name}:{block.line}: {verdict(name, block, problems)}")
        for line, code in inline_code(page):
            said = problem(code, whole=False) if is_command(code) and " " in code else None
            if said:
                problems.append(f"{name}:{line}: `{code}`: {said}")
        has_figures = bool(_FIGURE.search(page.read_text(encoding="utf-8")))
        if has_figures and name in FIGURES:
            print(f"{name}: figures: {FIGURES[name]}")
        elif has_figures:
            problems.append(f"{name}: has a table of figures and is not in FIGURES")
        elif name in FIGURES:
            problems.append(f"{name}: is in FIGURES and has no table of figures")
    problems += unknown_files()
    for line in problems:
        print(f"docs-check: {line}", file=sys.stderr)
    return 1 if problems else 0


def verdict(name: str, block: Block, problems: list[str]) -> str:
    """What checks a block."""
    where = f"{name}:{block.line}"
    if block.language:
        if name in RUN:
            return f"{block.language}, run by {RUN[name]}"
        problems.append(f"{where}: a block of {block.language} that is on no list")
        return "on no list"
    text = re.sub(r"\\\n\s*", "", block.text)
    commands = [line for line in text.splitlines() if is_command(line)]
    for line in commands:
        said = problem(line)
        if said:
            problems.append(f"{where}: {line.strip()}: {said}")
    if not commands:
        return "shown: no command"
    shown = [f"shown: {len(commands)} command{'' if len(commands) == 1 else 's'} exist"]
    ours = {line.startswith("vq-cortexm") for line in commands}
    if True in ours and name in SHOWN:
        shown.append(f"run by {SHOWN[name]}")
    elif True in ours and name in NOT_RUN:
        shown.append(f"not run: {NOT_RUN[name]}")
    elif True in ours:
        problems.append(f"{where}: commands of vq-cortexm that are on no list")
    if False in ours and name in OTHERS:
        shown.append(OTHERS[name])
    elif False in ours:
        problems.append(f"{where}: commands of other programs that are on no list")
    return "; ".join(shown)


def unknown_files() -> list[str]:
    """Pages and checks that are listed and not there."""
    named = [*RUN, *SHOWN, *NOT_RUN, *OTHERS, *FIGURES, *RUN.values(), *SHOWN.values()]
    said = [*NOT_RUN.values(), *OTHERS.values(), *FIGURES.values()]
    named += [part for text in said for part in re.findall(r"[\w/]+\.py", text)]
    return [f"{name}: is listed and not there" for name in named if not Path(ROOT, name).exists()]


if __name__ == "__main__":
    sys.exit(main())
