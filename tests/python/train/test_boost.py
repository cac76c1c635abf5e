"""The 8-bit net that helps a binary one: what counts, what is trained, and that it repeats."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vq_cortexm.train import (
    BinaryLinear,
    Boosted,
    Factors,
    Samples,
    Schedule,
    Sign,
    accuracy,
    fit,
    logits,
    set_factors,
    train_boosted,
)
from vq_cortexm.train.boost import boosting, doubt

Digits = tuple[Samples, Samples]
SCHEDULE = Schedule(epochs=2, learning_rate=0.005, batch=64, seed=2)


@pytest.fixture(scope="module")
def fast(digits: Digits) -> nn.Module:
    """A net that is right on most of the digits."""
    torch.manual_seed(0)
    hidden = BinaryLinear(64, 32), nn.BatchNorm1d(32), nn.ReLU()
    made = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), Sign(), *hidden, nn.Linear(32, 10))
    fit(made, digits[0], Schedule(epochs=4, learning_rate=0.02, batch=64))
    return made


@pytest.fixture(scope="module")
def boosted(net: nn.Module, fast: nn.Module, digits: Digits) -> Boosted:
    return train_boosted(net, fast, digits[0], SCHEDULE, input_scale=1 / 64)


def test_doubt_is_least_where_the_label_has_all_the_probability() -> None:
    answers = torch.tensor([[20.0, 0, 0], [0, 20.0, 0], [3.0, 3.0, -20], [1.0, 0.0, -20]])
    found = doubt(answers, torch.zeros(4, dtype=torch.int64))
    assert found[:3].tolist() == pytest.approx([0, 1, 0.5], abs=1e-6)
    assert 0 < found[3] < 0.5


class _Fixed(nn.Module):
    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer


def test_what_the_fast_net_doubts_counts_more() -> None:
    """One sample that it is sure of and one that it is wrong about, both answered alike."""
    accurate = _Fixed(torch.zeros(2, 2))
    pair = Boosted(_Fixed(torch.tensor([[9.0, 0], [9.0, 0]])), accurate, Factors(1e-9, 1))
    objective = boosting(Schedule(distillation=0), accurate, Factors(1, 1), emphasis=3)
    objective(pair, torch.zeros(2, 1), torch.tensor([0, 1])).backward()
    first, second = accurate.answer.grad
    # gradients of the cross entropy are 1/2 each way, weights 1 and 1 + 3
    assert first.tolist() == pytest.approx([-0.1, 0.1], abs=1e-3)
    assert second.tolist() == pytest.approx([0.4, -0.4], abs=1e-3)


def test_both_teachers_are_what_the_combined_answer_comes_near() -> None:
    """Nothing is left to learn where the 8-bit net answers as the float net does."""
    answers = torch.tensor([[1.0, -2], [0.5, 3]])
    fast, start = _Fixed(torch.tensor([[2.0, 1], [-1, 4]])), Factors(0.5, 2)
    x, y = torch.zeros(2, 1), torch.tensor([0, 1])
    for other, reached in ((answers, True), (answers + torch.tensor([1.0, 0]), False)):
        accurate = _Fixed(other)
        objective = boosting(Schedule(distillation=1), _Fixed(answers), start, emphasis=1)
        loss = objective(Boosted(fast, accurate, start), x, y)
        assert (loss.item() < 1e-6) == reached


def test_answer_is_the_sum_of_both_nets_logits(boosted: Boosted, digits: Digits) -> None:
    x, factors = digits[1].x, boosted.factors()
    wanted = factors.fast * logits(boosted.fast, x) + factors.accurate * logits(boosted.accurate, x)
    torch.testing.assert_close(logits(boosted, x), wanted)
    assert accuracy(boosted, digits[1]) > max(0.9, accuracy(boosted.fast, digits[1]))


def test_factors_weigh_the_nets_by_what_they_answer_to_other_samples() -> None:
    """A net that is right on all and one that is right by chance, both as sure."""
    torch.manual_seed(0)
    y = torch.randint(3, (200,))
    x = torch.stack([torch.randint(3, (200,)), torch.where(torch.rand(200) < 0.9, y, 0)], 1)
    pair = Boosted(_Column(0), _Column(1), Factors(1, 1))
    set_factors(pair, Samples(x.float(), y))
    factors = pair.factors()
    assert 0 < factors.fast < 0.2 < 2 < factors.accurate
    assert accuracy(pair, Samples(x.float(), y)) == pytest.approx(
        accuracy(_Column(1), Samples(x.float(), y))
    )


class _Column(nn.Module):
    """Answers with the class that a column of the inputs names."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.one * nn.functional.one_hot(x[:, self.column].long(), 3)


def test_only_the_8_bit_net_and_the_factors_are_trained(
    boosted: Boosted, net: nn.Module, fast: nn.Module, digits: Digits
) -> None:
    for before, after in ((fast, boosted.fast), (net, net)):
        for name, value in before.state_dict().items():
            assert torch.equal(after.state_dict()[name], value)
    assert boosted.factors() != Factors(0.5, 1.0)
    assert not torch.equal(logits(boosted.accurate, digits[1].x), logits(net, digits[1].x))
    assert not boosted.train().fast.training
    boosted.eval()


def test_interrupted_training_goes_on_from_its_checkpoint(
    boosted: Boosted, net: nn.Module, fast: nn.Module, digits: Digits, tmp_path: Path
) -> None:
    calls, path = 0, tmp_path / "boosted.pt"

    def stop(x: Tensor, chance: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > 30:
            raise KeyboardInterrupt
        return x

    with pytest.raises(KeyboardInterrupt):
        train_boosted(
            net, fast, digits[0], SCHEDULE, input_scale=1 / 64, augment=stop, checkpoint=path
        )
    again = train_boosted(net, fast, digits[0], SCHEDULE, input_scale=1 / 64, checkpoint=path)
    for one, two in zip(again.state_dict().values(), boosted.state_dict().values(), strict=True):
        assert torch.equal(one, two)
