"""A load of POSTs over keep-alive connections, cheap enough not to be what is measured."""

import asyncio
import statistics
import time
from dataclasses import dataclass

from tests.bench.processes import ADMIN_KEY

BODY = (
    b'{"from": "Shop <no-reply@shop.example>", "to": ["Ann <ann@example.com>"], "subject": "Your receipt",'
    b' "text": "Thank you for your order.", "html": "<p>Thank you for your order.</p>", "tags": ["receipt"],'
    b' "metadata": {"order": "42"}}'
)


@dataclass(frozen=True)
class Load:
    """What a load found.

    Attributes:
        per_second: Answers in a second.
        p50_ms: Half of them came within so many milliseconds.
        p99_ms: All but a hundredth did.
    """

    per_second: float
    p50_ms: float
    p99_ms: float


async def post_many(host: str, port: int, *, connections: int, count: int, path: str = "/api/emails") -> Load:
    """Post the same message again and again, so many at a time, and measure.

    Raises:
        RuntimeError: An answer was not a 201.
    """
    request = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {ADMIN_KEY}\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    latencies: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(_one(host, port, request, count // connections, latencies) for _ in range(connections)))
    took = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=100)
    return Load(len(latencies) / took, cuts[49] * 1000, cuts[98] * 1000)


async def _one(host: str, port: int, request: bytes, count: int, latencies: list[float]) -> None:
    """Post over one connection, one after the other."""
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(count):
        sent = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(head.decode(errors="replace"))
        await reader.readexactly(_length(head))
        latencies.append(time.perf_counter() - sent)
    writer.close()


def _length(head: bytes) -> int:
    """Return how many bytes of body follow a head."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
