"""The emulator as a process of its own: ready, asked, and stopped by a signal."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import httpx
import pytest
from tests.apps.emulator.calls import BEARER, SENDGRID, mail

from mailapps.emulator import EmulatorSettings, running_emulator

PROGRAM = """
import asyncio, pathlib, sys
from mailapps.emulator import EmulatorSettings, run
settings = EmulatorSettings(port=0, ledger=pathlib.Path(sys.argv[1]))
asyncio.run(run(settings, lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_cleanly_even_while_requests_hang(tmp_path: Path, number: int) -> None:
    """A hang for ever does not keep the process: it ends with 0, in good time, and says nothing on stderr."""
    ledger = tmp_path / "ledger.jsonl"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(ledger), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()

    async with httpx.AsyncClient(base_url=url) as client:
        await client.put("/emulator/faults/sendgrid", json={"rules": [{"action": {"kind": "hang", "accept": True}}]})
        hanging = asyncio.create_task(client.post(SENDGRID, json=mail(), headers=BEARER))
        while not (await client.get("/emulator/requests")).json()["count"]:
            pass  # each look lets the other request come nearer
        process.send_signal(number)
        with pytest.raises(httpx.RemoteProtocolError):
            await hanging
    _, complaints = await process.communicate()

    assert process.returncode == 0
    assert complaints == b""
    assert b'"fault":"hang after accept"' in ledger.read_bytes()


async def test_a_taken_port_is_an_error_at_once() -> None:
    """Who starts it hears that the address is in use, and no half-started server stays."""
    async with running_emulator() as first:
        port = int(first.url.rpartition(":")[2])

        with pytest.raises(OSError, match="address already in use"):
            async with running_emulator(EmulatorSettings(port=port)):
                pass


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:")])
async def test_the_address_told_is_one_that_can_be_asked(host: str, shown: str) -> None:
    """All interfaces are no address to open in a browser."""
    async with running_emulator(EmulatorSettings(host=host, port=0)) as running:
        assert running.url.startswith(shown)
        async with httpx.AsyncClient(base_url=running.url) as client:
            assert (await client.get("/health/live")).status_code == 200
