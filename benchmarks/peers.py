"""What other programs take for the same models: the figures of peers.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("peers.json")


@dataclass(frozen=True)
class Figures:
    """One program on one model, one inference; None where it was not measured.

    `macs`, where given, are fewer than the model's: it was run in part, which `note` names.
    """

    cycles: int
    instructions: int | None = None
    text_bytes: int | None = None
    rodata_bytes: int | None = None
    ram_bytes: int | None = None
    stack_bytes: int | None = None
    milliseconds: float | None = None
    macs: int | None = None
    note: str = ""

    @property
    def flash_bytes(self) -> int | None:
        """Code and constants."""
        if self.text_bytes is None or self.rodata_bytes is None:
            return None
        return self.text_bytes + self.rodata_bytes


@dataclass(frozen=True)
class Peer:
    """A program with its source in words and its figures by model."""

    name: str
    source: str
    figures: Mapping[str, Figures]


@dataclass(frozen=True)
class PeerLayer:
    """A layer of a model: its number among the file's operators, and what a peer takes for it."""

    index: int
    op: str
    input: str
    output: str
    kernel: str
    macs: int
    cycles: int
    instructions: int


@dataclass(frozen=True)
class Peers:
    """Programs whose cycles are modelled, programs measured on a board, and one's layers;
    `models` says in words what ran, and how it was counted."""

    models: str
    modelled: tuple[Peer, ...]
    boards: tuple[Peer, ...]
    layers_of: str
    layers: Mapping[str, tuple[PeerLayer, ...]]

    def peer(self, name: str) -> Peer:
        """The peer of that name; KeyError if there is none."""
        return {peer.name: peer for peer in (*self.modelled, *self.boards)}[name]


def load_peers(path: Path = FILE) -> Peers:
    """Reads the file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    layers = {
        model: tuple(PeerLayer(**layer) for layer in listed)
        for model, listed in data["layers"].items()
    }
    modelled, boards = _peers(data["modelled"]), _peers(data["boards"])
    return Peers(data["models"], modelled, boards, data["layers_of"], layers)


def _peers(listed: list[Any]) -> tuple[Peer, ...]:
    return tuple(
        Peer(
            entry["name"],
            entry["source"],
            {model: Figures(**figures) for model, figures in entry["figures"].items()},
        )
        for entry in listed
    )
