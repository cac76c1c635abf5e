"""The training loop of float and of quantized models: AdamW on a one-cycle schedule."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UsageError
from ..files import write_atomically
from .quantizers import Levels

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""A batch and a source of chance to another batch of the same shape."""

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""A model, inputs (N, ...) and labels (N,) to the mean loss, which is to become small."""

_EVALUATION_BATCH = 500


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs x (N, ...) float32, as the model takes them, and labels y (N,) int64."""

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or not len(self.x):
            raise UsageError(
                f"training data of {len(self.x)} samples and {len(self.y)} labels; as many of both "
                "work"
            )


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; `learning_rate` is the highest of the cycle.

    `distillation` (0 to 1) is the teacher's share of the loss, where there is a teacher. With
    `bfloat16` convolutions and dense layers compute in that type, which CPUs with instructions
    for it do about twice as fast; weights and losses stay float32. It is not meant for models
    with quantizers, whose steps it rounds.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    batch: int = 128
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    distillation: float = 0.5
    seed: int = 0
    bfloat16: bool = False


def fit(
    model: nn.Module,
    data: Samples,
    schedule: Schedule,
    *,
    augment: Augment | None = None,
    teacher: nn.Module | None = None,
    objective: Objective | None = None,
    checkpoint: str | Path | None = None,
    title: str = "training",
) -> None:
    """Trains a classifier in place, and leaves it ready for inference.

    The loss is `objective`, by default the labels' cross entropy and the distance to the teacher.
    The same seed, data and model give the same result on one machine. After every epoch all that
    is needed to go on is written to `checkpoint`; if that file is there, training goes on from it.
    Raises UsageError for one of another schedule, model or number of samples.
    """
    device = next(model.parameters()).device
    loss_of = objective or classification(schedule, teacher)
    steps = len(_batches(torch.arange(len(data.x)), schedule.batch))
    optimizer = torch.optim.AdamW(_groups(model, schedule), lr=schedule.learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=schedule.epochs * steps
    )
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "cycle": cycle}
    described = _describe(model, data, schedule)
    first = _resume(checkpoint, parts, described)
    with _progress() as progress, torch.random.fork_rng():
        task = progress.add_task(title, total=schedule.epochs * steps, completed=first * steps)
        for epoch in range(first, schedule.epochs):
            chance = torch.Generator().manual_seed(schedule.seed * 10_000 + epoch)
            torch.manual_seed(schedule.seed * 10_000 + epoch)
            model.train()
            order = torch.randperm(len(data.x), generator=chance)
            for batch in _batches(order, schedule.batch):
                x, y = data.x[batch], data.y[batch].to(device)
                x = _ready(augment(x, chance) if augment else x, device)
                optimizer.zero_grad()
                with torch.autocast(device.type, torch.bfloat16, enabled=schedule.bfloat16):
                    loss = loss_of(model, x, y)
                loss.backward()
                optimizer.step()
                cycle.step()
                progress.update(task, advance=1, description=f"{title}, loss {loss.item():.3f}")
            _keep(checkpoint, parts, described, epoch + 1)
    model.eval()


def classification(schedule: Schedule, teacher: nn.Module | None = None) -> Objective:
    """The labels' cross entropy, and the teacher's share of the distance to its answers."""

    def objective(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        answer = model(x).float()
        loss = F.cross_entropy(answer, y, label_smoothing=schedule.label_smoothing)
        if teacher is None:
            return loss
        with torch.no_grad():
            wanted = teacher(x).float()
        return torch.lerp(loss, distance(answer, wanted).mean(), schedule.distillation)

    return objective


def distance(answer: Tensor, wanted: Tensor) -> Tensor:
    """How far logits (N, classes) are from a teacher's to the same inputs: divergences (N,)."""
    kept = F.kl_div(answer.log_softmax(1), wanted.log_softmax(1), reduction="none", log_target=True)
    return kept.sum(1)


def logits(model: nn.Module, x: Tensor) -> Tensor:
    """What a model answers to all samples, float32 (N, classes), on the CPU."""
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [model(_ready(batch, device)).cpu() for batch in x.split(_EVALUATION_BATCH)]
    return torch.cat(parts)


def accuracy(model: nn.Module, data: Samples) -> float:
    """The share of right answers, 0 to 1."""
    return float((logits(model, data.x).argmax(1) == data.y).float().mean())


def _groups(model: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    """Only matrices decay: biases, batch norms and quantizers' scales do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    chosen = {id(p) for p in matrices}
    return [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": [p for p in parameters if id(p) not in chosen], "weight_decay": 0.0},
    ]


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """An epoch's samples, in this order. A last single one goes with the batch before it: of one
    sample a batch norm behind a dense layer knows no variance."""
    batches = list(order.split(size))
    if len(order) > size and len(order) % size == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _ready(x: Tensor, device: torch.device) -> Tensor:
    """Convolutions on the CPU are fastest with the channels innermost."""
    x = x.to(device)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _describe(model: nn.Module, data: Samples, schedule: Schedule) -> dict[str, Any]:
    """What makes a training another one, beside the shapes of what is trained: of a quantized model
    also levels and constants, such as the scale of its input, which no state holds."""
    state = model.state_dict()
    quantizers = {name: part for name, part in model.named_modules() if isinstance(part, Levels)}
    return {
        "schedule": asdict(schedule),
        "samples": len(data.x),
        "levels": {name: [q.lowest, q.highest] for name, q in quantizers.items()},
        "constants": {n: v.tolist() for n, v in model.named_buffers() if n not in state},
    }


def _resume(checkpoint: str | Path | None, parts: dict[str, Any], described: dict[str, Any]) -> int:
    """The epoch to go on with."""
    if checkpoint is None or not Path(checkpoint).is_file():
        return 0
    try:
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
        epoch = int(kept["epoch"])
    except Exception as error:  # torch raises many types on files that are none of its own
        raise UsageError(f"{checkpoint}: no checkpoint; delete it to begin anew") from error
    shapes = {name: value.shape for name, value in parts["model"].state_dict().items()}
    is_same = all(kept.get(name) == value for name, value in described.items())
    if not is_same or shapes != {name: value.shape for name, value in kept["model"].items()}:
        raise UsageError(
            f"{checkpoint}: of another schedule, model or data; delete it to begin anew"
        )
    with torch.no_grad():
        # in place: Brevitas' way of loading makes new parameters, of which the optimizer knows not
        for name, value in parts["model"].state_dict().items():
            value.copy_(kept["model"][name])
    for name in "optimizer", "cycle":
        parts[name].load_state_dict(kept[name])
    return epoch


def _keep(
    checkpoint: str | Path | None, parts: dict[str, Any], described: dict[str, Any], epoch: int
) -> None:
    if checkpoint is None:
        return
    path = Path(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    states = {name: part.state_dict() for name, part in parts.items()}
    content = io.BytesIO()
    torch.save({**states, **described, "epoch": epoch}, content)
    write_atomically(path, content.getvalue())


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
