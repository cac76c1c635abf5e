"""Seconds and cycles of a device that counts them itself; the emulator's are with its transport."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_device import FINGERPRINT, SIZE, THRESHOLD, FakeDevice

from vq_cortexm.micro.client import Client
from vq_cortexm.micro.device import Device
from vq_cortexm.micro.executor import AotModule
from vq_cortexm.micro.model_info import LayerInfo, ModelInfo, TensorInfo

TENSOR = (TensorInfo("x", (SIZE,), "uint8", SIZE),)
LAYERS = (LayerInfo("first", "conv2d", 100, "a"), LayerInfo("second", "softmax", 0, "b"))
MODEL = ModelInfo("echo", FINGERPRINT, TENSOR, TENSOR, LAYERS, (THRESHOLD,), 2 * SIZE)


@pytest.fixture
def fake() -> FakeDevice:
    fake = FakeDevice()
    fake.counter, fake.cycles = 1, 2000
    return fake


@pytest.fixture
def executor(fake: FakeDevice) -> Iterator[AotModule]:
    with fake:
        client = Client(fake, fake.timeouts())
        client.start()
        device = Device(fake, fake.timeouts(), client, MODEL)
        device.set_input(0, bytes(SIZE))
        yield AotModule(device)


def test_seconds_are_the_device_s_cycles_by_its_clock(executor: AotModule):
    times = executor.time_evaluator("run", number=7, repeat=2)()
    assert times.results == [0.002, 0.002]
    assert times.source == "cycles of the DWT at 1 MHz"


def test_systick(fake: FakeDevice, executor: AotModule):
    fake.counter = 2
    executor.device.reset()
    assert executor.time_evaluator("run")().source == "cycles of SysTick at 1 MHz"


def test_layers(fake: FakeDevice, executor: AotModule):
    fake.layers = (1990, 0)
    assert [(layer.name, layer.cycles, layer.instructions) for layer in executor.profile()] == [
        ("first", 1990, None),
        ("second", 0, None),
    ]
    assert executor.profile()[0].source == "cycles of the DWT at 1 MHz"


def test_layers_of_a_firmware_that_does_not_count_them(fake: FakeDevice, executor: AotModule):
    fake.layers = (0, 0)
    assert [layer.cycles for layer in executor.profile()] == [None, None]


def test_more_inferences_than_one_answer_may_take(fake: FakeDevice, executor: AotModule):
    """A minute of the slowest device is asked for at once, so that silence is noticed."""
    cost = executor.device.run(200_000)
    assert cost.cycles == 200_000 * 2000
    runs = [int.from_bytes(payload, "little") for kind, *_, payload in fake.seen if kind == 3]
    assert sum(runs) == 200_000 and len(runs) > 1


def test_the_bound_of_a_model_counts_its_work():
    floats = LayerInfo("second", "float_call", 100, "b")
    more = ModelInfo("echo", FINGERPRINT, TENSOR, TENSOR, (floats,), (), 2 * SIZE)
    none = ModelInfo("echo", FINGERPRINT, TENSOR, TENSOR, (), (), 0)
    assert more.most_cycles > MODEL.most_cycles > none.most_cycles > 0
