"""What VirtualQuantize can be asked for, in Python and in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vq_cortexm.errors import UsageError
from vq_cortexm.transform import LayerLevels, VirtualQuantizeConfig
from vq_cortexm.transform.vq_config import requested_quantization


def test_first_glob_that_matches_counts() -> None:
    config = VirtualQuantizeConfig(
        5, layers={"conv_2d_0": LayerLevels(), "conv_*": LayerLevels(3, codebook=True)}
    )
    assert config.levels_of("conv_2d_0") == LayerLevels(256)
    assert config.levels_of("conv_2d_1") == LayerLevels(3, codebook=True)
    assert (config.levels_of("dense").levels, config.levels_of("dense").codebook) == (5, False)
    assert config.levels_of("CONV_2d_1").levels == 5


def test_file_is_read_and_written_alike(tmp_path: Path) -> None:
    path = tmp_path / "vq.json"
    content = {
        "bits": 4,
        "layers": {"conv_2d_0": {"bits": 8}, "fully_*": {"levels": 11, "codebook": True}},
    }
    path.write_text(json.dumps(content))
    config = VirtualQuantizeConfig.from_file(path)
    layers = {"conv_2d_0": LayerLevels(256), "fully_*": LayerLevels(11, codebook=True)}
    assert config == VirtualQuantizeConfig(16, layers=layers)
    path.write_text(json.dumps(config.to_json()))
    assert VirtualQuantizeConfig.from_file(str(path)) == config


def test_empty_file_asks_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vq.json"
    path.write_text("{}")
    assert VirtualQuantizeConfig.from_file(path).changes_nothing
    assert not VirtualQuantizeConfig(255).changes_nothing
    assert not VirtualQuantizeConfig(layers={"*": LayerLevels(2)}).changes_nothing


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"bits": 4', "line 1: not JSON"),
        ("[]", "the file is no JSON object"),
        ('{"level": 4}', "unknown key 'level'; known: bits, levels, codebook, realisation, layers"),
        ('{"bits": 9}', "bits is 9; whole numbers from 1 to 8 work"),
        ('{"bits": 0}', "bits is 0"),
        ('{"levels": 1}', "levels is 1; whole numbers from 2 to 256 work"),
        ('{"levels": 257}', "levels is 257"),
        ('{"levels": 2.5}', "levels is 2.5"),
        ('{"levels": true}', "levels is True"),
        ('{"bits": 4, "levels": 16}', "bits and levels exclude each other"),
        ('{"codebook": 1}', "codebook is 1; true and false work"),
        ('{"layers": []}', "layers is no object"),
        ('{"layers": {"a": 4}}', "layers['a'] is no JSON object; known keys: bits, levels"),
        ('{"layers": {"a": {"layers": {}}}}', "layers['a']: unknown key 'layers'"),
        ('{"layers": {"a": {"bits": "4"}}}', "layers['a'].bits is '4'; whole numbers from 1 to 8"),
    ],
)
def test_file_that_is_wrong_is_one_line(text: str, names: str, tmp_path: Path) -> None:
    path = tmp_path / "vq.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        VirtualQuantizeConfig.from_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert names in message
    assert "\n" not in message


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.json: No such file"):
        VirtualQuantizeConfig.from_file(tmp_path / "none.json")
    for content in (b"\xff\xfe\x00", b"[" * 100_000, b'{"bits": ' + b"9" * 5000 + b"}"):
        (tmp_path / "odd").write_bytes(content)
        with pytest.raises(UsageError, match="odd: not a JSON file"):
            VirtualQuantizeConfig.from_file(tmp_path / "odd")


def test_one_option_at_most() -> None:
    config = VirtualQuantizeConfig(7)
    assert requested_quantization() is None
    assert requested_quantization(bits=3) == VirtualQuantizeConfig(8)
    assert requested_quantization(levels=3) == VirtualQuantizeConfig(3)
    assert requested_quantization(vq=config) is config
    with pytest.raises(UsageError, match="bits and levels exclude each other"):
        requested_quantization(bits=2, levels=4)
    with pytest.raises(UsageError, match="levels and vq exclude each other"):
        requested_quantization(levels=4, vq=config)


@pytest.mark.parametrize("options", [{"bits": 0}, {"bits": 9}, {"levels": 1}, {"levels": 257}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="whole numbers from"):
        requested_quantization(**options)
    if "levels" in options:
        with pytest.raises(UsageError, match="levels is"):
            LayerLevels(**options)
