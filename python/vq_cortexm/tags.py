"""TVM's target tags, and the core that a target of ours names."""

from __future__ import annotations

from difflib import get_close_matches

from .errors import UsageError
from .target import (
    BOARDS,
    CORES,
    DEFAULT_CORE,
    DEFAULT_TARGET,
    Core,
    board_by_name,
    core_by_name,
)


def core_of_target(target: object) -> Core:
    """The core of a tag ("vq-cortexm", "vq-cortexm/cortex-m3", "vq-cortexm/mps2-an386"), of a text
    of options as TVM took them ("vq-cortexm -mcpu=cortex-m7") or of a `tvm.target.Target` with our
    key; UsageError for anything else."""
    if isinstance(target, str) and len(target.split()) > 1:
        return _core_of_options(target)
    if isinstance(target, str):
        prefix, slash, part = target.partition("/")
        if prefix == DEFAULT_TARGET:
            if not slash:
                return CORES[DEFAULT_CORE]
            return BOARDS[part].core if part in BOARDS else core_by_name(part)
        raise UsageError(f"target {target!r} is not ours; {_known()}")
    keys = getattr(target, "keys", ())
    if callable(keys) or DEFAULT_TARGET not in [str(key) for key in keys]:
        raise UsageError(f"target {target} is not ours; {_known()}")
    attrs = getattr(target, "attrs", {})
    return core_by_name(str(attrs.get("mcpu", DEFAULT_CORE)))


def _core_of_options(text: str) -> Core:
    """The core of a kind with options: ours, or kind c with our key."""
    kind, *words = text.split()
    options = {"-mcpu": "", "-board": "", "-keys": DEFAULT_TARGET if kind == DEFAULT_TARGET else ""}
    for word in words:
        name, equals, value = word.partition("=")
        name = f"-{name.lstrip('-')}"
        if name not in options or not (equals and value):
            close = get_close_matches(name, options, n=1)
            hint = f"did you mean {close[0]}=...? " if close else ""
            known = ", ".join(f"{option}=..." for option in options)
            raise UsageError(f"target {text!r}: unknown option {word!r}; {hint}known: {known}")
        options[name] = value
    if kind not in (DEFAULT_TARGET, "c") or DEFAULT_TARGET not in options["-keys"].split(","):
        raise UsageError(f"target {text!r} is not ours; {_known()}")
    if options["-board"]:
        core = board_by_name(options["-board"]).core
        if options["-mcpu"] not in ("", core.name):
            raise UsageError(f"target {text!r}: {options['-board']} has a {core.name}")
        return core
    return core_by_name(options["-mcpu"] or DEFAULT_CORE)


def target_tags() -> dict[str, dict[str, object]]:
    """TVM's target tags: kind `c` with the core's -mcpu and our key, by which it is known."""
    cores = {DEFAULT_TARGET: CORES[DEFAULT_CORE]}
    cores |= {f"{DEFAULT_TARGET}/{core.name}": core for core in CORES.values()}
    cores |= {f"{DEFAULT_TARGET}/{board.name}": board.core for board in BOARDS.values()}
    return {
        tag: {"kind": "c", "keys": [DEFAULT_TARGET, "arm_cpu", "cpu"], "mcpu": core.name}
        for tag, core in cores.items()
    }


def _known() -> str:
    return "known: " + ", ".join(target_tags())
