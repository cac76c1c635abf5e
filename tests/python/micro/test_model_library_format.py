"""The Model Library Format: what is written is read again; what is damaged is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import ModelError
from vq_cortexm.micro import model_library_format as mlf


def _build(name: str = "tiny_residual", **options: Any) -> CompiledModel:
    return build_folded(TINY_MODELS[name](), name="tiny", **options)


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return _build()


@pytest.fixture(scope="module")
def tar(compiled: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled.export_model_library_format(tmp_path_factory.mktemp("mlf") / "tiny.tar")


def _members(tar: Path) -> dict[str, str]:
    with tarfile.open(tar) as archive:
        streams = {m.name.removeprefix("./"): archive.extractfile(m) for m in archive.getmembers()}
        return {name: stream.read().decode() for name, stream in streams.items() if stream}


def test_members_are_microtvms(compiled: CompiledModel, tar: Path) -> None:
    sources = {f"codegen/host/src/{name}" for name in compiled.sources if name != "tiny.h"}
    members = _members(tar)
    assert set(members) == {
        "metadata.json",
        "codegen/host/include/tiny.h",
        "src/tiny.relax",
        "src/tiny.json",
        *sources,
    }
    assert members["codegen/host/include/tiny.h"] == compiled.sources["tiny.h"]
    assert "vq.conv2d" in members["src/tiny.relax"]
    with tarfile.open(tar) as archive:
        listed = archive.getmembers()
    for member in listed:
        assert member.isfile()
        assert (member.uid, member.gid, member.mtime, member.mode) == (0, 0, 0, 0o644)
        assert (member.uname, member.gname) == ("", "")
    assert [member.name for member in listed] == sorted(member.name for member in listed)


def test_metadata_has_sizes_as_microtvm_has_them(compiled: CompiledModel, tar: Path) -> None:
    document = json.loads(_members(tar)["metadata.json"])
    assert (document["version"], document["producer"]) == (8, "vq-cortexm")
    ((name, module),) = document["modules"].items()
    assert (name, module["model_name"], module["style"]) == ("tiny", "tiny", "full-model")
    assert (module["target"], module["executors"]) == (["vq-cortexm -mcpu=cortex-m4"], ["aot"])
    assert module["vq-cortexm"] == compiled.metadata
    functions = module["memory"]["functions"]
    (main,) = functions["main"]
    io_bytes = sum(t.size_bytes for t in (*compiled.program.inputs, *compiled.program.outputs))
    assert main["io_size_bytes"] == io_bytes
    assert main["workspace_size_bytes"] + io_bytes == compiled.plan.arena_bytes
    assert main["constants_size_bytes"] == compiled.metadata["memory"]["constants_bytes"]
    for kind in ("inputs", "outputs"):
        assert main[kind] == {
            t["name"]: {"size": t["size_bytes"], "dtype": t["dtype"]}
            for t in compiled.metadata[kind]
        }
    symbols = [function["function_name"] for function in functions["operator_functions"]]
    layers = compiled.sources["tiny_layers.h"]
    assert symbols and all(f"{symbol}(" in layers for symbol in symbols)


def test_what_is_written_is_read_again(compiled: CompiledModel, tar: Path) -> None:
    library = mlf.read_model_library_format(tar)
    assert library.name == "tiny"
    assert library.sources == compiled.sources
    assert library.metadata == compiled.metadata
    assert library.module == _members(tar)["src/tiny.json"]


def test_same_bytes_at_any_time(tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = _build().export_model_library_format(tmp_path / "b.tar")
    assert again.read_bytes() == tar.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    dated = _members(_build().export_model_library_format(tmp_path / "c.tar"))
    module = json.loads(dated["metadata.json"])["modules"]["tiny"]
    assert module["export_datetime"] == "1970-01-02 00:00:00Z"


def _rewrite(tar: Path, to: Path, change: Callable[[dict[str, str]], None]) -> Path:
    """The tar with changed members and right checksums."""
    members = _members(tar)
    change(members)
    document = json.loads(members.pop("metadata.json"))
    document.pop("checksum")
    document["files"] = {name: _sha256(text) for name, text in members.items()}
    document["checksum"] = _sha256(json.dumps(document, sort_keys=True))
    return _write(to, {**members, "metadata.json": json.dumps(document)})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(to: Path, members: dict[str, str]) -> Path:
    with tarfile.open(to, "w") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return to


def _refused(tar: Path, pattern: str) -> None:
    with pytest.raises(ModelError, match=pattern) as caught:
        mlf.read_model_library_format(tar)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tar))


def test_rewritten_tar_is_read(tar: Path, tmp_path: Path) -> None:
    same = _rewrite(tar, tmp_path / "same.tar", lambda members: None)
    assert mlf.read_model_library_format(same) == mlf.read_model_library_format(tar)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.c",
        "/etc/evil.c",
        "codegen/host/src/../../evil.c",
        "codegen/host/src/sub/evil.c",
        "codegen/host/src/evil.sh",
        "codegen/host/lib/evil.o",
    ],
)
def test_members_that_a_model_has_not_are_refused(tar: Path, tmp_path: Path, name: str) -> None:
    changed = _rewrite(tar, tmp_path / "evil.tar", lambda members: members.update({name: "int x;"}))
    _refused(changed, "does not describe its files")


def test_missing_header_is_refused(tar: Path, tmp_path: Path) -> None:
    def remove(members: dict[str, str]) -> None:
        del members["codegen/host/include/tiny.h"]

    _refused(_rewrite(tar, tmp_path / "less.tar", remove), "does not describe its files")


def test_changed_source_is_refused(tar: Path, tmp_path: Path) -> None:
    members = _members(tar)
    members["codegen/host/src/tiny_run.c"] += " "
    _refused(_write(tmp_path / "changed.tar", members), "damaged")


def test_changed_metadata_is_refused(tar: Path, tmp_path: Path) -> None:
    members = _members(tar)
    members["metadata.json"] = members["metadata.json"].replace('"offset": 0', '"offset": 4', 1)
    _refused(_write(tmp_path / "changed.tar", members), "damaged")


def test_other_versions_and_producers_are_refused(tar: Path, tmp_path: Path) -> None:
    for old, new, pattern in (
        ('"version": 8', '"version": 7', "version 7 of the format; version 8 works"),
        ('"producer": "vq-cortexm"', '"producer": "tvm"', "not made by vq-cortexm"),
    ):
        members = _members(tar)
        assert old in members["metadata.json"]
        members["metadata.json"] = members["metadata.json"].replace(old, new, 1)
        _refused(_write(tmp_path / "other.tar", members), pattern)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "link.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("metadata.json")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    _refused(path, "not a plain file")


def test_files_that_are_no_such_tar_are_refused(tar: Path, tmp_path: Path) -> None:
    path = tmp_path / "other"
    _refused(path, "No such file")
    _refused(tmp_path, "directory")
    for data in (b"", b"text", tar.read_bytes()[:5000]):
        path.write_bytes(data)
        _refused(path, "not a tar|ends inside")


def test_huge_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.tar"
    with path.open("wb") as file:
        file.truncate(mlf.MAX_BYTES + 1)
    _refused(path, "larger than 256 MiB")


@given(st.integers(0, 1 << 30), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_harmless(
    tar: Path, tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    data = bytearray(tar.read_bytes())
    data[place % len(data)] ^= change
    path = tmp_path_factory.getbasetemp() / "mutated.tar"
    path.write_bytes(data)
    try:
        library = mlf.read_model_library_format(path)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert library == mlf.read_model_library_format(tar)
