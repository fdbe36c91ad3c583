"""A server of the MongoDB protocol: the address in MAILCORE_TEST_MONGO, `mongod`, or a stand-in in Java.

The stand-in's jars come from Maven Central, once, into a cache in the home folder.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import which

from tests.servers.running import Missing, Server, free_port

ADDRESS = "MAILCORE_TEST_MONGO"
HERE = Path(__file__).parent / "mongo"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailcore-tests" / "mongo-java-server-1.47.0"

FETCH = "dependency:copy-dependencies"


@contextmanager
def mongo_server(folder: Path | None = None) -> Iterator[Server]:
    """Run a server; a frozen one may be thawed, a killed one restarted.

    Args:
        folder: Where it keeps its data, every write before its answer. None for one whose data may be lost.

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
    url = f"mongodb://127.0.0.1:{port}"
    if which("mongod") and folder is not None:
        command = ["mongod", "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", str(folder)]
        return Server(url, command, "Waiting for connections")
    return Server(url, _stand_in(port, folder), "ready")


def _stand_in(port: int, folder: Path | None) -> list[str]:
    """Return the command that runs the stand-in."""
    file = [str(folder / "mongo.mv")] if folder is not None else []
    memory = ["-Xmx512m", "-XX:+UseSerialGC"]
    return ["java", *memory, "-cp", _classes(), "TestMongo", str(port), *file]


def _classes() -> str:
    """Return the class path of the stand-in, fetched and compiled by whoever comes first."""
    if not (which("javac") and which("mvn")):
        raise Missing(f"no mongod, and no javac and mvn for the stand-in, on the PATH: install them, or set {ADDRESS}")
    source = HERE / "TestMongo.java"
    compiled = CACHE / sha256(source.read_bytes()).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _once(CACHE / "fetched", ["mvn", "-B", "-q", "-f", str(HERE / "pom.xml"), FETCH, f"-DoutputDirectory={CACHE}"])
        _once(compiled / "done", ["javac", "-cp", f"{CACHE}/*", "-d", str(compiled), str(source)])
    return f"{CACHE}/*:{compiled}"


def _once(mark: Path, command: Sequence[str]) -> None:
    """Run a command and leave a mark, or see the mark and leave it."""
    if mark.exists():
        return
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    mark.touch()
