"""The keys of what the verbs of `micro` print with `--json`."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Project(TypedDict):
    """`micro create-project`, `micro build` and `micro flash`; `output` is the folder that was
    written, None of `flash`."""

    project: str
    platform: str
    output: str | None


class ProjectOption(TypedDict):
    """An item of the list that a verb's `--list-options` prints; `choices` is None where any value
    of the type works."""

    name: str
    required: bool
    type: str
    default: Any
    choices: list[str] | None
    help: str


class LayerTime(TypedDict):
    """A layer of `micro run --profile`; `source` says what was counted; `cycles` and
    `instructions` are None where they were not."""

    name: str
    op: str
    macs: int
    cycles: int | None
    instructions: int | None
    source: str


class MicroRun(TypedDict):
    """`micro run`: `seconds` is the mean of an inference with `--print-time`, `seconds_of` what was
    counted; `outputs` as those of `run`, and the paths are those of two nets."""

    model: str
    platform: str
    board: str
    bit_exact: bool | None
    inferences: int
    seconds: float | None
    seconds_of: str | None
    layers: list[LayerTime]
    outputs: list[list[Any]]
    paths: NotRequired[list[str]]
