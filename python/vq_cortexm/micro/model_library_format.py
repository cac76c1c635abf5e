"""The Model Library Format: microTVM's tar of a generated model, with a version of our own.

    metadata.json                    version, checksums of all else, sizes as microTVM has them
    codegen/host/include/MODEL.h     the public header
    codegen/host/src/*               C sources, assembly, CMakeLists.txt
    src/MODEL.relax                  the module, to be read
    src/MODEL.json                   the module, from which it can be compiled again

A firmware needs nothing else.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import ModelError, VqError
from ..files import digest, write_tar
from ..function_sizes import FunctionSizes

VERSION = 8
"""microTVM's last was 7."""
PRODUCER = "vq-cortexm"
MAX_BYTES = 256 << 20
"""Of a tar that is read: far more than the C text of the largest flash."""

_METADATA = "metadata.json"
_HEADERS, _SOURCES, _MODULES = "codegen/host/include", "codegen/host/src", "src"
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_FILE_NAME = rf"({_IDENTIFIER}\.[chS]|CMakeLists\.txt)"


@dataclass(frozen=True)
class ModelLibrary:
    """A generated model as the tar has it.

    `sources` are the library's files by name, the header and CMakeLists.txt among them; `metadata`
    is what `metadata.json` of an exported folder says; `module` is the JSON of the folded module,
    `script` its text.
    """

    name: str
    sources: Mapping[str, str]
    metadata: Mapping[str, Any]
    module: str
    script: str


def write_model_library_format(
    path: Path,
    library: ModelLibrary,
    *,
    target: str,
    inference: FunctionSizes,
    layers: Mapping[str, FunctionSizes],
) -> None:
    """Writes the tar, the same bytes for the same model. `target` is a text of TVM's, `layers` has
    the sizes by C symbol. UsageError where the file cannot be written."""
    name = library.name
    members = {
        f"{_HEADERS if file == f'{name}.h' else _SOURCES}/{file}": text
        for file, text in library.sources.items()
    }
    members[f"{_MODULES}/{name}.relax"] = library.script
    members[f"{_MODULES}/{name}.json"] = library.module
    entry = {
        "model_name": name,
        "export_datetime": _export_datetime(),
        "target": [target],
        "executors": ["aot"],
        "style": "full-model",
        "external_dependencies": [],
        "memory": _describe_memory(library.metadata, inference, layers),
        PRODUCER: library.metadata,
    }
    document = {
        "version": VERSION,
        "producer": PRODUCER,
        "producer_version": __version__,
        "modules": {name: entry},
        "files": {member: digest(text) for member, text in sorted(members.items())},
    }
    sealed = {**document, "checksum": _seal(document)}
    write_tar(path, {**members, _METADATA: json.dumps(sealed, indent=2) + "\n"})


def read_model_library_format(path: Path) -> ModelLibrary:
    """The model in a tar. ModelError: there is none, it is damaged, too large, of another version
    or producer, or has members that a model does not have."""
    try:
        members = _read_members(path)
        document = json.loads(members.pop(_METADATA, ""))
    except VqError:
        raise
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    except Exception:
        raise ModelError(f"{path}: not a tar of the Model Library Format, or damaged") from None
    if not isinstance(document, dict) or document.get("producer") != PRODUCER:
        raise ModelError(
            f"{path}: not made by {PRODUCER}; what its export_model_library_format wrote works"
        )
    if document.get("version") != VERSION:
        raise ModelError(
            f"{path}: version {str(document.get('version'))[:20]} of the format; version {VERSION} "
            "works: export the model again"
        )
    checksum = document.pop("checksum", None)
    digests = {member: digest(text) for member, text in members.items()}
    if document.get("files") != digests or checksum != _seal(document):
        raise ModelError(f"{path}: damaged, its checksums differ; export the model again")
    try:
        return _library(document, members)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ModelError(f"{path}: {_METADATA} does not describe its files") from None


def _read_members(path: Path) -> dict[str, str]:
    """Texts by name; nothing is written anywhere, so only names that are ours pass later on."""
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no model is")
    members: dict[str, str] = {}
    with tarfile.open(path, mode="r:") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isdir():
                continue
            if not member.isfile() or member.issparse() or name in members:
                raise ModelError(f"{path}: member {member.name[:80]!r} is not a plain file")
            stream = archive.extractfile(member)
            assert stream is not None
            data = stream.read()
            if len(data) != member.size:
                raise ModelError(f"{path}: ends inside {member.name[:80]!r}")
            members[name] = data.decode()
    return members


def _library(document: Mapping[str, Any], members: Mapping[str, str]) -> ModelLibrary:
    ((name, entry),) = document["modules"].items()
    metadata = entry[PRODUCER]
    if not re.fullmatch(_IDENTIFIER, name) or metadata["model"] != name:
        raise ValueError(name)
    remaining = dict(members)
    module = remaining.pop(f"{_MODULES}/{name}.json")
    script = remaining.pop(f"{_MODULES}/{name}.relax")
    sources = {f"{name}.h": remaining.pop(f"{_HEADERS}/{name}.h")}
    for member, text in remaining.items():
        folder, _, file = member.rpartition("/")
        # a name without a folder of its own: a project's files stay where they belong
        if folder != _SOURCES or not re.fullmatch(_FILE_NAME, file):
            raise ValueError(member)
        sources[file] = text
    if metadata["files"] != {file: digest(text) for file, text in sorted(sources.items())}:
        raise ValueError("files")
    return ModelLibrary(name, sources, metadata, module, script)


def _describe_memory(
    metadata: Mapping[str, Any], inference: FunctionSizes, layers: Mapping[str, FunctionSizes]
) -> dict[str, Any]:
    """In microTVM's shape, for one device, the CPU."""
    device = 1
    tensors = {
        kind: {t["name"]: {"size": t["size_bytes"], "dtype": t["dtype"]} for t in metadata[kind]}
        for kind in ("inputs", "outputs")
    }
    main = {
        "device": device,
        "workspace_size_bytes": inference.workspace_bytes,
        "constants_size_bytes": inference.constants_bytes,
        "io_size_bytes": inference.io_bytes,
        **tensors,
    }
    operators = [
        {
            "function_name": symbol,
            "workspace": [{"device": device, "workspace_size_bytes": sizes.workspace_bytes}],
            "constants_size_bytes": sizes.constants_bytes,
        }
        for symbol, sizes in layers.items()
    ]
    return {"functions": {"main": [main], "operator_functions": operators}}


def _export_datetime() -> str:
    """Of SOURCE_DATE_EPOCH, so that a model has the same bytes at any time."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(seconds) if seconds.isdecimal() else 0, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _seal(document: Mapping[str, Any]) -> str:
    """Of all that metadata.json says besides this checksum."""
    return digest(json.dumps(document, sort_keys=True))
