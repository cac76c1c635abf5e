"""The training loop: repeatable, and an interrupted training goes on where it was."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vq_cortexm.errors import UsageError
from vq_cortexm.train import Samples, Schedule, accuracy, fit

SCHEDULE = Schedule(epochs=3, learning_rate=0.01, batch=64, seed=5)


def _net() -> nn.Module:
    torch.manual_seed(1)
    layers = nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(36, 10))


def _noisy(x: Tensor, chance: torch.Generator) -> Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=chance)


def _assert_equal(one: nn.Module, two: nn.Module) -> None:
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_training_learns_and_repeats(digits: tuple[Samples, Samples]) -> None:
    chance = torch.get_rng_state()
    nets = [_net(), _net()]
    before = accuracy(nets[0], digits[1])
    torch.manual_seed(2)
    fit(nets[0], digits[0], SCHEDULE, augment=_noisy)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    fit(nets[1], digits[0], SCHEDULE, augment=_noisy)
    assert torch.equal(torch.get_rng_state(), state)
    torch.set_rng_state(chance)
    _assert_equal(*nets)
    assert accuracy(nets[0], digits[1]) > max(0.7, before)
    assert not nets[0].training


def test_interrupted_training_goes_on_from_its_checkpoint(
    digits: tuple[Samples, Samples], tmp_path: Path
) -> None:
    data, path, calls = digits[0], tmp_path / "made" / "net.pt", 0
    whole, parts = _net(), _net()
    fit(whole, data, SCHEDULE, augment=_noisy)

    def stop(x: Tensor, chance: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 40:
            raise KeyboardInterrupt
        return _noisy(x, chance)

    with pytest.raises(KeyboardInterrupt):
        fit(parts, data, SCHEDULE, augment=stop, checkpoint=path)
    resumed = _net()
    fit(resumed, data, SCHEDULE, augment=_noisy, checkpoint=path)
    _assert_equal(whole, resumed)
    assert [file.name for file in path.parent.iterdir()] == ["net.pt"]

    done = _net()
    fit(done, data, SCHEDULE, checkpoint=path)
    _assert_equal(whole, done)


def test_checkpoint_of_another_schedule_or_model_is_refused(
    digits: tuple[Samples, Samples], tmp_path: Path
) -> None:
    path = tmp_path / "net.pt"
    fit(_net(), digits[0], Schedule(epochs=1), checkpoint=path)
    other = "another schedule, model or data; delete it to begin anew$"
    with pytest.raises(UsageError, match=other):
        fit(_net(), digits[0], SCHEDULE, checkpoint=path)
    more = Samples(*(torch.cat(pair) for pair in zip(*map(astuple, digits), strict=True)))
    with pytest.raises(UsageError, match=other):
        fit(_net(), more, Schedule(epochs=1), checkpoint=path)
    with pytest.raises(UsageError, match=other):
        fit(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
            digits[0],
            Schedule(epochs=1),
            checkpoint=path,
        )
    path.write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match="no checkpoint; delete it"):
        fit(_net(), digits[0], SCHEDULE, checkpoint=path)


def test_checkpoint_of_a_gpu_is_read_without_one(
    digits: tuple[Samples, Samples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = tmp_path / "net.pt", Samples(digits[0].x[:64], digits[0].y[:64])
    done, again = _net(), _net()
    with monkeypatch.context() as patched:
        patched.setattr("torch.serialization.location_tag", lambda _: "cuda:0")
        fit(done, data, SCHEDULE, checkpoint=path)
    fit(again, data, SCHEDULE, checkpoint=path)
    _assert_equal(done, again)


def test_a_last_single_sample_goes_with_the_batch_before_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = Samples(torch.randn(33, 6), torch.arange(33) % 3)
    schedule, sizes = Schedule(epochs=2, batch=16), []

    def seen(x: Tensor, _: torch.Generator) -> Tensor:
        sizes.append(len(x))
        return x

    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    fit(net, data, schedule, augment=seen, checkpoint=tmp_path / "net.pt")
    assert sizes == [16, 17] * 2
    kept = torch.load(tmp_path / "net.pt", weights_only=True)
    assert kept["cycle"]["total_steps"] == len(sizes)
    sizes.clear()
    fit(nn.Linear(6, 3), data, Schedule(epochs=1, batch=1), augment=seen)
    fit(nn.Linear(6, 3), data, Schedule(epochs=1, batch=31), augment=seen)
    assert sizes == [1] * 33 + [31, 2]


def test_data_without_labels_for_all_are_refused() -> None:
    with pytest.raises(UsageError, match="3 samples and 2 labels"):
        Samples(torch.zeros(3, 1), torch.zeros(2, dtype=torch.int64))
