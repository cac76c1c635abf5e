"""The functions of `vq_float.h` are near the true ones, and defined for every number."""

from __future__ import annotations

import ctypes
import math
import subprocess
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from vq_cortexm.codegen.float_functions import FLOAT_FUNCTIONS, HEADER
from vq_cortexm.resources import resource_dir

Reals = npt.NDArray[np.float32]
TRUE: dict[str, tuple[Callable[[float], float], float, float]] = {
    # function, ends of the numbers that are tried
    "vq_erf_f32": (math.erf, -6, 6),
    "vq_exp_f32": (math.exp, -86, 87),
    "vq_fabs_f32": (abs, -1e9, 1e9),
    "vq_floor_f32": (math.floor, -1e6, 1e6),
    "vq_log_f32": (math.log, 1e-6, 1e6),
    "vq_sqrt_f32": (math.sqrt, 0, 1e9),
    "vq_tanh_f32": (math.tanh, -12, 12),
}
RELATIVE = 3e-7
ABSOLUTE = {"vq_erf_f32": 1e-6}
NOT_A_NUMBER = float("nan")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("float")
    names = sorted(set(FLOAT_FUNCTIONS.values()) - {"vq_pow_f32"})
    lines = [
        f"float call_{n}(float x);\nfloat call_{n}(float x) {{ return {n}(x); }}" for n in names
    ]
    lines.append("float call_pow(float x, float y);")
    lines.append("float call_pow(float x, float y) { return vq_pow_f32(x, y); }")
    source = folder / "float.c"
    source.write_text("\n".join([f'#include "{HEADER}"', *lines, ""]))
    include = resource_dir("runtime") / "include"
    flags = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC"]
    output = folder / "float.so"
    subprocess.run(["cc", *flags, f"-I{include}", source, "-o", output], check=True)
    return ctypes.CDLL(str(output))


def _values(library: ctypes.CDLL, name: str, x: Reals) -> Reals:
    function = library[f"call_{name}"]
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return np.array([function(float(each)) for each in x], np.float32)


@pytest.mark.parametrize("name", TRUE)
def test_function_is_near_the_true_one(name: str, library: ctypes.CDLL) -> None:
    true, low, high = TRUE[name]
    x = np.random.default_rng(1).uniform(low, high, 4000).astype(np.float32)
    x = np.append(x, (x / np.float32(high)) if low <= 0 else x)
    expected = np.array([true(float(each)) for each in x])
    close = RELATIVE * np.abs(expected) + ABSOLUTE.get(name, 1e-30)
    assert np.all(np.abs(_values(library, name, x) - expected) <= close)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("vq_exp_f32", -1000, 0),
        ("vq_exp_f32", NOT_A_NUMBER, NOT_A_NUMBER),
        ("vq_floor_f32", -1e30, -1e30),
        ("vq_floor_f32", NOT_A_NUMBER, NOT_A_NUMBER),
        ("vq_log_f32", 0, NOT_A_NUMBER),
        ("vq_log_f32", -1, NOT_A_NUMBER),
        ("vq_log_f32", float("inf"), float("inf")),
        ("vq_sqrt_f32", 0, 0),
        ("vq_sqrt_f32", -4, NOT_A_NUMBER),
        ("vq_sqrt_f32", float("inf"), float("inf")),
        ("vq_tanh_f32", 500, 1),
        ("vq_tanh_f32", -500, -1),
        ("vq_tanh_f32", NOT_A_NUMBER, NOT_A_NUMBER),
        ("vq_erf_f32", -500, -1),
        ("vq_erf_f32", NOT_A_NUMBER, NOT_A_NUMBER),
    ],
)
def test_values_beyond_the_range(name: str, x: float, y: float, library: ctypes.CDLL) -> None:
    np.testing.assert_array_equal(_values(library, name, np.float32([x])), np.float32([y]))


def test_exp_of_large_numbers_stays_finite(library: ctypes.CDLL) -> None:
    (y,) = _values(library, "vq_exp_f32", np.float32([float("inf")]))
    assert 1e38 < y < np.inf


def test_powers(library: ctypes.CDLL) -> None:
    function = library["call_pow"]
    function.argtypes, function.restype = [ctypes.c_float] * 2, ctypes.c_float
    assert function(0.0, 0.75) == 0
    for x, y in ((1.5, 0.75), (20.0, -2.5), (0.01, 3.0), (-3.0, 2.0), (-2.0, -3.0), (1.01, 20.0)):
        assert function(x, y) == pytest.approx(float(np.float32(x)) ** y, rel=2e-6)
    # whole powers are products: exact as long as these are
    assert [function(-3.0, n) for n in range(4)] == [1, -3, 9, -27]
    assert [function(0.0, y) for y in (0.0, 2.0, -1.0, -0.5)] == [1, 0, np.inf, np.inf]
    assert function(-1.0, 2.0**30) == 1
    assert all(
        np.isnan(function(*given)) for given in ((-2.0, 0.5), (NOT_A_NUMBER, 2), (0, np.nan))
    )
