"""What `relay.build` returns: a compiled model with the names that Relay's callers use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..compiled_model import CompiledModel
from ..errors import UsageError
from ..files import write_tar
from ..function_sizes import inference_sizes, layer_sizes
from ..target import DEFAULT_TARGET

MAIN = "__tvm_main__"


@dataclass(frozen=True)
class FunctionInfo:
    """Bytes by target tag: `workspace_sizes` of the arena without inputs and outputs, which are
    `io_sizes`, and `constant_sizes` of weights and tables."""

    workspace_sizes: dict[str, int]
    io_sizes: dict[str, int]
    constant_sizes: dict[str, int]


@dataclass(frozen=True)
class SourceLibrary:
    """The generated C, as Relay's `get_lib()` gives a module; `sources` by file name."""

    sources: dict[str, str]
    type_key: str = "c"

    def get_source(self, fmt: str = "c") -> str:
        """All files of C one after another, each behind its name."""
        if fmt not in ("", "c"):
            raise UsageError(f"the library is C, it has no {fmt!r}")
        return "\n".join(
            f"/* {name} */\n{text}"
            for name, text in sorted(self.sources.items())
            if name.endswith((".c", ".h", ".S"))
        )

    def export_library(self, file_name: str | Path) -> Path:
        """Writes the sources as a tar, the same bytes for the same model."""
        path = Path(file_name)
        if path.suffix != ".tar":
            raise UsageError(f"{path}: the library is C sources; an ending .tar works")
        write_tar(path, self.sources)
        return path


class RelayLibrary(CompiledModel):
    """A `CompiledModel` that is also what Relay's ahead-of-time build returned."""

    def get_lib(self) -> SourceLibrary:
        """The generated C."""
        return SourceLibrary(self.sources)

    def get_params(self) -> dict[str, Any]:
        """None: the library has them as constants."""
        return {}

    def get_graph_json(self) -> str:
        """Raises UsageError: nothing interprets a graph."""
        raise UsageError(
            f"{self.name} is compiled ahead of time and has no graph; its steps are in metadata, "
            f"and tvmgen_{self.name}_run runs them"
        )

    def export_library(self, file_name: str | Path) -> Path:
        """Writes the C sources as a tar."""
        return self.get_lib().export_library(file_name)

    @property
    def function_metadata(self) -> dict[str, FunctionInfo]:
        """The whole inference as `__tvm_main__`, and each generated function with its constants."""
        tag = f"{DEFAULT_TARGET}/{self.options.core.name}"
        caller_io = self.options.io == "caller"
        sizes = {
            MAIN: inference_sizes(self.program, self.plan, caller_io=caller_io),
            **layer_sizes(self.program, self.name),
        }
        return {
            name: FunctionInfo(
                {tag: size.workspace_bytes}, {tag: size.io_bytes}, {tag: size.constants_bytes}
            )
            for name, size in sizes.items()
        }

    def __iter__(self) -> Iterator[Any]:
        """As Relay's triple: what is known of the program, as JSON; the library; parameters."""
        return iter((json.dumps(self.metadata), self.get_lib(), self.get_params()))
