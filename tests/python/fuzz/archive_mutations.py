"""Damage to archives: `.npz` files whose members are odd, tars whose checksums are right."""

from __future__ import annotations

import io
import json
import tarfile
import warnings
import zipfile
from hashlib import sha256
from random import Random

from .mutations import TEXTS, integer, mutate_bytes, mutate_json

_TYPES = (
    "|O",
    "<f8",
    ">i4",
    "|b1",
    "<c16",
    "<U9",
    "|S0",
    "<M8[s]",
    "|V7",
    "<f2",
    "<i8",
    "|u1",
    "?",
)
_KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
_KINDS_OF_DATA = (tarfile.DIRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE)
_OUTSIDE = ("../evil.c", "/tmp/evil.c", "codegen/host/src/../../../evil.c", "codegen\\evil.c")


def mutate_npy(random: Random, data: bytes) -> bytes:
    """Another type, shape or order in the header, or other bytes behind it."""
    if random.random() < 0.3:
        return mutate_bytes(random, data)
    length = int.from_bytes(data[8:10], "little")
    shape = tuple(integer(random) for _ in range(random.randrange(4)))
    descr = repr(random.choice(_TYPES))
    header = random.choice(
        (
            f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}",
            f"{{'descr': '|i1', 'fortran_order': True, 'shape': {shape}}}",
            f"{{'descr': [('a', {descr}), ('b', '<f4', {shape})], 'fortran_order': 0, "
            "'shape': ()}",
            "(" * random.choice((9, 150, 3000)),
            mutate_bytes(random, data[10 : 10 + length]).decode("latin1"),
        )
    ).encode("latin1")
    version = random.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\7\0"))
    size = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
    return data[:6] + version + size + header + data[10 + length :]


def mutate_npz(random: Random, data: bytes) -> bytes:
    """Members of other names or contents, some packed; one may unpack to far more."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    index = random.randrange(len(members))
    name, content = members[index]
    kind = random.randrange(5)
    if kind == 0:
        members[index] = (
            random.choice((*TEXTS, "y.npy", "x.txt")).encode("utf-8", "ignore").decode(),
            content,
        )
    elif kind == 1:
        members.append(members[index])
    elif kind == 2 and random.random() < 0.1:
        members[index] = (name, content + bytes(1 << 28))
    else:
        members[index] = (name, mutate_npy(random, content))
    stream = io.BytesIO()
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", packing) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name or "x"), content, packing, 1)
    packed = stream.getvalue()
    return mutate_bytes(random, packed) if random.random() < 0.3 else packed


def mutate_library(random: Random, data: bytes) -> bytes:
    """Members that are changed, renamed, gone or new, mostly with right checksums; members that are
    no files, or not as long as they say."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        streams = {m.name.removeprefix("./"): archive.extractfile(m) for m in archive}
        members = {name: stream.read() for name, stream in streams.items() if stream}
    name = random.choice(sorted(members))
    kind = random.randrange(5)
    if kind == 0:
        members[random.choice(_OUTSIDE)] = members.pop(name)
    elif kind == 1:
        del members[name]
    elif name.endswith(".json"):
        members[name] = mutate_json(random, members[name])
    else:
        members[name] = mutate_bytes(random, members[name])
    if random.random() < 0.8:
        _seal(members)
    tar = _tar(random, members)
    return mutate_bytes(random, tar) if random.random() < 0.1 else tar


def _seal(members: dict[str, bytes]) -> None:
    """Gives metadata.json the checksums of what is there, if it is still a record."""
    try:
        document = json.loads(members.get("metadata.json", b"{}"))
    except ValueError:
        return
    members.pop("metadata.json", None)
    if isinstance(document, dict):
        document.pop("checksum", None)
        document["files"] = {name: sha256(content).hexdigest() for name, content in members.items()}
        text = json.dumps(document, sort_keys=True)
        document["checksum"] = sha256(text.encode()).hexdigest()
    members["metadata.json"] = json.dumps(document).encode()


def _tar(random: Random, members: dict[str, bytes]) -> bytes:
    odd = random.choice(sorted(members)) if random.random() < 0.2 else ""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name == odd:
                member.type = random.choice((*_KINDS, *_KINDS_OF_DATA))
                member.linkname = random.choice(("metadata.json", "../../etc/passwd", ""))
                if random.random() < 0.3:
                    member.size = abs(integer(random)) % 2**36
            archive.addfile(
                member,
                io.BytesIO(content.ljust(min(member.size, 1 << 20), b"\0"))
                if member.size <= 1 << 20
                else None,
            )
    return stream.getvalue()
