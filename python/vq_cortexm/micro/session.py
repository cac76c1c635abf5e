"""A session with a device, with the names that microTVM's users know."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import UsageError
from .client import Client, LinkCounts, NoAnswerError
from .device import Device, SessionTerminatedError, check_firmware
from .executor import AotModule
from .model_info import ModelInfo, model_info
from .transport import Transport, TransportClosedError, TransportTimeouts

if TYPE_CHECKING:
    from ..compiled_model import CompiledModel

__all__ = ["Session", "SessionTerminatedError", "create_local_aot_executor"]


class Session:
    """Opens a transport and talks to the model behind it, as a context manager.

        with Session(transport, model=compiled) as session:
            aot = create_local_aot_executor(session)

    `model` is what the device should have: a compiled model, what `metadata.json` of its folder
    says, or what `model_info` made of that; a project's transport knows its own.
    `timeout_override` takes the place of the transport's time-outs. `session_name` is what errors
    call it.
    """

    def __init__(
        self,
        transport_context_manager: Transport | None = None,
        session_name: str = "micro-rpc",
        timeout_override: TransportTimeouts | None = None,
        *,
        model: CompiledModel | Mapping[str, Any] | ModelInfo | None = None,
    ) -> None:
        if transport_context_manager is None:
            raise UsageError("a session needs a transport, as transport_context_manager")
        self._transport = transport_context_manager
        self._name = session_name
        self._timeouts = timeout_override
        self._model = model
        self._device: Device | None = None
        self._client: Client | None = None

    def __enter__(self) -> Self:
        """Opens the transport and waits for the device's hello. UsageError: nobody knows the model;
        DeviceError: the device is not there, does not answer, or has another firmware."""
        info = self._model_info()
        self._transport.open()
        try:
            timeouts = self._timeouts or self._transport.timeouts()
            client = self._client = Client(self._transport, timeouts)
            try:
                check_firmware(client.start(), info)
            except (NoAnswerError, TransportClosedError) as error:
                raise SessionTerminatedError(f"{self._name}: no device: {error}") from None
            self._device = Device(self._transport, timeouts, client, info)
        except BaseException:
            self._transport.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._device = None
        self._transport.close()

    @property
    def device(self) -> Device:
        """The device; SessionTerminatedError before and after the session."""
        if self._device is None:
            raise SessionTerminatedError(f"{self._name}: the session is not open")
        return self._device

    @property
    def link_counts(self) -> LinkCounts:
        """What the session has seen of its line; it stays when the session is over."""
        if self._client is None:
            raise SessionTerminatedError(f"{self._name}: the session was not opened")
        return self._client.counts

    def get_system_lib(self) -> AotModule:
        """The functions of the model on the device, by name."""
        return AotModule(self.device)

    def create_aot_executor(self) -> AotModule:
        """The executor of the model on the device."""
        return AotModule(self.device)

    def _model_info(self) -> ModelInfo:
        model = self._model if self._model is not None else self._transport.metadata
        if model is None:
            raise UsageError(f"{self._name}: which model? give the compiled one as model=")
        if isinstance(model, ModelInfo):
            return model
        return model_info(model if isinstance(model, Mapping) else model.metadata)


def create_local_aot_executor(session: Session) -> AotModule:
    """The executor of a session's model."""
    return session.create_aot_executor()
