"""The executor of a model on a device, with the names that microTVM's users know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from ..compat import runtime_tensor
from ..errors import UsageError
from ..op.bc_net import PATHS, Path
from ..samples import check_thresholds
from .device import Device, RunCost
from .messages import Counters
from .model_info import TensorInfo
from .timing import DeviceTimes, LayerTime, layer_times, time_of


class AotModule:
    """The functions of a model on a device: `executor.run()`, or by name, `executor["run"]()`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._last: RunCost | None = None

    @property
    def module(self) -> Self:
        """Itself: for microTVM's users, whose executors wrap a module."""
        return self

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self.get_function(name)

    def get_function(self, name: str) -> Callable[..., Any]:
        """One of the functions by its name; UsageError lists them."""
        if name not in _FUNCTIONS:
            raise UsageError(
                f"no function {name!r} on the device; there are: {', '.join(_FUNCTIONS)}"
            )
        function: Callable[..., Any] = getattr(self, name)
        return function

    def set_input(self, key: int | str | None = None, value: Any = None, /, **others: Any) -> None:
        """Sets an input, by its name or index, and `others` by name, for the runs that follow.

        UsageError: there is no such input, or a value has another shape or type.
        """
        given = [*([] if key is None else [(key, value)]), *others.items()]
        for name, array in given:
            index = self.get_input_index(name)
            self.device.set_input(index, self.device.model.inputs[index].to_bytes(array))

    def run(self, **inputs: Any) -> None:
        """One inference, of the inputs that were set and of `inputs`.

        UsageError: an input was not set; RunError: the model reports an error.
        """
        self.set_input(**inputs)
        self._last = self.device.run()

    def get_input(self, key: int | str) -> Any:
        """An input as it was set, a tensor of TVM's; UsageError if it was not."""
        index = self.get_input_index(key)
        info, data = self.device.model.inputs[index], self.device.input(index)
        if data is None:
            raise UsageError(f"input {info.name!r} was not set")
        return runtime_tensor(info.from_bytes(data))

    def get_output(self, index: int) -> Any:
        """An output of the last run, a tensor of TVM's."""
        outputs = self.device.model.outputs
        if not 0 <= index < len(outputs):
            raise UsageError(f"no output {index}; {self._model_has(outputs, 'outputs')}")
        return runtime_tensor(outputs[index].from_bytes(self.device.output(index)))

    def get_num_inputs(self) -> int:
        """How many inputs the model has."""
        return len(self.device.model.inputs)

    def get_num_outputs(self) -> int:
        """How many outputs the model has."""
        return len(self.device.model.outputs)

    def get_input_index(self, key: int | str) -> int:
        """The index of an input, by its name or index; UsageError if there is none."""
        inputs = self.device.model.inputs
        names = [tensor.name for tensor in inputs]
        if isinstance(key, str) and key in names:
            return names.index(key)
        if isinstance(key, int) and 0 <= key < len(names):
            return key
        raise UsageError(f"no input {key!r}; {self._model_has(inputs, 'inputs')}")

    def get_input_name(self, index: int) -> str:
        """The name of an input; UsageError if there is none."""
        return self.device.model.inputs[self.get_input_index(index)].name

    def get_input_info(self) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
        """Shapes and dtypes of all inputs, by name."""
        inputs = self.device.model.inputs
        return {t.name: t.shape for t in inputs}, {t.name: t.dtype for t in inputs}

    def time_evaluator(
        self, func_name: str, dev: Any = None, number: int = 10, repeat: int = 1
    ) -> Callable[[], DeviceTimes]:
        """A function that runs the model `repeat` times `number` inferences, on the inputs as they
        were set, and gives TVM's BenchmarkResult: a mean in seconds for each repetition, with
        `source`, which says what the seconds are made of (`timing.time_of`).

        `dev` is the session's device, or nothing. UsageError: another function, or no inference.
        """
        if func_name != "run":
            raise UsageError(f"only 'run' can be timed, not {func_name!r}")
        if dev not in (None, self.device):
            raise UsageError("this executor can be timed on its session's own device alone")
        if number < 1 or repeat < 1:
            raise UsageError("number and repeat must be at least 1")

        def evaluate() -> DeviceTimes:
            times = []
            for _ in range(repeat):
                self._last = self.device.run(number)
                times.append(time_of(self.device, self._last))
            return DeviceTimes([seconds for seconds, _ in times], times[-1][1])

        return evaluate

    def profile(self) -> tuple[LayerTime, ...]:
        """One inference, layer by layer."""
        self._last = self.device.run()
        return layer_times(self.device, self._last)

    def get_thresholds(self) -> tuple[int, ...]:
        """Of two composed nets, when the second one is asked; () of a single net."""
        return self.device.thresholds

    def set_thresholds(self, thresholds: Sequence[int]) -> None:
        """For the runs that follow: as many as the model has, or one for all; UsageError for
        others."""
        count = len(self.device.model.thresholds)
        if not thresholds:
            raise UsageError(f"no thresholds; the model has {count}")
        self.device.thresholds = check_thresholds(thresholds, count)

    def get_path(self) -> Path | None:
        """Of two composed nets, which path the last inference took; None of a single net."""
        if self._last is None:
            raise UsageError(f"{self.device.model.name} has not run yet")
        return PATHS[self._last.path] if self.device.model.thresholds else None

    def get_counters(self) -> Counters:
        """What the device has counted since it started: frames, and bytes of its stack."""
        return self.device.counters()

    def reset(self) -> None:
        """Starts the device anew; inputs and thresholds stay as they were set."""
        self.device.reset()

    def _model_has(self, tensors: Sequence[TensorInfo], what: str) -> str:
        listed = ", ".join(f"{n} {tensor.name!r}" for n, tensor in enumerate(tensors))
        return f"{self.device.model.name} has the {what} {listed}"


_FUNCTIONS = tuple(
    name
    for name in vars(AotModule)
    if not name.startswith("_") and name not in ("get_function", "module", "time_evaluator")
)
