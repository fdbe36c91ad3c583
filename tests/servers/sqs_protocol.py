"""A server of the SQS protocol: the address in MAILCORE_TEST_SQS, or moto's own server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from tests.servers.running import Missing, Server, free_port

ADDRESS = "MAILCORE_TEST_SQS"


@contextmanager
def sqs_server() -> Iterator[Server]:
    """Run a server; a frozen one may be thawed, a killed one is empty once it is restarted.

    Raises:
        Missing: There is none on this machine.
    """
    server = _server()
    try:
        yield server.start()
    finally:
        server.close()


def _server() -> Server:
    """Return a server that is not started yet."""
    if ADDRESS in os.environ:
        return Server(os.environ[ADDRESS].rstrip("/"))
    if not (find_spec("moto") and find_spec("flask_cors")):
        raise Missing(f"no moto: pip install moto flask flask-cors, or set {ADDRESS}")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return Server(f"http://127.0.0.1:{port}", command, "Running on")
