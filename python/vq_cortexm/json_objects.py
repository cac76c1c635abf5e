"""The keys of what the command line's verbs print with `--json`: one object each.

There may be more keys than these. All sizes are bytes; cycles are those of an inference: modelled,
or counted by a board behind a `--port` or in a farm, None where nobody counts; shares are from 0
to 1.
`fit` prints what pareto.json holds (`Front`), `bcnet eval` what eval.json holds (`Evaluation`);
`boards` and `doctor` print lists.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from .report.schema import Evaluation, Flash, Front, Layer, Placed, Ram, Timing


class Total(TypedDict):
    """A figure of `profile --against`, now and then; `exceeded`: it grew beyond the limit."""

    name: str
    own: int
    other: int
    exceeded: bool


class LayerGrowth(TypedDict):
    """By how much a layer's cost and flash grew; less than 0 where they shrank."""

    name: str
    cost: int
    flash: int


class Regression(TypedDict):
    """`profile --against`. `max_regress` is a share; `layer_cost` says whether a layer's cost are
    cycles or instructions; `layers` has those that changed."""

    against: str
    max_regress: float
    exceeded: bool
    totals: list[Total]
    layer_cost: str
    layers: list[LayerGrowth]


class Run(TypedDict):
    """`run` and `profile`; figures are medians over the inferences. `outputs`, of `run`, are nested
    lists for each output of each sample, null where a float32 number is NaN or infinite; the paths
    are those of two nets."""

    model: str
    target: str
    board: str
    bit_exact: NotRequired[bool | None]
    inferences: int
    cycles: int | None
    instructions: int | None
    flash: Flash
    ram: Ram
    layers: list[Layer]
    emulated: NotRequired[bool]
    timing: NotRequired[Timing]
    paths: NotRequired[list[str]]
    path_cycles: NotRequired[dict[str, int | None]]
    mean_cycles: NotRequired[float | None]
    outputs: NotRequired[list[list[Any]]]
    regression: NotRequired[Regression]


class DifferingElement(TypedDict):
    """An element that differs: in which sample, where, and both values."""

    sample: int
    index: list[int]
    own: int
    other: int


class ComparedLayer(TypedDict):
    """A layer of `layer-diff`, by the name that `profile` has too; `tensor` is its output's name in
    the file, None where it has none.

    `elements` of all samples, how many differ and by how many steps of the layer's scale at most
    are None where the reference has no such tensor. A `merged` layer is part of another one in the
    build, or of none; `constant_channels` are those that the build has removed.
    """

    name: str
    op: str
    tensor: str | None
    shape: list[int]
    elements: int | None
    differing: int | None
    largest_steps: int | None
    first: DifferingElement | None
    merged: bool
    constant_channels: int


class DeviceCheck(TypedDict):
    """Whether the generated code gave the same outputs on a board; `first` is the first layer whose
    code does not, None where each is right by itself."""

    board: str
    exact: bool
    first: str | None


class LayerDiff(TypedDict):
    """`layer-diff`. `first` is the first layer that differs; `inside_layers` are tensors of the
    file that no layer ends with."""

    model: str
    reference: str
    rounding: str
    samples: int
    equal: bool
    first: str | None
    layers: list[ComparedLayer]
    inside_layers: list[str]
    device: DeviceCheck | None


class Compiled(TypedDict):
    """`compile` and `bcnet compose`: what was written, by names in `output`, and sizes known
    without a run. `flash` is of the firmware, None where there is none."""

    model: str
    core: str
    board: str | None
    rounding: str
    output: str
    files: list[str]
    macs: int
    arena_bytes: int
    lower_bound_bytes: int
    constants_bytes: int
    flash: Flash | None
    float_layers: list[str]


class Exported(TypedDict):
    """`export-int8`: the file that was written."""

    output: str
    bytes: int


class Budget(TypedDict):
    """A memory of `report`: what its `shares` take, and the part's `room_bytes`, None where no part
    is known."""

    name: str
    used_bytes: int
    room_bytes: int | None
    shares: dict[str, int]


class Figure(TypedDict):
    """A figure of `report --against`, here and in the other build; None where it is not known."""

    own: int | None
    other: int | None


class NamedFigure(Figure):
    """One of the whole model; `other` is None without `--against`."""

    name: str


class ReportedLayer(Layer):
    """A layer of `report`: `share` of the model's cycles, `times_limit` its cycles against
    `limit_cycles`; None where they are not known."""

    constants_bytes: int
    share: float | None
    cycles_per_mac: float | None
    times_limit: float | None


class ChangedLayer(TypedDict):
    """A layer of `report --against` that differs, or that but one build has."""

    name: str
    cycles: Figure
    flash: Figure
    weight_bytes: Figure
    levels: Figure


class Reported(TypedDict):
    """`report`: what its page shows. `emulated` is None where nothing was run; `times_limit` is of
    the layers that have a limit; `realisations` has the bytes of weights by how they are stored;
    `files` are those that were written."""

    model: str
    core: str | None
    board: str | None
    emulated: bool | None
    budgets: list[Budget]
    totals: list[NamedFigure]
    times_limit: float | None
    layers: list[ReportedLayer]
    realisations: dict[str, int]
    memory_plan: list[Placed]
    changed_layers: NotRequired[list[ChangedLayer]]
    front: NotRequired[Front]
    evaluation: NotRequired[Evaluation]
    files: list[str]


class QuantizedLayer(TypedDict):
    """A layer of `quantize`, with how many weights it has and how many values they hold."""

    name: str
    op: str
    weights: int
    levels: int


class Quantized(TypedDict):
    """`quantize`; accuracies on the calibration data, None without labels."""

    output: str
    samples: int
    float_accuracy: float | None
    accuracy: float | None
    layers: list[QuantizedLayer]


class TunedLayer(TypedDict):
    """The layers of one kind of `tune`: how many there are `alike`, schedules of the space, of them
    measured and failed, cycles of the kernels' own schedule and of the best (instructions where
    none are modelled; None where not measured), and the best schedule's knobs."""

    name: str
    alike: int
    points: int
    measured: int
    failed: int
    own_cycles: int | None
    best_cycles: int | None
    schedule: dict[str, Any]


class Tuned(TypedDict):
    """`tune`; `db` is the file of results."""

    db: str
    layers: list[TunedLayer]


class PathCycles(TypedDict):
    """Of two nets: an inference that the fast one answers, and one that both do."""

    fast: float
    accurate: float


class Calibrated(TypedDict):
    """`bcnet calibrate`: the thresholds that were chosen, and what they give on the data."""

    thresholds: list[int]
    accuracy: float
    escalated: float
    mean_cycles: float
    path_cycles: PathCycles


class BoardFacts(TypedDict):
    """An item of the list that `boards` prints; `emulation` is "qemu", "host" or "none"."""

    name: str
    core: str
    flash_bytes: int
    ram_bytes: int
    clock_hz: int | None
    emulation: str
    data_cache_bytes: int
    description: str


class Finding(TypedDict):
    """An item of the list that `doctor` prints: `version` is None where it is missing, `advice`
    says what to do where something is wrong."""

    name: str
    version: str | None
    needed_for: str
    optional: bool
    advice: str
