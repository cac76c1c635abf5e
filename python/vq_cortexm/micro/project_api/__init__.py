"""microTVM's Project API: the process that knows how a project is built, flashed and talked to."""

from . import client, server

__all__ = ["client", "server"]
