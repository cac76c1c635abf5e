"""Project API servers as threads of this process, which start at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from vq_cortexm.micro.project_api import client, server
from vq_cortexm.micro.project_files import PROJECT_FILE, read_settings
from vq_cortexm.micro.project_handlers import (
    EmulatedProjectHandler,
    HardwareProjectHandler,
    HostProjectHandler,
)

HANDLERS = {
    handler.platform: handler
    for handler in (EmulatedProjectHandler, HardwareProjectHandler, HostProjectHandler)
}


def connect(handler: server.ProjectAPIHandler) -> tuple[client.ProjectAPIClient, threading.Thread]:
    """A client, and the thread that serves it until it is shut down."""
    server_reads, we_write = os.pipe()
    we_read, server_writes = os.pipe()
    ends = os.fdopen(server_reads, "rb", 0), os.fdopen(server_writes, "wb", 0)

    def serve() -> None:
        with ends[0], ends[1]:
            server.ProjectAPIServer(*ends, handler).serve_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    files = os.fdopen(we_read, "rb", 0), os.fdopen(we_write, "wb", 0)
    return client.ProjectAPIClient(*files), thread


def use_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on servers of our templates are threads."""
    start_process = client.instantiate_from_dir

    def instantiate(project_dir: str | Path, debug: bool = False) -> client.ProjectAPIClient:
        folder = Path(project_dir).resolve()
        if (folder / PROJECT_FILE).exists():
            platform = read_settings(folder).platform
        elif folder.name in HANDLERS:
            platform = folder.name
        else:
            return start_process(project_dir, debug)
        return connect(HANDLERS[platform](folder))[0]

    monkeypatch.setattr(client, "instantiate_from_dir", instantiate)
