"""What a Project API server implements, and the records it answers with."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..transport import TransportTimeouts

OptionType = Literal["bool", "int", "str"]


class _OptionFields(NamedTuple):
    name: str
    choices: Sequence[str] | None
    default: Any
    type: str
    required: Sequence[str] | None
    optional: Sequence[str] | None
    help: str


class ProjectOption(_OptionFields):
    """An option of a project: its type ("bool", "int" or "str"), the methods that need it and those
    that may be given it."""

    def __new__(
        cls,
        name: str,
        *,
        type: OptionType,
        help: str,
        required: Sequence[str] | None = None,
        optional: Sequence[str] | None = None,
        choices: Sequence[str] | None = None,
        default: Any = None,
    ) -> ProjectOption:
        """ValueError: neither a method that needs it nor one that may be given it."""
        if not required and not optional:
            raise ValueError(f"option {name}: no method takes it")
        return super().__new__(cls, name, choices, default, type, required, optional, help)

    def replace(self, attributes: Mapping[str, Any]) -> ProjectOption:
        """The option with other attributes."""
        return ProjectOption(**{**self._asdict(), **attributes})


class ServerInfo(NamedTuple):
    """What a server says of itself. `model_library_format_path` is None in a template."""

    platform_name: str
    is_template: bool
    model_library_format_path: Path | str | None
    project_options: Sequence[ProjectOption]


class ProjectAPIHandler(ABC):
    """The methods of a server; `options` are those that the project has for the method, by name.

    What a method raises reaches the caller with its traceback.
    """

    @abstractmethod
    def server_info_query(self, tvm_version: str) -> ServerInfo:
        """What the server is, asked first; UnsupportedTVMVersionError refuses the caller."""

    @abstractmethod
    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: dict[str, Any],
    ) -> None:
        """Makes a project of a model's tar in a folder that is not there, or empty.
        `standalone_crt_dir` has what runs on the device."""

    @abstractmethod
    def build(self, options: dict[str, Any]) -> None:
        """Builds the firmware."""

    @abstractmethod
    def flash(self, options: dict[str, Any]) -> None:
        """Brings the firmware onto the device."""

    @abstractmethod
    def open_transport(self, options: dict[str, Any]) -> TransportTimeouts:
        """Makes the device reachable."""

    @abstractmethod
    def close_transport(self) -> None:
        """Ends what `open_transport` began; harmless where nothing is open."""

    @abstractmethod
    def read_transport(self, n: int, timeout_sec: float | None) -> bytes:
        """Exactly `n` bytes; IoTimeoutError, TransportClosedError. None waits for as long as it
        takes. What came before a time-out is kept for the next call."""

    @abstractmethod
    def write_transport(self, data: bytes, timeout_sec: float | None) -> None:
        """Writes all of `data`; IoTimeoutError, TransportClosedError."""

    def bytes_available(self) -> int:
        """How many bytes `read_transport` would give at once, as far as is known."""
        return 0

    def describe_transport(self) -> dict[str, Any]:
        """More about an open transport than its time-outs: `line`, the fields of a `Line`."""
        return {}

    def take_records(self) -> list[dict[str, Any]] | None:
        """What an emulator counted of each inference that ended since it was asked last, as the
        fields of `InferenceRecord`; None where nobody counts."""
        return None


def default_project_options(**changes: Mapping[str, Any]) -> list[ProjectOption]:
    """microTVM's common options, for handlers that want them; a keyword changes attributes of one:
    `board={"choices": [...]}`. ValueError for a name that is not among them."""
    generate = ["generate_project"]
    defaults = [
        _generate_option("verbose", "bool", False, "Run build with verbose output."),
        ProjectOption(
            "project_type", type="str", required=generate, help="Type of project to generate."
        ),
        ProjectOption("board", type="str", required=generate, help="Board to build for."),
        _generate_option("cmsis_path", "str", os.environ.get("CMSIS_PATH"), "Folder of CMSIS."),
        _generate_option("warning_as_error", "bool", False, "Let warnings fail the build."),
        _generate_option("compile_definitions", "str", None, "Definitions to compile with."),
        _generate_option("extra_files_tar", "str", None, "A tar to unpack into the project."),
    ]
    options = {option.name: option for option in defaults}
    for name, attributes in changes.items():
        if name not in options:
            raise ValueError(f"option {name} is not among the defaults: {', '.join(options)}")
        options[name] = options[name].replace(attributes)
    return list(options.values())


def _generate_option(name: str, kind: OptionType, default: Any, text: str) -> ProjectOption:
    """One that `generate_project` may be given."""
    return ProjectOption(name, type=kind, optional=["generate_project"], default=default, help=text)
