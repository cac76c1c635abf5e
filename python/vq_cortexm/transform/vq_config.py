"""What `VirtualQuantize` is asked for: levels for all layers, and others for some by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

from ..errors import UsageError
from ..nary.encoding import Realisation
from ..nary.types import LARGEST_LEVELS

_LARGEST_BITS = 8
_LAYER_KEYS = ("bits", "levels", "codebook", "realisation")


@dataclass(frozen=True)
class LayerLevels:
    """How weights are quantized: to `levels` (2 to 256; 256: not at all), uniform with a step for
    each output channel, or a codebook for the tensor; stored as `realisation`, or as the build's
    objective has it. Raises UsageError for others."""

    levels: int = LARGEST_LEVELS
    codebook: bool = False
    realisation: Realisation | None = None

    def __post_init__(self) -> None:
        _check_range("levels", self.levels, 2, LARGEST_LEVELS)
        if self.realisation not in (None, *get_args(Realisation)):
            known = ", ".join(get_args(Realisation))
            raise UsageError(f"realisation {self.realisation!r} is unknown; known: {known}")

    def to_json(self) -> dict[str, Any]:
        """What `from_file` reads."""
        stored = {"realisation": self.realisation} if self.realisation else {}
        return {"levels": self.levels, "codebook": self.codebook, **stored}


@dataclass(frozen=True)
class VirtualQuantizeConfig(LayerLevels):
    """Levels of all convolution and dense weights but for those in `layers`: by a glob on the
    layers' names, as reports have them. The first glob that matches a name counts."""

    layers: Mapping[str, LayerLevels] = field(default_factory=dict)

    @property
    def changes_nothing(self) -> bool:
        """Whether every layer keeps its values."""
        return all(c.levels == LARGEST_LEVELS for c in (self, *self.layers.values()))

    @property
    def asks_nothing(self) -> bool:
        """Whether nothing is said of how weights are stored, either."""
        stored = [c.realisation for c in (self, *self.layers.values())]
        return self.changes_nothing and stored == [None] * len(stored)

    def levels_of(self, layer: str) -> LayerLevels:
        """The choice for a layer's name."""
        for pattern, chosen in self.layers.items():
            if fnmatchcase(layer, pattern):
                return chosen
        return self

    def to_json(self) -> dict[str, Any]:
        """What `from_file` reads."""
        layers = {pattern: chosen.to_json() for pattern, chosen in self.layers.items()}
        return {**super().to_json(), "layers": layers}

    @classmethod
    def from_json(cls, content: Any) -> VirtualQuantizeConfig:
        """What `to_json` gave, or a user wrote: all keys are optional. Raises UsageError."""
        return _parse_config(content)

    @classmethod
    def from_file(cls, path: str | Path) -> VirtualQuantizeConfig:
        """The configuration of a JSON file; all keys are optional:

            {"bits": 4, "layers": {"conv_2d_0": {"bits": 8}, "dense_*": {"levels": 5,
             "codebook": true}}}

        Raises UsageError, naming file and key.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from None
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        except (ValueError, RecursionError):  # no UTF-8, a number or nesting beyond Python's limit
            raise UsageError(f"{path}: not a JSON file") from None


def requested_quantization(
    bits: int | None = None,
    levels: int | None = None,
    vq: VirtualQuantizeConfig | str | Path | None = None,
) -> VirtualQuantizeConfig | None:
    """The configuration of the build options, of which at most one is given; None for none.

    `bits` is 1 to 8, `levels` 2 to 256, `vq` a configuration or its file. UsageError otherwise.
    """
    given = {"bits": bits, "levels": levels, "vq": vq}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} exclude each other: each says all layers' levels")
    if bits is not None:
        return VirtualQuantizeConfig(levels=_levels_of_bits("bits", bits))
    if levels is not None:
        return VirtualQuantizeConfig(levels=levels)
    return VirtualQuantizeConfig.from_file(vq) if isinstance(vq, (str, Path)) else vq


def _parse_config(content: Any) -> VirtualQuantizeConfig:
    _check_keys("", content, (*_LAYER_KEYS, "layers"))
    layers = content.get("layers", {})
    if not isinstance(layers, dict):
        raise UsageError('layers is no object; {"<name or glob>": {"bits": 4}} works')
    for name, chosen in layers.items():
        _check_keys(f"layers[{name!r}]", chosen, _LAYER_KEYS)
    return VirtualQuantizeConfig(
        **_parse_levels("", content),
        layers={n: LayerLevels(**_parse_levels(f"layers[{n!r}].", c)) for n, c in layers.items()},
    )


def _parse_levels(where: str, content: dict[str, Any]) -> dict[str, Any]:
    if "bits" in content and "levels" in content:
        raise UsageError(f"{where}bits and {where}levels exclude each other")
    codebook = content.get("codebook", False)
    if not isinstance(codebook, bool):
        raise UsageError(f"{where}codebook is {json.dumps(codebook)}; true and false work")
    known = get_args(Realisation)
    realisation = content.get("realisation")
    if "realisation" in content and realisation not in known:
        shown = json.dumps(realisation)
        raise UsageError(f"{where}realisation is {shown}; known: {', '.join(known)}")
    parsed = {"codebook": codebook, "realisation": realisation}
    if "bits" in content:
        return {"levels": _levels_of_bits(f"{where}bits", content["bits"]), **parsed}
    levels = content.get("levels", LARGEST_LEVELS)
    _check_range(f"{where}levels", levels, 2, LARGEST_LEVELS)
    return {"levels": levels, **parsed}


def _levels_of_bits(name: str, bits: Any) -> int:
    _check_range(name, bits, 1, _LARGEST_BITS)
    return 1 << int(bits)


def _check_range(name: str, value: Any, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise UsageError(f"{name} is {value!r}; whole numbers from {lowest} to {highest} work")


def _check_keys(where: str, content: Any, known: tuple[str, ...]) -> None:
    if not isinstance(content, dict):
        raise UsageError(f"{where or 'the file'} is no JSON object; known keys: {', '.join(known)}")
    for key in content:
        if key not in known:
            prefix = f"{where}: " if where else ""
            raise UsageError(f"{prefix}unknown key {key!r}; known: {', '.join(known)}")
