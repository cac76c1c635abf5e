"""Projects: folders that build a model's firmware, and the server in each that knows how."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from ..errors import BudgetError, DeviceError, ToolError, UsageError, VqError
from ..resources import resource_dir
from .model_library_format import read_model_library_format
from .project_api import client, rpc_errors
from .project_options import ProjectOptions, check_options, require_options
from .project_transport import ProjectTransport
from .transport import IoTimeoutError, TransportClosedError

_KINDS: dict[type[Exception], Callable[[str], VqError]] = {
    rpc_errors.IoTimeoutError: IoTimeoutError,
    rpc_errors.TransportClosedError: TransportClosedError,
}
_STATUSES: dict[int, Callable[[str], VqError]] = {
    error.status: error for error in (BudgetError, UsageError, ToolError)
}


class TemplateProjectError(UsageError):
    """A template where a generated project is needed."""


class NotATemplateProjectError(UsageError):
    """A generated project where a template is needed."""


class ExportsModelLibrary(Protocol):
    """A compiled model."""

    def export_model_library_format(self, path: str | Path) -> Path:
        """Writes its tar."""


class _Project:
    """The client of a folder's server; ends the server as a context manager or by `close`."""

    def __init__(self, api_client: client.ProjectAPIClient, directory: Path) -> None:
        self.directory = directory
        self._api_client = api_client
        try:
            with self._errors():
                self._info = api_client.server_info_query()
        except VqError:
            self.close()
            raise

    @classmethod
    def _connect(cls, directory: str | Path) -> tuple[client.ProjectAPIClient, Path]:
        try:
            return client.instantiate_from_dir(directory), Path(directory)
        except client.ProjectAPIErrorBase as error:
            raise UsageError(str(error)) from None

    def info(self) -> dict[str, Any]:
        """What the server says of itself: `platform_name`, `is_template`,
        `model_library_format_path`, `project_options`."""
        return dict(self._info)

    def close(self) -> None:
        """Ends the server."""
        self._api_client.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What goes wrong in a server, as an error of one line with its status."""
        try:
            yield
        except rpc_errors.JSONRPCError as error:
            data = error.data if isinstance(error.data, dict) else {}
            line = str(data.get("line") or error.message).strip().splitlines()[0]
            kind = _KINDS.get(type(error)) or _STATUSES.get(data.get("status", 0), DeviceError)
            raise kind(line) from error
        except client.ProjectAPIErrorBase as error:
            raise DeviceError(f"{self.directory}: {error}") from None


class GeneratedProject(_Project):
    """A project that a template made, with the options that its methods are given."""

    def __init__(
        self,
        api_client: client.ProjectAPIClient,
        options: Mapping[str, Any] | None,
        directory: Path,
    ) -> None:
        super().__init__(api_client, directory)
        try:
            if self._info["is_template"]:
                raise TemplateProjectError(f"{directory} is a template; a generated project works")
            self._options = check_options(options or {}, self._info["project_options"])
        except VqError:
            self.close()
            raise

    @classmethod
    def from_directory(
        cls, project_dir: str | Path, options: Mapping[str, Any] | None = None
    ) -> GeneratedProject:
        """The project in a folder. UsageError: there is none, or an option is unknown."""
        api_client, directory = cls._connect(project_dir)
        return cls(api_client, options, directory)

    @property
    def options(self) -> ProjectOptions:
        """By name, with values of their types."""
        return dict(self._options)

    def build(self) -> None:
        """Builds the firmware. BudgetError: it does not fit; UsageError: it does not compile."""
        self._call(self._api_client.build, "build")

    def flash(self) -> None:
        """Brings the firmware onto the board. DeviceError: it is not there."""
        self._call(self._api_client.flash, "flash")

    def transport(self) -> ProjectTransport:
        """The way to the device, for a `Session`."""
        require_options(self._options, self._info["project_options"], "open_transport")
        path = self._info["model_library_format_path"]
        metadata = read_model_library_format(Path(path)).metadata if path else None
        return ProjectTransport(self._api_client, self._options, metadata, self._errors)

    def _call(self, method: Callable[[ProjectOptions], None], name: str) -> None:
        require_options(self._options, self._info["project_options"], name)
        with self._errors():
            method(self._options)


class TemplateProject(_Project):
    """A folder that projects are made from."""

    def __init__(self, api_client: client.ProjectAPIClient, directory: Path) -> None:
        super().__init__(api_client, directory)
        if not self._info["is_template"]:
            self.close()
            raise NotATemplateProjectError(f"{directory} is a generated project; a template works")

    @classmethod
    def from_directory(cls, template_dir: str | Path) -> TemplateProject:
        """The template in a folder. UsageError: there is none."""
        return cls(*cls._connect(template_dir))

    def generate_project(
        self,
        module: ExportsModelLibrary,
        project_dir: str | Path,
        options: Mapping[str, Any] | None = None,
    ) -> GeneratedProject:
        """A project of a compiled model."""
        with tempfile.TemporaryDirectory(prefix="vq-mlf-") as folder:
            path = module.export_model_library_format(Path(folder) / "model.tar")
            return self.generate_project_from_mlf(path, project_dir, options)

    def generate_project_from_mlf(
        self,
        mlf_path: str | Path,
        project_dir: str | Path,
        options: Mapping[str, Any] | None = None,
    ) -> GeneratedProject:
        """A project of a model's tar, in a folder that is not there or empty.

        ProjectOptionError: an option is unknown, impossible or missing; ModelError: the tar is not
        one of ours.
        """
        known = self._info["project_options"]
        checked = check_options(options or {}, known)
        require_options(checked, known, "generate_project")
        project = Path(project_dir).resolve()
        with self._errors():
            self._api_client.generate_project(
                str(Path(mlf_path).resolve()),
                str(resource_dir("runtime")),
                str(project),
                checked,
            )
        return GeneratedProject.from_directory(project, checked)


def generate_project(
    template_project_dir: str | Path,
    module: ExportsModelLibrary,
    generated_project_dir: str | Path,
    options: Mapping[str, Any] | None = None,
) -> GeneratedProject:
    """A project of a compiled model, by the template in a folder."""
    with TemplateProject.from_directory(template_project_dir) as template:
        return template.generate_project(module, generated_project_dir, options)


def generate_project_from_mlf(
    template_project_dir: str | Path,
    project_dir: str | Path,
    mlf: str | Path,
    options: Mapping[str, Any] | None = None,
) -> GeneratedProject:
    """A project of a model's tar, by the template in a folder."""
    with TemplateProject.from_directory(template_project_dir) as template:
        return template.generate_project_from_mlf(mlf, project_dir, options)


def get_microtvm_template_projects(platform: str) -> str:
    """The folder of the template for a platform: "qemu", "board" or "host"."""
    folder = resource_dir("runtime") / "projects"
    platforms = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if platform not in platforms:
        raise UsageError(f"unknown platform {platform!r}; known: {', '.join(platforms)}")
    return str(folder / platform)
