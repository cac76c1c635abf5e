"""The Python of docs/relay.md, as it stands there, with a module that Relay-era TVM would save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docs_blocks import blocks
from relay_builder import RelayBuilder

ROOT = Path(__file__).parents[3]


def test_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (found for found in blocks(ROOT / "docs/relay.md") if found.language)
    net = RelayBuilder()
    x = net.var("x", (1, 4))
    text = net.build(net.call("nn.relu", [x]))
    monkeypatch.chdir(tmp_path)
    Path("model.json").write_text(text, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(block.text, names)
    sample = np.array([[-3, 0, 5, 127]], np.int8)
    result = names["lib"].run([sample], check=True)
    assert result.bit_exact
    assert result.outputs[0][0].tolist() == [[0, 0, 5, 127]]
