"""A town on MongoDB and Redis: the emulator, and API and workers as processes of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.town import MAILCORE, Running, Town, free_port, start, town, until
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

ADMIN_KEY = "zyxwvutsrqponmlkjihgfedcba"
SETTINGS = """
store = "{mongo}"
queue = "{redis}"
bind = "127.0.0.1:{port}"
default_from = "Shop <no-reply@shop.example>"
processes = {processes}
in_flight = {in_flight}
lease = "11s"
call_deadline = "3s"
poll = "250ms"
sweep = "1s"
wakeup_grace = "1s"
unknown_grace = "500ms"
strategy = "priority"
retry.base = "200ms"
retry.cap = "1s"
log.format = "json"
emulator.bind = "127.0.0.1:1"

[providers.sendgrid]
kind = "sendgrid"
api_key = "key"
base_url = "{emulator}/sendgrid"
"""
"""As in production, only quicker."""


class RedisTown:
    """An emulator, an API, and whatever workers a test starts, on two servers."""

    def __init__(self, built: Town, mongo: str, redis: str) -> None:
        self.town, self.mongo, self.redis = built, mongo, redis

    def configured(self, port: int, processes: int = 1, in_flight: int = 64) -> Path:
        """Write mailcore.toml."""
        path = self.town.folder / f"mailcore-{port}-{processes}.toml"
        fields = {"mongo": self.mongo, "redis": self.redis, "port": port, "emulator": self.town.emulator.url}
        path.write_text(SETTINGS.format(**fields, processes=processes, in_flight=in_flight))
        return path

    async def api(self) -> Running:
        """Start an API and wait until it answers."""
        port = free_port()
        arguments = ["api", "--config", str(self.configured(port))]
        log, program = (
            self.town.folder / f"api-{port}.log",
            ("/usr/bin/env", f"MAILCORE_ADMIN_KEY={ADMIN_KEY}", MAILCORE),
        )
        running = start(arguments, f"http://127.0.0.1:{port}", log, program=program)
        running.http.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
        self.town.running.append(running)
        await until("the API answers", running.answers)
        return running

    async def worker(self, processes: int = 1, *more: str, in_flight: int = 64) -> Running:
        """Start a worker, supervised unless `more` says otherwise."""
        arguments = ["worker", "--config", str(self.configured(free_port(), processes, in_flight)), *more]
        log = self.town.folder / f"worker-{len(self.town.running)}.log"
        running = start(arguments, "http://127.0.0.1:1", log)
        self.town.running.append(running)
        return running


@asynccontextmanager
async def redis_town(folder: Path, mongo: str, redis: Server) -> AsyncGenerator[RedisTown]:
    """Start the emulator, and at the end, end everything that still runs."""
    async with town(folder) as built:
        yield RedisTown(built, mongo, fresh_url(redis))
