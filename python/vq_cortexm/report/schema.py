"""What the JSON files of a folder hold: those of `compile`, `profile -o`, `fit` and `bcnet eval`.

A reader may rely on these keys; there may be more of them. All sizes are bytes, and cycles are
those of an inference: modelled, or counted by a board behind a `--port` or in a farm.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Layer(TypedDict):
    """`layers.LayerReport`."""

    name: str
    op: str
    macs: int
    cycles: int | None
    instructions: int | None
    flash: int
    realisation: str
    weight_bytes: int
    levels: int
    limit_cycles: int | None
    limited_by: str | None


class PathFacts(TypedDict):
    """A path of two composed nets: its steps [0, steps), and what these take."""

    steps: int
    macs: int
    weight_bytes: int
    constants_bytes: int


class Flash(TypedDict):
    """Of the model's part of a firmware: code, and constants."""

    text: int
    rodata: int
    total: int


class Ram(TypedDict):
    """`total` is arena and static data; inputs, outputs and scratch are parts of the arena."""

    arena: int
    io: int
    scratch: int
    data: int
    stack_peak: int | None
    total: int


class Timing(TypedDict):
    """What the cycle model assumed: cycles of a branch's refill, wait states of flash."""

    branch_refill: int
    flash_wait_states: int


class Measured(TypedDict):
    """What `profile --json` prints of a run, whether that was in an emulator, and what the cycle
    model then assumed. A layer's `flash` is its code and its constants."""

    target: str
    board: str
    inferences: int
    cycles: int | None
    instructions: int | None
    flash: Flash
    ram: Ram
    layers: list[Layer]
    path_cycles: NotRequired[dict[str, int | None]]
    emulated: bool
    timing: Timing


class Report(TypedDict):
    """report.json. Of the layers' figures only what is known without a run: no cycles, and in
    `flash` constants alone. `measured` is there where `profile -o` has run the model."""

    model: str
    core: str
    macs: int
    paths: NotRequired[dict[str, PathFacts]]
    arena_bytes: int
    lower_bound_bytes: int
    constants_bytes: int
    layers: list[Layer]
    measured: NotRequired[Measured]


class Placed(TypedDict):
    """A buffer of the memory plan: live from step `first_step` to `last_step`, both included."""

    storage: str
    role: str
    offset: int
    size_bytes: int
    first_step: int
    last_step: int


class Memory(TypedDict):
    """The arena."""

    plan: list[Placed]


class IoTensor(TypedDict):
    """An input or an output; without a scale where it is not quantized."""

    name: str
    shape: list[int]
    dtype: str
    size_bytes: int
    scale: NotRequired[float]
    zero_point: NotRequired[int]


class Metadata(TypedDict):
    """metadata.json, as far as a report shows it, and the SHA-256 of module.json, from which the
    folder is compiled again."""

    version: str
    model: str
    core: str
    rounding: str
    io: str
    inputs: list[IoTensor]
    outputs: list[IoTensor]
    memory: Memory
    module_sha256: NotRequired[str]


class FittedLayer(TypedDict):
    """A layer of a model that `fit` chose; `removed` counts channels."""

    name: str
    levels: int
    realisation: str
    cycles: int | None
    weight_bytes: int
    flash: int
    removed: int


class Fitted(TypedDict):
    """A model that `fit` tried; `accuracy` and `agreement` are shares from 0 to 1."""

    accuracy: float | None
    agreement: float
    weight_bytes: int
    flash_bytes: int
    ram_bytes: int
    cycles: int | None
    on_front: bool
    layers: list[FittedLayer]


Pair = TypedDict("Pair", {"n-ary": Fitted, "pruned": Fitted | None})
"""The same budget spent on fewer levels, and on fewer channels."""


class Front(TypedDict):
    """pareto.json, as far as a report shows it."""

    model: str
    board: str
    verified: int
    budgets: dict[str, int | None]
    eight_bit: Fitted
    chosen: Pair
    front: list[Pair]


class Interval(TypedDict):
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


class Row(TypedDict):
    """A model at its operating point."""

    name: str
    accuracy: Interval
    difference: Interval
    escalated: float
    mean_cycles: float
    worst_cycles: float
    flash_bytes: int
    ram_bytes: int
    microjoules: float | None


class Point(TypedDict):
    """One threshold, or one a class; shares from 0 to 1."""

    thresholds: list[int]
    accuracy: float
    escalated: float
    mean_cycles: float


class Evaluation(TypedDict):
    """eval.json."""

    board: str
    samples: int
    rows: list[Row]
    points: list[Point]
    coopnet_points: list[Point]
