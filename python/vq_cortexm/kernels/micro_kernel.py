"""What a skeleton calls: a generated routine, described by the parameters of its templates.

Every family has templates in `codegen/micro`: `<family>.S.j2`, assembly with explicit registers
(`<family>.thumb.S.j2` for cores without Thumb-2), and `<family>.c.j2`, its scalar C twin of the
same signature, which other cores and the host run. All are rendered from the same parameters, which
also make the symbol: equal parameters are one routine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..target import Isa

Parameter = int | str | bool | None


@dataclass(frozen=True)
class MicroKernel:
    """A routine of `family`; `parameters` are integers, flags and words that templates know. The
    assembly needs `isa`."""

    family: str
    parameters: Mapping[str, Parameter]
    isa: Isa = "dsp"

    @cached_property
    def symbol(self) -> str:
        """`vq_<family>_<name><value>_…`; a flag shows its name, or nothing;
        nor does None; what is no word shows its checksum."""
        parts = [f"vq_{self.family}"]
        for name, value in self.parameters.items():
            if value is True:
                parts.append(name)
            elif isinstance(value, str) and not value.isidentifier():
                parts.append(f"{name}{zlib.crc32(value.encode()):08x}")
            elif value is not False and value is not None:
                parts.append(f"{name}{value}".replace("-", "m"))
        return "_".join(parts)

    def to_json(self) -> str:
        """As an attribute of a PrimFunc carries it."""
        return json.dumps([self.family, dict(self.parameters), self.isa])

    @classmethod
    def from_json(cls, text: str) -> MicroKernel:
        """The routine that `to_json` described."""
        return cls(*json.loads(text))
