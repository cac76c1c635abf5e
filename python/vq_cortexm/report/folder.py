"""What is known of a build: the JSON files in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..compiled_model import METADATA_FILE, REPORT_FILE
from ..errors import ModelError, UsageError
from .conform import NotConformingError, conform
from .schema import Evaluation, Front, Measured, Metadata, Report

FRONT_FILE, EVALUATION_FILE = "pareto.json", "eval.json"
_LARGEST_FILE = 64 << 20


@dataclass(frozen=True)
class Build:
    """A folder's content: `report` and `metadata` of a model that `compile` built, `front` where
    `fit` searched, `evaluation` where `bcnet eval` measured. At least one of the three is there."""

    folder: Path
    report: Report | None
    metadata: Metadata | None
    front: Front | None
    evaluation: Evaluation | None

    @property
    def name(self) -> str:
        """Of the model, as far as the folder knows one."""
        if self.report is not None:
            return self.report["model"]
        return self.front["model"] if self.front is not None else self.folder_name

    @property
    def folder_name(self) -> str:
        """Without where it lies."""
        return self.folder.resolve().name

    @property
    def measured(self) -> Measured | None:
        """What a run took, if `profile -o` ran the model."""
        return self.report.get("measured") if self.report is not None else None


def read_build(folder: Path) -> Build:
    """Reads a folder. UsageError where there is nothing to report, ModelError for a damaged file.

    Memory and time are bounded: no file of more than 64 MiB is read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; one that `vq-cortexm compile` made works")
    report = cast("Report | None", _read(folder / REPORT_FILE, Report))
    front = cast("Front | None", _read(folder / FRONT_FILE, Front))
    evaluation = cast("Evaluation | None", _read(folder / EVALUATION_FILE, Evaluation))
    if evaluation is not None and not evaluation["rows"]:
        raise ModelError(f"{folder / EVALUATION_FILE}: no rows; make it again with this version")
    if report is None and front is None and evaluation is None:
        raise UsageError(
            f"{folder}: no {REPORT_FILE}, {FRONT_FILE} or {EVALUATION_FILE} in it; folders that "
            "`vq-cortexm compile`, `fit` or `bcnet eval` made work"
        )
    metadata = None
    if report is not None:
        metadata = cast("Metadata | None", _read(folder / METADATA_FILE, Metadata))
        if metadata is None:
            raise ModelError(
                f"{folder}: {REPORT_FILE} without {METADATA_FILE}; compile the model again"
            )
        _check_agreement(folder, report, metadata)
    return Build(folder, report, metadata, front, evaluation)


def _read(path: Path, wanted: Any) -> Any:
    """None where there is no such file."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ModelError(f"{path}: more than 64 MiB; make it again")
        value = json.loads(path.read_text(encoding="utf-8"))
        conform(value, wanted)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except NotConformingError as error:
        raise ModelError(f"{path}{error}; make it again with this version") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: damaged, not JSON; make it again") from None
    return value


def _check_agreement(folder: Path, report: Report, metadata: Metadata) -> None:
    """ModelError where files of different builds lie side by side."""
    measured = report.get("measured")
    names = [layer["name"] for layer in report["layers"]]
    run = [layer["name"] for layer in measured["layers"]] if measured else names
    plan = metadata["memory"]["plan"]
    steps = [place["last_step"] for place in plan]
    if names != run or report["model"] != metadata["model"] or max(steps, default=0) > len(names):
        raise ModelError(f"{folder}: its files are of different builds; compile the model again")
    for place in plan:
        is_sound = min(place["offset"], place["size_bytes"], place["first_step"]) >= 0
        if not is_sound or place["first_step"] > place["last_step"]:
            raise ModelError(
                f"{folder / METADATA_FILE}: damaged memory plan, at {place['storage']!r}; compile "
                "the model again"
            )
    if report["arena_bytes"] and not plan:
        raise ModelError(f"{folder / METADATA_FILE}: no memory plan; compile the model again")
