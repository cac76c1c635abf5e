"""An 8-bit net that is trained to help a binary one.

    boosted = train_boosted(net, fast, data, schedule)
    set_factors(boosted, held_out)
    export_qonnx(boosted.accurate, x[:1], "boosted.onnx")
    print(boosted.factors())

Where the binary net is unsure the answer is the sum of both nets' logits, each with a factor. The
8-bit net and the factors are trained for this sum, as a step of boosting is: samples count more
the less the binary net, which stays as it is, answers them rightly and with a margin. Both nets are
surer of what they were trained on; `set_factors` weighs them by what they answer to other samples.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..transform.vq_config import VirtualQuantizeConfig
from .convert import quantize_model
from .loop import Augment, Objective, Samples, Schedule, distance, fit, logits
from .session import CALIBRATION_SAMPLES


@dataclass(frozen=True)
class Factors:
    """Of both nets' logits in the combined answer; positive."""

    fast: float
    accurate: float


class Boosted(nn.Module):  # type: ignore[misc]
    """Both nets, and their factors' logarithms; of the binary net nothing is trained."""

    def __init__(self, fast: nn.Module, accurate: nn.Module, start: Factors) -> None:
        super().__init__()
        self.fast = copy.deepcopy(fast).requires_grad_(False)
        self.accurate = accurate
        self.log_factors = nn.Parameter(torch.tensor([start.fast, start.accurate]).log())

    def train(self, mode: bool = True) -> Boosted:
        """Training mode, but for the binary net."""
        super().train(mode)
        self.fast.eval()
        return self

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of the binary net, and of the 8-bit net."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            fast = self.fast(x)
        return fast, self.accurate(x).float()

    def combined(self, fast: Tensor, accurate: Tensor) -> Tensor:
        """The answer of both nets' logits (N, classes)."""
        of_fast, of_accurate = self.log_factors.exp()
        return of_fast * fast + of_accurate * accurate

    def forward(self, x: Tensor) -> Tensor:
        """The combined answer (N, classes) to inputs (N, ...)."""
        return self.combined(*self.parts(x))

    def factors(self) -> Factors:
        """As numbers."""
        return Factors(*(float(factor) for factor in self.log_factors.detach().exp()))


def train_boosted(
    model: nn.Module,
    fast: nn.Module,
    data: Samples,
    schedule: Schedule,
    *,
    emphasis: float = 1.0,
    independence: float = 0.0,
    start: Factors = Factors(0.5, 1.0),
    input_scale: float | None = None,
    augment: Augment | None = None,
    checkpoint: str | Path | None = None,
    title: str = "boosted",
) -> Boosted:
    """The 8-bit net made of `model`, trained further together with the factors.

    `model` is a float classifier that is trained already, and the teacher of the 8-bit net;
    `fast` is the trained binary net. Both stay as they are. A sample's weight grows from 1 to
    1 + `emphasis` with the binary net's doubt (`doubt`). What is taught is the combined answer,
    with the share `independence` (0 to 1) the 8-bit net alone: better where there are few samples,
    which the binary net knows too well. The rest is as `train_quantized` has it.
    """
    teacher = copy.deepcopy(model).eval()
    first = data.x[:CALIBRATION_SAMPLES]
    accurate = quantize_model(teacher, VirtualQuantizeConfig(), first, input_scale=input_scale)
    boosted = Boosted(fast, accurate, start)
    boosted.to(next(model.parameters()).device)
    fit(
        boosted,
        data,
        schedule,
        augment=augment,
        objective=boosting(schedule, teacher, start, emphasis, independence),
        checkpoint=checkpoint,
        title=title,
    )
    return boosted


def set_factors(boosted: Boosted, data: Samples) -> None:
    """Sets the factors to those of the least cross entropy on samples of no training."""
    device = boosted.log_factors.device
    fast, accurate = (logits(net, data.x).to(device) for net in (boosted.fast, boosted.accurate))
    y = data.y.to(device)
    optimizer = torch.optim.LBFGS(
        [boosted.log_factors], max_iter=100, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = F.cross_entropy(boosted.combined(fast, accurate), y)
        found.backward()
        return found

    optimizer.step(loss)


def boosting(
    schedule: Schedule,
    teacher: nn.Module,
    start: Factors,
    emphasis: float = 1.0,
    independence: float = 0.0,
) -> Objective:
    """The combined answer's cross entropy, and the teachers' share of its distance to theirs;
    means in which each sample has its weight. The teachers are the float net and the binary net,
    whose logits are added as both nets' are at the `start`: alone the float net would teach the
    8-bit net to answer what the binary net knows already. This it does with `independence`."""

    def objective(model: Boosted, x: Tensor, y: Tensor) -> Tensor:
        fast, accurate = model.parts(x)
        answer = model.combined(fast, accurate)
        loss = F.cross_entropy(
            answer, y, label_smoothing=schedule.label_smoothing, reduction="none"
        )
        with torch.no_grad():
            alone = teacher(x).float()
            both = start.fast * fast + start.accurate * alone
        taught = torch.lerp(distance(answer, both), distance(accurate, alone), independence)
        loss = torch.lerp(loss, taught, schedule.distillation)
        weight = 1 + emphasis * doubt(fast, y)
        return (weight * loss).sum() / weight.sum()

    return objective


def doubt(fast: Tensor, y: Tensor) -> Tensor:
    """Of answers (N, classes) to labels (N,): from 0 where the label has all the probability to 1
    where another class has it; 1/2 where the label is next to another."""
    probabilities = fast.softmax(1)
    label = F.one_hot(y, fast.shape[1]).bool()
    right = probabilities[label]
    other = probabilities.masked_fill(label, 0).amax(1)
    return (1 + other - right) / 2
