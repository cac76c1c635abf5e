"""Walk a new user's path in a fresh Debian, and write what it took to docs/new_user.md.

As root (`make new-user`): debootstrap makes a minimal Debian with what README asks for and no
more. There an ordinary user clones the last commit and types what README and the tutorial say; the
commands are read from the pages of the clone. The first that fails ends it with status 1 and its
last lines; without debootstrap the status is 3. It takes nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from docs_blocks import ROOT, Block, blocks, inline_code, run_blocks
from fresh_debian import HOME, PACKAGES, Debian, StepError, fresh, output

CHECKOUT = f"{HOME}/vq-cortexm"
OWN = f"{HOME}/own"
"""An environment of the user's own, README's second way to install."""
DIGITS = f"{HOME}/digits"
"""A folder of the user's own, where the tutorial is followed."""
TUTORIAL = "Tutorial"
RECORD = ROOT / "docs/new_user.md"
TOOLS = {"debootstrap": "debootstrap", "unshare": "util-linux", "git": "git"}
"""Program → its Debian package."""


@dataclass(frozen=True)
class Step:
    """Where it says so, what was typed, as Markdown, and the time it took."""

    where: str
    typed: str
    seconds: float


def said_between(page: Path, begin: int, end: int) -> list[str]:
    """Commands within a page's text, from one line up to another."""
    firsts = {"make", "pip", "vq-cortexm", "."}
    return [
        code
        for line, code in inline_code(page)
        if begin <= line < end and code.partition(" ")[0] in firsts
    ]


def quick_start(readme: Path) -> tuple[str, list[str]]:
    """README's first command, and how it says to install into an environment of one's own."""
    first, second = blocks(readme)[:2]
    command = first.text.splitlines()[0].partition("#")[0].strip()
    return command, said_between(readme, first.line, second.line)


def tutorial_begins(tutorial: Path) -> list[str]:
    """What the tutorial says to type before its first block; the last command activates .venv."""
    return said_between(tutorial, 0, blocks(tutorial)[0].line)


def where(name: str, block: Block) -> str:
    """A page's name and the heading above a block, if there is one."""
    lines = block.page.read_text(encoding="utf-8").splitlines()[: block.line]
    above = [line.lstrip("# ") for line in lines if line.startswith("## ")]
    return ": ".join([name, *above[-1:]])


def typed(block: Block) -> str:
    """The commands of a block, or how long it is, as Markdown."""
    lines = block.text.splitlines()
    if block.language == "python":
        return f"{len(lines)} lines of Python"
    return "<br>".join(f"`{line}`" for line in lines)


def walk(debian: Debian) -> list[Step]:
    """Type it all, in order; StepError with the place and the command that failed."""
    steps: list[Step] = []

    def take(said: str, shown: str, script: str) -> None:
        print(f"{said}: {shown}", flush=True)
        begun = time.monotonic()
        try:
            debian.run("bash", "-ec", script)
        except StepError as error:
            raise StepError(f"{said}: {shown}: {error}") from None
        steps.append(Step(said, shown, time.monotonic() - begun))
        print(f"    {steps[-1].seconds:.1f} s", flush=True)

    def take_blocks(name: str, page: Path, place: str, entered: str) -> None:
        def take_block(block: Block, command: list[str]) -> None:
            take(where(name, block), typed(block), f"{entered}\n{shlex.join(command)}")

        run_blocks(page, debian.path(place), take_block)

    clone = f"git clone /srv/vq-cortexm.bundle {CHECKOUT}"
    take("a checkout", f"`{clone}`", clone)
    readme = debian.path(f"{CHECKOUT}/README.md")
    tutorial = debian.path(f"{CHECKOUT}/docs/tutorial.md")

    name = where("README", blocks(readme)[0])
    demo, install = quick_start(readme)
    take(name, f"`{demo}`", f"cd {CHECKOUT}\n{demo}")
    own = f"python3 -m venv {OWN}"
    take(name, f"`{own}`", own)
    entered = f". {OWN}/bin/activate\ncd {CHECKOUT}"
    for command in install:
        take(name, f"`{command}`", f"{entered}\n{command}")
    take_blocks("README", readme, CHECKOUT, entered)

    *set_up, activate = tutorial_begins(tutorial)
    for command in set_up:
        take(TUTORIAL, f"`{command}`", f"cd {CHECKOUT}\n{command}")
    debian.run("mkdir", DIGITS)
    take_blocks(TUTORIAL, tutorial, DIGITS, f"cd {CHECKOUT}\n{activate}\ncd {DIGITS}")
    return steps


def megabytes(folder: Path) -> int:
    """What a folder takes on disk."""
    return int(output("du", "--summarize", "--block-size=MB", str(folder)).partition("MB")[0])


def record(debian: Debian, system_mb: int, load: float, steps: list[Step]) -> str:
    """docs/new_user.md; `system_mb`, of /usr, and `load` were measured before the first step."""
    log = "git", "-C", CHECKOUT, "log", "-1", "--date=short", "--format=%h of %cd"
    version = debian.path("/etc/debian_version").read_text(encoding="utf-8").strip()
    local = ["Packages that pip's settings have in a folder came from there, not over the network."]
    tutorial = [step for step in steps if step.where.startswith(TUTORIAL)]
    sizes = {
        "the minimal Debian": system_mb,
        "system packages that the set-up adds": megabytes(debian.path("/usr")) - system_mb,
        "`.venv` with all extras": megabytes(debian.path(f"{CHECKOUT}/.venv")),
        "an environment after `pip install .`": megabytes(debian.path(OWN)),
    }
    lines = [
        "# A new user's path",
        "",
        f"Written by `make new-user` (`scripts/new_user.py`). Commit {debian.run(*log).strip()}.",
        "",
        f"In a fresh, minimal Debian {version} with `{' '.join(PACKAGES)}` and nothing else, an",
        "ordinary user who may use `sudo` clones the repository and types what README and the",
        "[tutorial](tutorial.md) say. The script reads the commands from the pages of that clone",
        "and ends at the first that fails: none did. `make demo` and `make setup` install what",
        "they need.",
        "",
        "The seconds depend on the computer, on the network and on what else runs: here there are",
        f"{os.cpu_count()} cores, and the load average was {load:.1f} at the beginning.",
        *local * bool(debian.folders),
        "",
        "| where | typed | seconds |",
        "| --- | --- | ---: |",
        *(f"| {step.where} | {step.typed} | {step.seconds:.1f} |" for step in steps),
        f"| the tutorial | | {sum(step.seconds for step in tutorial):.0f} |",
        f"| all | | {sum(step.seconds for step in steps):.0f} |",
        "",
        "| on disk | MB |",
        "| --- | ---: |",
        *(f"| {name} | {size:,} |" for name, size in sizes.items()),
    ]
    return "\n".join(lines) + "\n"


def refusal(folder: Path | None) -> tuple[int, str] | None:
    """Status and line where it cannot begin."""
    if os.geteuid():
        return 2, "needs root, for debootstrap and chroot"
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            return 3, f"{tool} is missing: apt-get install {package}"
    if folder and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return 2, f"{folder} is there, and no empty folder"
    return None


def main(words: list[str] | None = None) -> int:
    """Make the Debian, walk, write the page; the status."""
    parser = argparse.ArgumentParser(prog="new_user.py", description="Walk a new user's path.")
    parser.add_argument("--folder", type=Path, help="for the Debian: empty, or made; 10 GB")
    parser.add_argument("--keep", action="store_true", help="do not remove the Debian")
    arguments = parser.parse_args(words)
    refused = refusal(arguments.folder)
    if refused:
        print(f"new-user: {refused[1]}", file=sys.stderr)
        return refused[0]
    (ROOT / "build").mkdir(exist_ok=True)
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="new_user.", dir=ROOT / "build"))
    root = root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    # `kill` is as Ctrl-C: the Debian is removed then too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"a minimal Debian in {root}", flush=True)
        debian = fresh(root, Path.home())
        bundle = str(debian.path("/srv/vq-cortexm.bundle"))
        # of HEAD alone git would clone no branch
        output("git", "-C", str(ROOT), "bundle", "create", bundle, "HEAD", "--branches")
        system_mb = megabytes(debian.path("/usr"))
        RECORD.write_text(record(debian, system_mb, load, walk(debian)), encoding="utf-8")
    except StepError as error:
        print(f"new-user: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("new-user: interrupted", file=sys.stderr)
        return 130
    finally:
        if arguments.keep:
            print(f"kept: {root}")
        else:
            shutil.rmtree(root)
    print(f"wrote {RECORD}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
