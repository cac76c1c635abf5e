"""Relay's names: `tvm.relay`, its importers, `build`, and the target tags."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tflite
import tvm
from qonnx_builder import QonnxNet
from relay_builder import RelayBuilder
from tflite_builder import TfliteBuilder
from tvm import relax

import vq_cortexm
import vq_cortexm.relay
from vq_cortexm.compat import constant, tensor_type
from vq_cortexm.errors import UsageError
from vq_cortexm.frontend import from_tflite
from vq_cortexm.reference import run_reference
from vq_cortexm.tags import core_of_target
from vq_cortexm.target import BOARDS, CORES

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits_int8.onnx"
X = np.arange(-30, 30, 5, dtype=np.int8).reshape(1, 12)


def _model() -> bytes:
    rng = np.random.default_rng(0)
    net = TfliteBuilder()
    x, y = net.tensor((1, 12), 0.05, -3), net.tensor((1, 4), 0.1, 9)
    w = net.constant(rng.integers(-127, 128, (4, 12)).astype(np.int8), 0.01)
    b = net.constant(rng.integers(-999, 999, 4).astype(np.int32), 0.05 * 0.01)
    net.add("FULLY_CONNECTED", [x, w, b], [y])
    return net.build([x], [y])


MODEL = _model()


def _python(code: str) -> str:
    """What a fresh interpreter prints."""
    completed = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def _expected() -> Any:
    return run_reference(vq_cortexm.build(from_tflite(MODEL)).module, [X])[0]


def test_import_publishes_tvm_relay() -> None:
    printed = _python(
        "import tvm\n"
        "before = hasattr(tvm, 'relay')\n"
        "import vq_cortexm.relay\n"
        "import tvm.relay\n"
        "from tvm import relay\n"
        "import tvm.relay.frontend as frontend\n"
        "from tvm.relay.transform import FoldQDQ\n"
        "print(before, relay is vq_cortexm.relay, frontend is relay.frontend,\n"
        "      FoldQDQ is vq_cortexm.transform.FoldQDQ, relay.build.__module__)\n"
    )
    assert printed.split() == ["False", "True", "True", "True", "vq_cortexm.relay"]


def test_importing_the_package_alone_publishes_nothing() -> None:
    assert _python("import tvm, vq_cortexm; print(hasattr(tvm, 'relay'))") == "False\n"


def test_a_real_relay_is_never_replaced() -> None:
    printed = _python(
        "import sys, types, tvm\n"
        "real = types.ModuleType('tvm.relay')\n"
        "tvm.relay = sys.modules['tvm.relay'] = real\n"
        "import vq_cortexm.relay\n"
        "print(vq_cortexm.relay.publish(), tvm.relay is real, sys.modules['tvm.relay'] is real,\n"
        "      'tvm.relay.frontend' in sys.modules, callable(vq_cortexm.relay.build))\n"
    )
    assert printed.split() == ["False", "True", "True", "False", "True"]


def test_publishing_again_is_harmless() -> None:
    assert vq_cortexm.relay.publish()
    assert tvm.relay is vq_cortexm.relay


@pytest.mark.parametrize("kind", ["path", "string", "bytes", "parsed"])
def test_tflite_model_as_relays_users_wrote_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(MODEL)
    source: Any = {
        "path": path,
        "string": str(path),
        "bytes": MODEL,
        "parsed": tflite.Model.GetRootAsModel(MODEL, 0),
    }[kind]
    mod, params = tvm.relay.frontend.from_tflite(
        source, shape_dict={"t0": (1, 12)}, dtype_dict={"t0": "int8"}
    )
    lib = tvm.relay.build(mod, target="vq-cortexm", params=params, mod_name="net")
    result = lib.run([X], board="host")
    np.testing.assert_array_equal(result.outputs[0][0], _expected())


@pytest.mark.parametrize("kind", ["path", "proto"])
def test_onnx_model_as_relays_users_wrote_it(kind: str) -> None:
    source: Any = DIGITS if kind == "path" else onnx.load(DIGITS)
    mod, params = tvm.relay.frontend.from_onnx(source, shape={"image": (1, 1, 8, 8)})
    lib = tvm.relay.build(mod, target="vq-cortexm", params=params, mod_name="digits")
    assert lib.name == "digits"
    assert lib.run([np.zeros((1, 1, 8, 8), np.int8)], check=True).bit_exact


def test_qonnx_model_has_its_own_importers_name() -> None:
    net = QonnxNet((1, 12))
    x, w = net.quant("x", 0.05, 8), net.weight((5, 12), 4)
    product = net.node("Gemm", [x, w], transB=1)
    model = net.model(net.quant(product, 0.1, 8))
    mod, params = tvm.relay.frontend.from_qonnx(model, shape={"x": (1, 12)})
    lib = tvm.relay.build(mod, target="vq-cortexm", params=params, mod_name="net")
    assert lib.report["layers"][0]["levels"] <= 15
    assert lib.run([X], check=True).bit_exact


def test_build_takes_the_importers_pair_and_our_options() -> None:
    pair = tvm.relay.frontend.from_tflite(MODEL)
    lib = tvm.relay.build(
        pair, "vq-cortexm/cortex-m3", mod_name="net", rounding="float", io="caller"
    )
    options = lib.options
    assert (options.core.name, options.rounding, options.io) == ("cortex-m3", "float", "caller")


def test_build_without_a_name_calls_the_model_default_like_relay() -> None:
    lib = tvm.relay.build(from_tflite(MODEL), target="vq-cortexm", params={})
    assert lib.name == "default"
    assert "int32_t tvmgen_default_run(" in lib.sources["default.h"]


def test_params_are_bound_to_the_parameters_of_their_names() -> None:
    b = relax.Var("b", tensor_type((1, 4), "int8"))
    builder = relax.BlockBuilder()
    scale, zero_point = constant(np.float32(0.05)), constant(np.int32(-3))
    with builder.function("main", [x := relax.Var("x", tensor_type((1, 4), "int8")), b]):
        with builder.dataflow():
            ends = [builder.emit(relax.op.dequantize(v, scale, zero_point)) for v in (x, b)]
            total = builder.emit(relax.op.nn.softmax(ends[0]))
            result = builder.emit_output(relax.op.quantize(total, scale, zero_point))
        builder.emit_func_output(result)
    lib = tvm.relay.build(builder.get(), params={"b": np.ones((1, 4), np.int8)}, mod_name="net")
    assert [t.name for t in lib.program.inputs] == ["x"]


def _tags() -> list[str]:
    return ["vq-cortexm", *(f"vq-cortexm/{part}" for part in (*CORES, *BOARDS))]


@pytest.mark.parametrize("tag", _tags())
def test_tags_resolve_and_build_takes_them_as_targets(tag: str) -> None:
    target = tvm.target.Target(tag)
    assert target.kind.name == "c"
    assert "vq-cortexm" in list(target.keys)
    part = tag.partition("/")[2] or "cortex-m4"
    core = BOARDS[part].core.name if part in BOARDS else part
    by_target = vq_cortexm.build(from_tflite(MODEL), target)
    by_tag = vq_cortexm.build(from_tflite(MODEL), tag)
    assert by_target.options.core.name == by_tag.options.core.name == core
    assert by_target.sources == by_tag.sources


@pytest.mark.parametrize(
    "target",
    ["llvm", "vq-cortexm/cortex-m99", "vq-cortexm/mps2-an387", "", "vq-cortexm-2", {"kind": "c"}],
)
def test_unknown_target_is_refused_in_one_line(target: Any) -> None:
    with pytest.raises(UsageError, match="known: ") as caught:
        vq_cortexm.build(from_tflite(MODEL), target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "target", [{"kind": "c"}, {"kind": "c", "keys": ["vq-cortexm"], "mcpu": "cortex-m99"}]
)
def test_target_object_that_is_not_ours_is_refused_in_one_line(target: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="known: ") as caught:
        vq_cortexm.build(from_tflite(MODEL), tvm.target.Target(target))
    assert "\n" not in str(caught.value)


def _relay_text(bound: bool = True) -> tuple[str, Any]:
    """A dense layer, its weights a constant or a parameter."""
    weight = np.arange(-24, 24).astype(np.int8).reshape(4, 12)
    net = RelayBuilder()
    data = net.var("data", (1, 12))
    w = net.constant(weight) if bound else net.var("w", weight.shape)
    zero, one = net.constant(0, "int32"), net.constant(1.0, "float32")
    y = net.call("qnn.dense", [data, w, zero, zero, one, one], out_dtype="int32")
    return net.build(net.requantize(y, (0.02, 0), (1.0, 5))), weight


@pytest.mark.parametrize("bound", [True, False])
def test_saved_relay_module_is_loaded_and_built(bound: bool) -> None:
    text, weight = _relay_text(bound)
    params = {} if bound else {"w": weight}
    wanted = np.floor((X.astype(np.int64) @ weight.T.astype(np.int64)) * 0.02 + 0.5) + 5
    for mod in (tvm.relay.load_json(text, params), text):
        lib = tvm.relay.build(mod, "vq-cortexm", params=params if mod is text else None)
        result = lib.run([X], check=True)
        assert result.bit_exact
        np.testing.assert_array_equal(result.outputs[0][0], np.clip(wanted, -128, 127))


def test_library_has_what_relays_callers_ask_for(tmp_path: Path) -> None:
    executor = tvm.relay.backend.Executor("aot", {"interface-api": "c", "unpacked-api": True})
    runtime = tvm.relay.backend.Runtime("crt")
    with tvm.transform.PassContext(opt_level=3, config={"tir.disable_vectorize": True}):
        lib = tvm.relay.build(
            from_tflite(MODEL),
            "vq-cortexm -mcpu=cortex-m7",
            executor=executor,
            runtime=runtime,
            mod_name="net",
        )
    described, source, params = lib
    assert json.loads(described)["core"] == lib.options.core.name == "cortex-m7"
    assert params == lib.get_params() == {}
    assert "int32_t tvmgen_net_run(" in source.get_source()
    path = lib.export_library(tmp_path / "net.tar")
    with tarfile.open(path) as archive:
        assert {name.removeprefix("./") for name in archive.getnames()} == set(lib.sources)
    again = source.export_library(tmp_path / "again.tar")
    assert path.read_bytes() == again.read_bytes()


def test_function_metadata_counts_every_byte() -> None:
    lib = tvm.relay.build(from_tflite(MODEL), "vq-cortexm/cortex-m4", mod_name="net")
    tag, found = "vq-cortexm/cortex-m4", lib.function_metadata
    main = found.pop("__tvm_main__")
    assert main.io_sizes[tag] == 12 + 4
    assert main.workspace_sizes[tag] + 16 >= lib.plan.arena_bytes
    assert main.constant_sizes[tag] == sum(c.value.nbytes for c in lib.program.constants)
    assert sum(info.constant_sizes[tag] for info in found.values()) == main.constant_sizes[tag]
    assert all(f"{name}(" in lib.get_lib().get_source() for name in found)


def test_what_a_library_of_c_has_not_is_refused_in_one_line(tmp_path: Path) -> None:
    lib = tvm.relay.build(from_tflite(MODEL), mod_name="net")
    with pytest.raises(UsageError, match="ahead of time and has no graph"):
        lib.get_graph_json()
    with pytest.raises(UsageError, match=r"an ending \.tar works"):
        lib.export_library(tmp_path / "net.so")
    with pytest.raises(UsageError, match="it has no 'll'"):
        lib.get_lib().get_source("ll")


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda r: r.backend.Executor("graph"), "unknown executor 'graph'; known: aot"),
        (lambda r: r.backend.Executor("aot", {"unpackedapi": True}), "did you mean 'unpacked-api'"),
        (lambda r: r.backend.Executor("aot", {"interface-api": "packed"}), "'c' works"),
        (lambda r: r.backend.Runtime("cpp"), "unknown runtime 'cpp'; known: crt"),
        (lambda r: r.backend.Runtime("crt", {"system-lib": True}), "False works"),
        (lambda r: r.build(None, executor="graph"), "unknown executor 'graph'"),
        (lambda r: r.build(None, rouding="single"), "did you mean 'rounding'"),
        (lambda r: r.build(None, target_host="c"), "unknown option of build 'target_host'"),
    ],
)
def test_unknown_option_names_the_nearest(make: Any, names: str) -> None:
    with pytest.raises(UsageError, match=names) as caught:
        make(tvm.relay)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "core"),
    [
        ("vq-cortexm -mcpu=cortex-m7", "cortex-m7"),
        ("vq-cortexm --mcpu=cortex-m0", "cortex-m0"),
        ("vq-cortexm -board=mps2-an385", "cortex-m3"),
        ("c -keys=vq-cortexm,cpu -mcpu=cortex-m33", "cortex-m33"),
        ("c -keys=vq-cortexm", "cortex-m4"),
    ],
)
def test_target_with_options(target: str, core: str) -> None:
    assert core_of_target(target).name == core


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("vq-cortexm -mcp=cortex-m7", "unknown option '-mcp=cortex-m7'; did you mean -mcpu="),
        ("vq-cortexm -mcpu", "unknown option '-mcpu'; did you mean -mcpu"),
        ("vq-cortexm -mcpu=cortex-m77", "unknown core 'cortex-m77'; did you mean 'cortex-m7'"),
        ("vq-cortexm -board=mps2-an385 -mcpu=cortex-m4", "mps2-an385 has a cortex-m3"),
        ("c -mcpu=cortex-m4", "is not ours; known: "),
        ("llvm -mcpu=cortex-m4", "is not ours; known: "),
    ],
)
def test_wrong_option_of_a_target_names_the_nearest(target: str, names: str) -> None:
    with pytest.raises(UsageError, match=names):
        core_of_target(target)


def test_pass_options_have_their_old_names_too() -> None:
    with tvm.transform.PassContext(opt_level=2, config={"tir.usmp.enable": True}) as context:
        assert dict(context.config) == {}
    with tvm.transform.PassContext(config={"tir.disable_vectorize": True}) as context:
        assert dict(context.config) == {"tirx.disable_vectorize": True}
    with pytest.raises(AttributeError, match=r"tir\.disable_vector"):
        tvm.transform.PassContext(config={"tir.disable_vector": True})
