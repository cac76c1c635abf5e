"""The Project API's two ends, in one process: JSON-RPC over pipes."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from project_servers import connect

from vq_cortexm.micro.project_api import client, server
from vq_cortexm.micro.transport import TransportTimeouts

OPTIONS = [
    server.ProjectOption("board", type="str", required=["generate_project"], help="The board."),
    server.ProjectOption("fast", type="bool", optional=["build"], default=False, help="Faster."),
]


class Custom(server.ServerError):
    """As a user's handler has them."""


class StatusError(Exception):
    status = 3


class Handler(server.ProjectAPIHandler):
    """Sends back what it is sent, and notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.raises: BaseException | None = None
        self.echoed = bytearray()

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        self.calls.append(tvm_version)
        return server.ServerInfo("echo", False, Path("/some/model.tar"), OPTIONS)

    def generate_project(self, *arguments: Any) -> None:
        self.calls.append(arguments)

    def build(self, options: dict[str, Any]) -> None:
        self.calls.append(("build", options))
        if self.raises:
            raise self.raises

    def flash(self, options: dict[str, Any]) -> None:
        self.calls.append(("flash", options))

    def open_transport(self, options: dict[str, Any]) -> TransportTimeouts:
        self.calls.append(("open", options))
        return server.TransportTimeouts(1.0, 2.0, 3.0)

    def close_transport(self) -> None:
        self.calls.append("close")

    def read_transport(self, n: int, timeout_sec: float | None) -> bytes:
        if len(self.echoed) < n:
            raise server.IoTimeoutError()
        data = bytes(self.echoed[:n])
        del self.echoed[:n]
        return data

    def write_transport(self, data: bytes, timeout_sec: float | None) -> None:
        self.echoed += data


class Ends:
    """Handler, thread of the server, and client."""

    def __init__(self) -> None:
        self.handler = Handler()
        self.client, self.thread = connect(self.handler)

    def say(self, line: bytes) -> Any:
        self.client._write_file.write(line + b"\n")
        return json.loads(self.client._read_file.read(1 << 16))


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    yield both
    both.client.shutdown()
    both.thread.join(30)
    assert not both.thread.is_alive()


def test_info_has_protocol_version_and_options(ends: Ends) -> None:
    assert ends.client.server_info_query("0.27.0") == {
        "platform_name": "echo",
        "is_template": False,
        "model_library_format_path": "/some/model.tar",
        "protocol_version": 1,
        "project_options": [
            {
                "name": "board",
                "choices": None,
                "default": None,
                "type": "str",
                "required": ["generate_project"],
                "optional": None,
                "help": "The board.",
            },
            {
                "name": "fast",
                "choices": None,
                "default": False,
                "type": "bool",
                "required": None,
                "optional": ["build"],
                "help": "Faster.",
            },
        ],
    }
    assert ends.handler.calls == ["0.27.0"]


def test_methods_reach_the_handler(ends: Ends) -> None:
    ends.client.generate_project("m.tar", "crt", "p", {"board": "b"})
    ends.client.build({"fast": True})
    ends.client.flash()
    timeouts = {
        "session_start_retry_timeout_sec": 1.0,
        "session_start_timeout_sec": 2.0,
        "session_established_timeout_sec": 3.0,
    }
    assert ends.client.open_transport({"x": 1}) == {"timeouts": timeouts}
    ends.client.close_transport()
    assert ends.client.take_records() is None
    assert ends.handler.calls == [
        (Path("m.tar"), Path("crt"), Path("p"), {"board": "b"}),
        ("build", {"fast": True}),
        ("flash", {}),
        ("open", {"x": 1}),
        "close",
    ]


def test_bytes_of_all_values_go_both_ways(ends: Ends) -> None:
    data = bytes(range(256)) * 300
    ends.client.write_transport(data, 1.0)
    assert ends.client.read_transport(1000, None)["data"] == data[:1000]
    assert ends.client.read_transport(len(data) - 1000, 1.0)["data"] == data[1000:]


def test_errors_keep_their_kind_and_traceback(ends: Ends) -> None:
    with pytest.raises(server.IoTimeoutError) as timeout:
        ends.client.read_transport(1, 0.0)
    assert timeout.value.message == "IoTimeoutError"
    ends.handler.raises = Custom("the board is off")
    with pytest.raises(Custom) as custom:
        ends.client.build()
    assert custom.value.data["line"] == "the board is off"
    ends.handler.raises = RuntimeError("west not found")
    with pytest.raises(server.ServerError, match="calling build") as plain:
        ends.client.build()
    assert plain.value.code == -32000
    assert plain.value.data["line"] == "RuntimeError: west not found"
    assert "in build\n" in plain.value.data["traceback"]
    ends.handler.raises = StatusError("no tool")
    with pytest.raises(server.ServerError) as status:
        ends.client.build()
    assert (status.value.data["line"], status.value.data["status"]) == ("no tool", 3)
    ends.handler.raises = None
    ends.client.build()


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        ("reboot", {}, -32601, "reboot: no such method"),
        ("build", {}, -32602, "build: parameter options not given"),
        ("build", {"options": 3}, -32602, "build: parameter options is a int"),
        ("build", {"options": {}, "x": 1}, -32602, "build: extra parameters: x"),
        ("read_transport", {"n": True, "timeout_sec": 1}, -32602, "parameter n is a bool"),
        ("write_transport", {"data": "\x00", "timeout_sec": 1}, -32602, "not base85"),
    ],
)
def test_wrong_requests_are_answered(
    ends: Ends, method: str, params: Any, code: int, message: str
) -> None:
    request = {"jsonrpc": "2.0", "method": method, "params": params, "id": "seven"}
    answer = ends.say(json.dumps(request).encode())
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", "seven", code)
    assert message in answer["error"]["message"]
    assert ends.client.server_info_query()["platform_name"] == "echo"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"no json", -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "1.0", "method": "build", "params": {}, "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "method": "a b", "params": {}, "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "method": "build", "params": [], "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "method": "build", "params": {}, "id": []}', -32600),
    ],
)
def test_what_is_no_request_ends_the_server(ends: Ends, line: bytes, code: int) -> None:
    assert ends.say(line)["error"]["code"] == code
    ends.thread.join(30)
    assert not ends.thread.is_alive()
    with pytest.raises(client.ConnectionShutdownError):
        ends.client.server_info_query()


def test_end_of_the_client_closes_the_transport(ends: Ends) -> None:
    ends.client.open_transport()
    ends.client.shutdown()
    ends.thread.join(30)
    assert ends.handler.calls[-1] == "close"
    assert ends.client.is_shutdown
    with pytest.raises(client.ConnectionShutdownError, match="closed"):
        ends.client.build()


class Canned:
    """A client whose server says what a test wants."""

    def __init__(self, answer: bytes) -> None:
        answers, say = os.pipe()
        self.requests, ask = os.pipe()
        os.write(say, answer)
        os.close(say)
        self.client = client.ProjectAPIClient(os.fdopen(answers, "rb", 0), os.fdopen(ask, "wb", 0))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", client.ConnectionShutdownError),
        (b"half a line", client.ConnectionShutdownError),
        (b"no json\n", client.MalformedReplyError),
        (b"[]\n", client.MalformedReplyError),
        (b'{"jsonrpc": "2.0", "id": 1}\n', client.MalformedReplyError),
        (b'{"jsonrpc": "2.0", "id": 1, "error": 3}\n', client.MalformedReplyError),
        (b'{"jsonrpc": "2.0", "id": 2, "result": null}\n', client.MismatchedIdError),
        (b'{"jsonrpc": "2.0", "id": 1, "result": null}\n', client.MalformedReplyError),
        (
            b'{"jsonrpc": "2.0", "id": 1, "result": {"data": "\\u0000"}}\n',
            client.MalformedReplyError,
        ),
    ],
)
def test_wrong_answers_are_noticed(answer: bytes, error: type[Exception]) -> None:
    canned = Canned(answer)
    with pytest.raises(error):
        canned.client.read_transport(1, 1.0)
    os.close(canned.requests)
    canned.client.shutdown()


def test_request_is_one_line_of_json_rpc() -> None:
    canned = Canned(b'{"jsonrpc": "2.0", "id": 1, "result": null}\n')
    canned.client.write_transport(b"\x00\xff", 0.5)
    line = os.read(canned.requests, 1 << 16)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert json.loads(line) == {
        "jsonrpc": "2.0",
        "method": "write_transport",
        "params": {"data": base64.b85encode(b"\x00\xff").decode(), "timeout_sec": 0.5},
        "id": 1,
    }
    os.close(canned.requests)
    canned.client.shutdown()


def test_option_needs_a_method_that_takes_it() -> None:
    with pytest.raises(ValueError, match="no method"):
        server.ProjectOption("x", type="str", help="")
    option = OPTIONS[0].replace({"choices": ("a", "b")})
    assert (option.name, option.choices, option.required) == (
        "board",
        ("a", "b"),
        ["generate_project"],
    )


def test_default_options_are_microtvms() -> None:
    changed = server.default_project_options(verbose={"optional": ["build"]})
    by_name = {option.name: option for option in changed}
    assert set(by_name) == {
        "verbose",
        "project_type",
        "board",
        "cmsis_path",
        "warning_as_error",
        "compile_definitions",
        "extra_files_tar",
    }
    assert by_name["verbose"].optional == ["build"]
    with pytest.raises(ValueError, match="speed"):
        server.default_project_options(speed={})


def test_pipes_are_read_and_written_with_time_outs() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with pytest.raises(server.IoTimeoutError):
        server.read_with_timeout(reads, 4, 0.0)
    assert server.write_with_timeout(writes, b"abc", 1.0) == 3
    assert server.read_with_timeout(reads, 4, None) == b"abc"
    full = server.write_with_timeout(writes, bytes(1 << 20), 0.0)
    assert 0 < full < 1 << 20
    with pytest.raises(server.IoTimeoutError):
        server.write_with_timeout(writes, b"x", 0.0)
    os.close(writes)
    while full > 0:
        full -= len(server.read_with_timeout(reads, 1 << 20, 1.0))
    with pytest.raises(server.TransportClosedError):
        server.read_with_timeout(reads, 1, 1.0)
    reads, writes = os.pipe()
    os.close(reads)
    with pytest.raises(server.TransportClosedError):
        server.write_with_timeout(writes, b"x", 1.0)
    os.close(writes)
