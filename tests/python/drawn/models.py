"""Drawn models: one layer, three layers, or two nets as one, with the options of their build.

A model has a name, such as "tflite/CONV_2D/17": kind and number, from which all of it follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.frontend import from_onnx, from_tflite

from . import draws, tflite_layers
from .draws import Tensor
from .onnx_net import OnnxNet
from .table import LAYERS, Layer
from .tflite_net import TfliteNet

_BUILD: Any = import_module("vq_cortexm.build")
"""The module; the package has a function of its name."""

THREE_LAYERS = "three layers"
BC_NET = "BC-Net"
_READERS = {"tflite": from_tflite, "onnx": from_onnx}


KINDS = (
    *(f"{form}/{name}" for form, layers in LAYERS.items() for name in (*layers, THREE_LAYERS)),
    BC_NET,
)
_NETS: dict[str, type[TfliteNet] | type[OnnxNet]] = {"tflite": TfliteNet, "onnx": OnnxNet}


@dataclass(frozen=True)
class Drawn:
    """A model's file (of two nets: files) and how it is built.

    `steps` is how far it may be from its format's own runtime, None where it has no equal there.
    """

    name: str
    form: str
    files: tuple[bytes, ...]
    rounding: str
    layers: tuple[str, ...]
    steps: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Of `build`."""
    overlap: bool | None = None
    """Whether outputs lie on inputs; None: where the arena is smaller."""
    poison: bool = False
    """Whether the library checks each layer's use of memory."""
    policy: Policy | None = None

    def compile(self, identifier: str, target: str) -> CompiledModel:
        """Built for `target`, with a C identifier."""
        module: Any
        nets = [_READERS[self.form](file) for file in self.files]
        if self.policy is None:
            (module,) = nets
        else:
            module = compose(*nets, self.policy, rounding=self.rounding)
        plan = _BUILD._plan
        if self.overlap is not None:
            plan = partial(_with_overlap, plan, self.overlap)
        with patch.object(_BUILD, "_plan", plan):
            return _BUILD.build(
                module, target, rounding=self.rounding, name=identifier, **self.options
            )


def draw_model(name: str, random: Random | None = None, largest: int = draws.LARGEST) -> Drawn:
    """The model of a name; another `random` draws others of its kind, `largest` limits planes."""
    random = random or Random(name)
    kind = name.rpartition("/")[0] if name not in KINDS else name
    if kind == BC_NET:
        return _two_nets(name, random, largest)
    form, _, wanted = kind.partition("/")
    table = LAYERS[form]
    first = random.choice(sorted(table)) if wanted == THREE_LAYERS else wanted
    rank, dtype = random.choice(table[first].ranks), random.choice(table[first].dtypes)
    roundings = {"tflite": ("double", "double", "float", "float", "single")}
    rounding = random.choice(roundings.get(form, ("double", "float", "float", "float", "single")))
    net = _NETS[form](random)
    shape = draws.draw_shape(random, rank, largest)
    if form == "onnx" and rank == 4:
        shape = (shape[0], shape[3], shape[1], shape[2])
    y, names = table[first].draw(net, net.input(shape, dtype)), [first]
    while wanted == THREE_LAYERS and len(names) < 3:
        fitting = [n for n, layer in table.items() if _takes(layer, y)]
        if not fitting:
            break
        names.append(random.choice(sorted(fitting)))
        y = table[names[-1]].draw(net, y)
    layers = [table[name] for name in names]
    options = _options(random, any(layer.has_weights for layer in layers))
    return Drawn(
        name,
        form,
        (net.finish(y),),
        rounding,
        tuple(names),
        _steps(form, rounding, layers, options),
        options,
        random.choice((None, False, True)),
        draws.chance(random, 0.3),
    )


def draw_samples(compiled: CompiledModel, name: str) -> list[list[NDArray[Any]]]:
    """Inputs: any integers, integers at the ends of their range, bell-shaped ones; or floats."""
    rng = np.random.default_rng(list(name.encode()))

    def draw(kind: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        if dtype == "float32":
            return rng.normal(0, (1, 10, 0.1)[kind], shape)
        info = np.iinfo(dtype)
        if kind == 0:
            return rng.integers(info.min, info.max + 1, shape)
        if kind == 1:
            return rng.choice([info.min, info.max], shape)
        bell = rng.normal((info.min + info.max + 1) / 2, info.max / 6, shape)
        return np.clip(np.rint(bell), info.min, info.max)

    return [
        [draw(kind, t.shape, t.dtype).astype(t.dtype) for t in compiled.program.inputs]
        for kind in range(3)
    ]


def _takes(layer: Layer, x: Tensor) -> bool:
    return len(x.shape) in layer.ranks and x.dtype in layer.dtypes


def _steps(
    form: str, rounding: str, layers: Sequence[Layer], options: dict[str, Any]
) -> int | None:
    """A layer behind one that is a step off may be further off: it is not compared."""
    unknown = any(rounding in layer.unknown_to for layer in layers)
    if "levels" in options or rounding == "single" or unknown:
        return None
    if form == "tflite":
        return 0
    if rounding != "float" or any(layer.steps for layer in layers[:-1]):
        return None
    return layers[-1].steps


def _options(random: Random, has_weights: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"io": random.choice(("arena", "arena", "caller"))}
    if has_weights and draws.chance(random, 0.25):
        options["levels"] = random.choice((2, 3, 4, 5, 7, 8, 15, 16, 21, 40, 100, 200))
        options["objective"] = random.choice(("size", "balanced", "speed"))
    return options


def _two_nets(name: str, random: Random, largest: int) -> Drawn:
    """Two classifiers of one input, and a policy under which both answers occur."""
    _, *spatial = draws.draw_shape(random, 4, largest)
    shape, classes = (1, *spatial), random.randint(2, 8)
    rounding = random.choice(("single", "double", "float"))
    x = TfliteNet(random).input(shape)
    files, layers = [], []
    for _ in range(2):
        net = TfliteNet(random)
        y = net.input_like(x)
        for _ in range(random.randint(0, 2)):
            inner = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD")
            layers.append(random.choice(inner))
            y = LAYERS["tflite"][layers[-1]].draw(net, y)
        layers.append("FULLY_CONNECTED")
        files.append(net.finish(tflite_layers.dense(net, y, classes)))
    confidence = random.choice(("margin", "maximum", "entropy"))
    low, high = {"margin": (0, 60), "maximum": (0, 127), "entropy": (-2000, 0)}[confidence]
    count = random.choice((1, classes))
    policy = Policy(
        confidence,
        tuple(random.randint(low, high) for _ in range(count)),
        fast_factor=random.choice((0.0, 0.5, 1.0)),
    )
    return Drawn(
        name,
        "tflite",
        tuple(files),
        rounding,
        tuple(layers),
        None,
        {"io": random.choice(("arena", "caller"))},
        random.choice((None, False, True)),
        draws.chance(random, 0.3),
        policy,
    )


def _with_overlap(plan: Any, overlap: bool, folded: Any, core: Any, io: Any, _: bool) -> Any:
    return plan(folded, core, io, overlap)
