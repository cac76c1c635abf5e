"""`CompiledModel`: exports are reproducible, metadata is complete, wrong inputs are refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vq_models import TINY_MODELS

from vq_cortexm.aot.program import Tensor
from vq_cortexm.build import build_folded
from vq_cortexm.compat import load_module
from vq_cortexm.compiled_model import CompiledModel, write_atomically
from vq_cortexm.errors import UsageError
from vq_cortexm.samples import check_sample, random_samples

FILES = {
    "CMakeLists.txt",
    "metadata.json",
    "module.json",
    "report.json",
    "tiny.h",
}


def _build(name: str = "tiny_residual", **options: Any) -> CompiledModel:
    return build_folded(TINY_MODELS[name](), name="tiny", **options)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_export_twice_is_the_same_bytes(tmp_path: Path) -> None:
    first = _contents(_build().export(tmp_path / "a"))
    again = _contents(_build().export(tmp_path / "b"))
    assert first == again
    assert set(first) >= FILES
    assert any(name.endswith(".c") for name in first)
    assert not any(str(tmp_path).encode() in data for data in first.values())


def test_export_over_an_export_leaves_no_other_files(tmp_path: Path) -> None:
    before = _contents(_build().export(tmp_path))
    assert _contents(_build().export(tmp_path)) == before


def test_exported_module_compiles_to_the_same_library(tmp_path: Path) -> None:
    compiled = _build()
    compiled.export(tmp_path)
    again = build_folded(load_module((tmp_path / "module.json").read_text()), name="tiny")
    assert again.sources == compiled.sources
    assert again.metadata == compiled.metadata


def test_export_into_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    for place in (path, path / "below"):
        with pytest.raises(UsageError) as caught:
            _build().export(place)
        assert str(place) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_text() == "kept"


def test_metadata_json_is_the_metadata_with_checksums_of_the_files(tmp_path: Path) -> None:
    compiled = _build()
    compiled.export(tmp_path)
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    module = (tmp_path / "module.json").read_bytes()
    assert metadata.pop("module_sha256") == hashlib.sha256(module).hexdigest()
    assert metadata == compiled.metadata
    assert set(metadata["files"]) == set(compiled.sources)
    for name, digest in metadata["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", TINY_MODELS)
def test_metadatas_plan_covers_all_tensors_and_never_overlaps(name: str) -> None:
    compiled = _build(name)
    program, memory = compiled.program, compiled.metadata["memory"]
    plan = {entry["storage"]: entry for entry in memory["plan"]}
    assert len(plan) == len(memory["plan"])
    used = {t.storage for t in (*program.inputs, *program.outputs)}
    used |= {a.name for s in program.steps for a in s.arguments if not a.is_constant}
    used |= {n for s in program.steps for n in (*s.inputs, s.output, *s.scratch)}
    assert set(plan) == {s.name for s in program.storages}
    assert used <= set(plan)
    end = max(entry["offset"] + entry["size_bytes"] for entry in plan.values())
    assert end <= memory["arena_bytes"] < end + 16  # aligned
    assert memory["arena_bytes"] >= memory["lower_bound_bytes"]
    inplace = {frozenset((s.output, i)) for s in program.steps for i in s.inplace}
    entries = list(plan.values())
    for i, a in enumerate(entries):
        for b in entries[:i]:
            apart = (
                a["last_step"] < b["first_step"]
                or b["last_step"] < a["first_step"]
                or a["offset"] + a["size_bytes"] <= b["offset"]
                or b["offset"] + b["size_bytes"] <= a["offset"]
            )
            assert apart or frozenset((a["storage"], b["storage"])) in inplace


def test_callers_buffers_are_not_in_the_plan() -> None:
    compiled = _build(io="caller")
    roles = {entry["role"] for entry in compiled.metadata["memory"]["plan"]}
    assert roles <= {"intermediate", "scratch"}
    assert compiled.metadata["io"] == "caller"


def test_report_has_macs_and_layers() -> None:
    report = _build().report
    assert report["macs"] == sum(layer["macs"] for layer in report["layers"]) > 0
    assert json.loads(json.dumps(report)) == report
    assert "plan" not in report


def test_model_library_format_into_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none"):
        _build().export_model_library_format(tmp_path / "none" / "tiny.tar")
    assert not list(tmp_path.iterdir())


INPUTS = (Tensor("a", (1, 4), "int8", "a"), Tensor("b", (2,), "uint8", "b"))
A, B = np.zeros((1, 4), np.int8), np.zeros(2, np.uint8)


def test_sample_of_the_models_arrays_is_taken() -> None:
    strided = np.zeros((1, 8), np.int8)[:, ::2]
    for sample in ([A, B], (A, B), [strided, B]):
        checked = check_sample(sample, INPUTS)
        assert all(array.flags.c_contiguous for array in checked)
    assert check_sample(A, INPUTS[:1])[0] is not None


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([A], "a sample has 1 arrays, the model 2 inputs"),
        (A, "a sample has 1 arrays"),
        ([A, B, B], "a sample has 3 arrays"),
        ([A, B.astype(np.int8)], r"input 'b' is int8\(2,\), the model takes uint8\(2,\)"),
        ([A[0], B], r"input 'a' is int8\(4,\), the model takes int8\(1, 4\)"),
        ([A.astype(np.float32), B], "input 'a' is float32"),
        ([B, A], "input 'a' is uint8"),
        ([[[0, 0, 0, 0]], [0, 0]], "input 'a' is a list, not an array"),
        (None, "a sample"),
        (3, "a sample"),
    ],
    ids=["few", "alone", "many", "dtype", "shape", "float", "order", "lists", "none", "number"],
)
def test_wrong_sample_is_refused_in_one_line(sample: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check_sample(sample, INPUTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"io": "heap"}, {"name": "2 words"}, {"name": ""}])
def test_bad_build_option_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        build_folded(TINY_MODELS["tiny_conv"](), **options)


@pytest.mark.parametrize("io_mode", ["arena", "caller"])
def test_run_leaves_the_samples_alone_and_no_sample_gives_no_output(io_mode: str) -> None:
    compiled = _build(io=io_mode)
    samples = random_samples(compiled.program.inputs, 3, seed=1)
    copies = [[array.copy() for array in sample] for sample in samples]
    compiled.run(samples, "host")
    np.testing.assert_array_equal(samples, copies)
    assert compiled.run([], "host").outputs == ()


def test_atomic_write_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(OSError, match="none"):
        write_atomically(tmp_path / "none" / "file", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
