"""The generated C of tiny models, word for word.

`pytest tests/python/aot/test_golden.py --update-golden` renews the files after a wanted change.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from nary_net import levels_of, nary_net
from vq_models import TINY_MODELS

from vq_cortexm.build import build_folded

GOLDEN = Path(__file__).parents[2] / "golden"
MODELS = {**TINY_MODELS, "tiny_nary": lambda: nary_net(levels_of(21, False, 0), "hybrid")}


@pytest.mark.parametrize("name", MODELS)
def test_generated_c_is_as_committed(name: str, update_golden: bool) -> None:
    sources = build_folded(MODELS[name](), name=name).sources
    folder = GOLDEN / name
    if update_golden:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in sources.items():
            (folder / file).write_text(text, encoding="utf-8")
    committed = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert sources == committed


@pytest.mark.parametrize("name", TINY_MODELS)
def test_same_model_gives_same_bytes(name: str, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        build_folded(TINY_MODELS[name](), name=name).export(folder)
    first, second = ({p.name: p.read_bytes() for p in f.iterdir()} for f in folders)
    assert first == second
