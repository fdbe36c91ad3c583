"""Answering on the wire: the one place where an answer, or a scripted fault, meets a socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

from aiohttp import web

from mailapps.emulator.faults import Drip, Hang, Reset
from mailapps.emulator.ruling import Ruling
from mailapps.emulator.wire import Answer
from mailapps.emulator.world import Emulator

# Linger for zero seconds: closing throws away what is unsent and resets the connection instead of ending it.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def perform(request: web.Request, ruling: Ruling, emulator: Emulator) -> web.StreamResponse:
    """Do what was ruled; what comes back has been sent already if the connection is not as usual."""
    if ruling.latency:
        await emulator.pause(ruling.latency)
    match ruling.action:
        case Reset():
            return _cut_off(request, reset=True)
        case Hang(seconds=seconds):
            await _hang(seconds, emulator)
            return _cut_off(request, reset=False)
        case Drip(seconds_per_byte=gap):
            return await _drip(request, ruling.answer, gap, emulator)
        case _:
            return response_of(ruling.answer)


def response_of(answer: Answer) -> web.Response:
    """Return an answer as the server writes it."""
    response = web.Response(status=answer.status, body=answer.body)
    if answer.body:
        response.headers["Content-Type"] = answer.content_type
    for name, value in answer.headers:
        response.headers[name] = value
    return response


async def _hang(seconds: float | None, emulator: Emulator) -> None:
    """Wait for some time or for ever; a caller that goes away, or the server's end, cancels the wait."""
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await emulator.pause(seconds)


def _cut_off(request: web.Request, *, reset: bool) -> web.StreamResponse:
    """Close the caller's connection without an answer, by a TCP reset or by an end of stream."""
    transport = request.transport
    if transport is not None:
        if reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response()


async def _drip(request: web.Request, answer: Answer, gap: float, emulator: Emulator) -> web.StreamResponse:
    """Send an answer a byte at a time; its status line comes as slowly as the rest.

    Written past aiohttp's own writer, which would send the head of the answer in one piece.
    """
    transport = request.transport
    wire = _on_the_wire(answer)
    with suppress(ConnectionError):
        for number in range(len(wire)):
            if transport is None or transport.is_closing():
                break
            transport.write(wire[number : number + 1])
            await emulator.pause(gap)
    if transport is not None:
        transport.close()
    return web.Response()


def _on_the_wire(answer: Answer) -> bytes:
    """Return the bytes of an answer that ends its connection."""
    phrase = web.Response(status=answer.status).reason
    headers = (
        ("Content-Type", answer.content_type),
        *answer.headers,
        ("Content-Length", str(len(answer.body))),
        ("Connection", "close"),
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {answer.status} {phrase}\r\n{head}\r\n".encode("latin-1") + answer.body
