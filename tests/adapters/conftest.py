"""Adapters are tried on the event loop that our processes run on: in places it differs from asyncio's own."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give every test one of production's loops."""
    return {"uvloop": uvloop.new_event_loop}
