"""The plain 8-bit TFLite model of a virtually quantized build, run by LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from tflite_builder import TfliteBuilder, run_litert, run_tflm
from tiny_nets import NETS, Net, keywords

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import load
from vq_cortexm.frontend.tflite_file import read_graph
from vq_cortexm.samples import random_samples
from vq_cortexm.transform import LayerLevels, VirtualQuantizeConfig

SAMPLES = 10
ASKED: dict[str, dict[str, Any]] = {
    "bits-4": {"bits": 4},
    "levels-3": {"levels": 3},
    "levels-5": {"levels": 5},
    "levels-11": {"levels": 11},
    "levels-100": {"levels": 100},
    "codebook-6": {"vq": VirtualQuantizeConfig(6, codebook=True)},
    "by-layer": {"vq": VirtualQuantizeConfig(2, layers={"conv_2d_0": LayerLevels()})},
}
INTERPRETERS = {"float": run_litert, "double": run_tflm}


def export(data: bytes, folder: Path, **asked: Any) -> tuple[Path, bytes]:
    """The model's file and what it is exported as."""
    source, output = folder / "net.tflite", folder / "plain.tflite"
    source.write_bytes(data)
    assert vq_cortexm.export_int8(source, output, **asked) == output
    return source, output.read_bytes()


def check(data: bytes, folder: Path, rounding: Any = "float", **asked: Any) -> None:
    """The exported model's interpreter and the compiled code agree on random inputs."""
    source, exported = export(data, folder, **asked)
    assert exported != data
    compiled = vq_cortexm.build(load(source), rounding=rounding, **asked)
    samples = random_samples(compiled.program.inputs, SAMPLES, seed=1)
    result = compiled.run(samples, "host", check=True)
    assert result.bit_exact
    assert len({outputs[0].tobytes() for outputs in result.outputs}) > 2
    for (sample,), (output,) in zip(samples, result.outputs, strict=True):
        np.testing.assert_array_equal(INTERPRETERS[rounding](exported, sample), output)


@pytest.mark.parametrize(
    ("net", "asked"),
    [
        ("autoencoder", "bits-4"),
        ("autoencoder", "codebook-6"),
        ("keywords", "levels-3"),
        ("residual", "levels-11"),
        ("wake_words", "levels-100"),
        ("wake_words", "by-layer"),
    ],
)
def test_litert_equals_the_device(net: str, asked: str, tmp_path: Path) -> None:
    check(NETS[net](), tmp_path, **ASKED[asked])


@pytest.mark.slow
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("net", NETS)
def test_litert_equals_the_device_for_all(net: str, asked: str, tmp_path: Path) -> None:
    if net == "autoencoder" and asked == "by-layer":
        asked = "bits-4"  # it has no convolution to name
    check(NETS[net](), tmp_path, **ASKED[asked])


def test_tflite_micro_equals_the_device(tmp_path: Path) -> None:
    """One scale for each channel of convolutions, and for whole dense layers."""
    check(keywords(), tmp_path, "double", vq=VirtualQuantizeConfig(6, codebook=True))


def test_nothing_else_changes(tmp_path: Path) -> None:
    data = keywords()
    source, exported = export(data, tmp_path, levels=5)
    before, after = (read_graph(d, "net") for d in (data, exported))
    assert after.inputs == before.inputs
    assert after.outputs == before.outputs
    assert [(o.name, o.inputs, o.outputs) for o in after.operators] == [
        (o.name, o.inputs, o.outputs) for o in before.operators
    ]
    constants = {i for o in before.operators for i in o.inputs[1:] if "2D" in o.name}
    constants |= {i for o in before.operators for i in o.inputs[1:] if o.name == "FULLY_CONNECTED"}
    for index, (old, new) in enumerate(zip(before.tensors, after.tensors, strict=True)):
        assert (new.name, new.shape, new.dtype) == (old.name, old.shape, old.dtype)
        if index not in constants:
            assert repr(new) == repr(old)
        elif old.dtype == "int8" and new.data is not None:
            assert len(np.unique(new.data)) <= 5
    # the file is the old one, written over in places, with scales behind it
    assert len(exported) > len(data)
    old, new = (np.frombuffer(d[: len(data)], np.uint8) for d in (data, exported))
    sizes = [before.tensors[i].data for i in constants]
    assert 0 < (old != new).sum() <= sum(d.nbytes + 4 for d in sizes if d is not None)
    assert source.read_bytes() == data


@pytest.mark.parametrize("asked", [{}, {"bits": 8}, {"levels": 256}])
def test_nothing_asked_is_the_same_file(asked: dict[str, int], tmp_path: Path) -> None:
    data = keywords()
    assert export(data, tmp_path, **asked)[1] == data


def test_dense_layers_get_scales_by_channel_where_they_need_them(tmp_path: Path) -> None:
    data = NETS["autoencoder"]()
    scales = []
    for asked in ({"levels": 5}, {"vq": VirtualQuantizeConfig(5, codebook=True)}):
        graph = read_graph(export(data, tmp_path, **asked)[1], "net")
        quantization = graph.tensors[graph.operators[0].inputs[1]].quantization
        assert quantization is not None
        scales.append(len(quantization.scale))
    assert scales == [24, 1]


def _shared(second: int, tied: bool) -> bytes:
    """Two dense layers whose constants lie in one buffer, the second's scale `second` times the
    first's; `tied`: in one tensor."""
    net = Net(seed=5)
    x, middle, y = (net.activation(8) for _ in range(3))
    w, b = net.weights((8, 8), 0, True)
    net.add("FULLY_CONNECTED", [x, w, b], [middle])
    value = np.frombuffer(net._tensors[w].data or b"", np.int8).reshape(8, 8)
    again = w if tied else net.constant(value, 0.01 * second)
    net.add("FULLY_CONNECTED", [middle, again], [y])
    data = bytearray(net.build([x], [y]))
    if not tied:
        table = tflite.Model.GetRootAsModel(data, 0).Subgraphs(0).Tensors(again)._tab
        field = table.Pos + table.Offset(8)
        data[field : field + 4] = (w + 1).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("tied", [False, True])
def test_shared_constants_stay_shared(tied: bool, tmp_path: Path) -> None:
    check(_shared(1, tied), tmp_path, levels=7)


@pytest.mark.parametrize(("tied", "names"), [(True, "share the tensor"), (False, "share their")])
def test_shared_constants_that_would_differ_are_refused(
    tied: bool, names: str, tmp_path: Path
) -> None:
    layers = {"fully_connected_1": LayerLevels(3)}
    with pytest.raises(ModelError) as caught:
        export(_shared(1, tied), tmp_path, vq=VirtualQuantizeConfig(9, layers=layers))
    assert names in str(caught.value)
    assert str(caught.value).startswith("net.tflite: ")
    assert not (tmp_path / "plain.tflite").exists()


def test_uint8_weights_are_refused(tmp_path: Path) -> None:
    net = TfliteBuilder()
    x, y = (net.tensor((1, 6), 0.05, 120, "uint8") for _ in range(2))
    rng = np.random.default_rng(6)
    w = net.constant(rng.integers(0, 100, (6, 6)).astype(np.uint8), 0.01)
    net.add("FULLY_CONNECTED", [x, w], [y])
    with pytest.raises(ModelError, match="only int8 weights have many scales"):
        export(net.build([x], [y]), tmp_path, levels=3)


def test_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.tflite"):
        vq_cortexm.export_int8(tmp_path / "none.tflite", tmp_path / "x.tflite", bits=4)
