"""Generated C and the firmware pass cppcheck and clang's static analyzer."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyzers import CORES, analyze_firmware, analyze_models, clang, cppcheck
from drawn.models import KINDS

MODELS_AT_ONCE = 16


def test_both_find_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.c"
    path.write_text("int f(void);\nint f(void) { int *p = 0; return *p; }\n")
    assert "nullPointer" in cppcheck(path)
    assert "core.NullDereference" in clang([path])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(KINDS), MODELS_AT_ONCE))
def test_models_of_every_kind(first: int, tmp_path: Path) -> None:
    kinds = KINDS[first : first + MODELS_AT_ONCE]
    analyses = analyze_models(kinds, tmp_path)
    assert len(analyses) == len(kinds) + 1
    assert [(each.what, each.said) for each in analyses if each.said] == []


@pytest.mark.slow
def test_firmware() -> None:
    analyses = analyze_firmware()
    assert len(analyses) == 1 + len(CORES)
    assert all(len(each.files) > 20 for each in analyses)
    assert [(each.what, each.said) for each in analyses if each.said] == []
