"""Sessions and executors as microTVM's users know them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import two_nets
from fake_device import FakeDevice
from linked_models import composed, fake_link, link, tiny

from vq_cortexm.compat import runtime_tensor
from vq_cortexm.errors import DeviceError, UsageError
from vq_cortexm.micro.executor import AotModule
from vq_cortexm.micro.session import Session, SessionTerminatedError, create_local_aot_executor
from vq_cortexm.micro.transport import TransportClosedError, TransportTimeouts
from vq_cortexm.op.bc_net import ALWAYS_ESCALATE, NEVER_ESCALATE
from vq_cortexm.samples import random_samples


@pytest.fixture
def executor() -> Iterator[AotModule]:
    with Session(link(tiny()), model=tiny()) as session:
        yield create_local_aot_executor(session)


def test_as_microtvm_has_it(executor: AotModule):
    sample = random_samples(tiny().program.inputs, 1, 1)[0]
    wanted = tiny().run([sample]).outputs[0][0]
    name = tiny().program.inputs[0].name
    assert executor.get_num_inputs() == executor.get_num_outputs() == 1
    assert executor.get_input_name(0) == name
    assert executor.get_input_index(name) == 0
    assert executor.get_input_info() == ({name: (1, 7, 5, 2)}, {name: "int8"})
    for given in (sample[0], runtime_tensor(sample[0])):
        executor.set_input(name, given)
        np.testing.assert_array_equal(executor.get_input(0).numpy(), sample[0])
        executor.run()
        np.testing.assert_array_equal(executor.get_output(0).numpy(), wanted)
    executor.set_input(0, np.zeros_like(sample[0]))
    executor.run(**{name: sample[0]})
    np.testing.assert_array_equal(executor.get_output(0).numpy(), wanted)
    executor.module["set_input"](**{name: sample[0]})
    executor.module.get_function("run")()
    np.testing.assert_array_equal(executor["get_output"](0).numpy(), wanted)
    assert executor.get_path() is None
    assert executor.get_thresholds() == ()


def test_refusals(executor: AotModule):
    with pytest.raises(UsageError, match=r"no input 'y'; tiny_classifier has the inputs 0 'x'"):
        executor.set_input("y", np.zeros((1, 7, 5, 2), np.int8))
    with pytest.raises(UsageError, match="no input 1"):
        executor.get_input(1)
    with pytest.raises(UsageError, match=r"'x' is int8\(7, 5, 2\), the model takes int8\(1, 7, 5"):
        executor.set_input(0, np.zeros((7, 5, 2), np.int8))
    with pytest.raises(UsageError, match=r"'x' is float32\(1, 7, 5, 2\)"):
        executor.set_input(0, np.zeros((1, 7, 5, 2), np.float32))
    with pytest.raises(UsageError, match="input 'x' was not set"):
        executor.get_input("x")
    with pytest.raises(UsageError, match="input 'x' was not set"):
        executor.run()
    executor.set_input(0, np.zeros((1, 7, 5, 2), np.int8))
    for ask in (executor.get_path, lambda: executor.get_output(0)):
        with pytest.raises(UsageError, match="tiny_classifier has not run yet"):
            ask()
    with pytest.raises(UsageError, match="no output 1; tiny_classifier has the outputs 0 'output'"):
        executor.get_output(1)
    with pytest.raises(UsageError, match=r"no function 'walk' on the device; there are: set_input"):
        executor["walk"]
    with pytest.raises(UsageError, match="thresholds are of two composed nets"):
        executor.set_thresholds([1])
    with pytest.raises(UsageError, match="no thresholds; the model has 0"):
        executor.set_thresholds([])


def test_two_nets():
    model = composed()
    samples = two_nets.samples(12)
    result = model.run(samples)
    assert set(result.paths) == {"fast", "accurate"}
    built_with = model.metadata["bc_net"]["thresholds"]
    with Session(link(model), model=model) as session:
        executor = create_local_aot_executor(session)
        assert list(executor.get_thresholds()) == built_with
        for sample, outputs, path in zip(samples, result.outputs, result.paths, strict=True):
            executor.set_input(0, sample[0])
            executor.run()
            assert executor.get_path() == path
            np.testing.assert_array_equal(executor.get_output(0).numpy(), outputs[0])
        for threshold, path in ((NEVER_ESCALATE, "fast"), (ALWAYS_ESCALATE, "accurate")):
            executor.set_thresholds([threshold])
            assert executor.get_thresholds() == (threshold,)
            executor.run()
            assert executor.get_path() == path
            # thresholds outlive the device's memory
            executor.reset()
            executor.run()
            assert executor.get_path() == path
        with pytest.raises(UsageError, match="thresholds; the model has"):
            executor.set_thresholds([1, 2, 3])
    # a session begins with the thresholds that the model was built with
    with Session(link(model), model=model) as session:
        assert list(create_local_aot_executor(session).get_thresholds()) == built_with


def test_timing_by_this_computers_clock(executor: AotModule):
    executor.set_input(0, np.zeros((1, 7, 5, 2), np.int8))
    times = executor.module.time_evaluator("run", executor.device, number=5, repeat=3)()
    assert len(times.results) == 3
    assert 0 < times.min <= times.median <= times.max
    assert times.mean == pytest.approx(sum(times.results) / 3)
    assert times.source == "this computer's clock, the link included"
    assert str(times).endswith("of this computer's clock, the link included")
    layers = executor.profile()
    assert [layer.name for layer in layers] == [step.layer for step in tiny().program.steps]
    assert all(layer.cycles is None and layer.instructions is None for layer in layers)


def test_timing_refusals(executor: AotModule):
    with pytest.raises(UsageError, match="only 'run' can be timed, not 'walk'"):
        executor.time_evaluator("walk")
    with pytest.raises(UsageError, match="number and repeat must be at least 1"):
        executor.time_evaluator("run", number=0)
    with pytest.raises(UsageError, match="on its session's own device alone"):
        executor.time_evaluator("run", "cpu(0)")


def test_counters(executor: AotModule):
    executor.set_input(0, np.zeros((1, 7, 5, 2), np.int8))
    executor.run()
    counters = executor.get_counters()
    assert counters.frames_taken >= 4
    assert counters.frames_dropped == counters.receiver_errors == 0


def test_a_folder_s_description_will_do():
    with Session(link(tiny()), model=tiny().metadata) as session:
        assert str(session.device) == "host"
        assert session.get_system_lib().get_num_inputs() == 1
    with Session(link(tiny())) as session:
        assert session.device.model.name == "tiny_classifier"
    with pytest.raises(UsageError, match="no description of a generated model"):
        Session(link(tiny()), model={"model": "x"}).__enter__()


def test_no_model_and_no_transport():
    with pytest.raises(UsageError, match="micro-rpc: which model"):
        Session(fake_link()).__enter__()
    with pytest.raises(UsageError, match="a session needs a transport"):
        Session()


def test_another_firmware():
    other = tiny(name="tiny_conv")
    with pytest.raises(DeviceError) as error:
        Session(link(tiny()), model=other).__enter__()
    assert str(error.value).startswith("host has another firmware: model 'tiny_classifier' (")
    assert "not 'tiny_conv' (" in str(error.value)
    assert error.value.status == 4
    # and it is closed again
    with pytest.raises(TransportClosedError):
        link(tiny()).read(1, 0.0)


def test_nobody_there():
    silent = FakeDevice(lambda _: True)
    session = Session(silent, "bench", TransportTimeouts(0.01, 0.05, 0.05), model=tiny())
    with pytest.raises(SessionTerminatedError, match=r"^bench: no device: no answer to hello"):
        session.__enter__()
    assert not silent.is_open


def test_outside_the_session():
    session = Session(link(tiny()), model=tiny())
    with pytest.raises(SessionTerminatedError, match="the session is not open"):
        session.device.counters()
    with pytest.raises(SessionTerminatedError, match="the session was not opened"):
        session.link_counts.requests  # noqa: B018
    with session:
        executor = session.create_aot_executor()
    with pytest.raises(DeviceError, match="is not open"):
        session.get_system_lib()
    assert executor.get_num_inputs() == 1
