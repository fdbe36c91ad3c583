"""Real processes with a proxy of ours between any two of them: two APIs, two workers, two schedulers, and the emulator.

Two profiles: `production` on MongoDB and Redis, `embedded` on one SQLite file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.apps.metrics.numbers import Numbers, numbers
from tests.chaos.settings import ADMIN_KEY, QUICK, Pace, written
from tests.e2e.town import Running, Town, free_port, start, town, until
from tests.servers.mongo_protocol import mongo_server
from tests.servers.proxy import Proxy
from tests.servers.redis_protocol import redis_server
from tests.servers.redis_world import fresh_url
from tests.servers.running import Server

ROLES = ("api", "worker", "scheduler")
PROGRAM = (sys.executable, "-m", "mailapps")
PROVIDERS = ("sendgrid", "mailgun")
START_S = 180.0
"""How long a process may take to start where all of them start at once on a busy machine."""


@dataclass
class Process:
    """One process of ours, running or not.

    Attributes:
        name: Its role and number: `worker-1`.
        words: What it is started with.
        environ: Variables of its own.
        supervised: Another process keeps the one alive that does the work.
    """

    name: str
    role: str
    words: list[str]
    url: str
    log: Path
    program: Sequence[str] = PROGRAM
    environ: dict[str, str] = field(default_factory=dict)
    supervised: bool = False
    running: Running | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.running is not None and self.running.process.poll() is None

    @property
    def works(self) -> bool:
        """Whether the process that does the work runs: a supervisor may be about to start it again."""
        return self.alive and not (self.supervised and self.running and self.pid() == self.running.process.pid)

    def pid(self) -> int:
        """Return the process that does the work: the supervised one, if it has a supervisor."""
        assert self.running is not None
        own = self.running.process.pid
        try:
            children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        except FileNotFoundError:
            return own
        return int(children[0]) if children else own

    def signal(self, number: int) -> None:
        """Send a signal to the process that does the work."""
        os.kill(self.pid(), number)


@dataclass
class Rig:
    """All processes of one run, their servers, and the proxies between them."""

    profile: str
    pace: Pace
    town: Town
    more: str = ""
    mongo: Server | None = None
    redis: Server | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    proxies: dict[tuple[str, str], Proxy] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    killed: bool = False

    def named(self, *roles: str) -> list[Process]:
        """Return the processes of these roles, of all if none is named."""
        return [one for one in self.processes.values() if one.role in (roles or ROLES)]

    def between(self, server: str, *roles: str) -> list[Proxy]:
        """Return the proxies in front of `store`, `queue` or a provider, for the processes of these roles."""
        names = [one.name for one in self.named(*roles)]
        return [proxy for (name, of), proxy in self.proxies.items() if of == server and name in names]

    async def start(self, process: Process, tries: int = 5) -> None:
        """Start a process and wait until it answers; start it again if it ends, as whoever supervises it would."""
        for left in reversed(range(tries)):
            try:
                await self._start(process)
            except AssertionError:
                if process.alive or not left:
                    raise
            else:
                break

    async def _start(self, process: Process) -> None:
        """Start a process and wait until it answers."""
        variables = [f"{key}={value}" for key, value in process.environ.items()]
        program = ["/usr/bin/env", *variables, *process.program] if variables else process.program
        running = start(process.words, process.url, process.log, program)
        running.http.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
        process.running = running
        self.town.running.append(running)
        await until(f"{process.name} answers", running.answers, within_s=START_S)

    async def kill(self, process: Process) -> None:
        """Kill the process that does the work, as a crash would; somebody else must start it again."""
        self.killed = True
        pid = process.pid()
        process.signal(signal.SIGKILL)
        if process.running is not None and process.running.process.pid == pid:
            await asyncio.to_thread(process.running.process.wait)

    async def revive(self) -> None:
        """Start every process that is not there, and wait until all answer."""
        for process in self.named():
            if not process.alive:
                await self.start(process)
        for process in self.named():
            assert process.running is not None
            await until(f"{process.name} answers", process.running.answers, within_s=START_S)

    async def terminate(self, process: Process) -> int:
        """Ask a process to end, and return its exit code once it has."""
        assert process.running is not None
        return await asyncio.to_thread(process.running.terminate)

    async def heal(self) -> None:
        """End every fault: servers and processes run, the network carries, providers work."""
        for server in filter(None, (self.mongo, self.redis)):
            if server.process is not None and server.process.poll() is not None:
                await asyncio.to_thread(server.restart)
            server.thaw()
        for process in self.named():
            if process.alive:
                process.signal(signal.SIGCONT)
        for proxy in self.proxies.values():
            await proxy.heal()
        for provider in PROVIDERS:
            await self.town.break_down(provider)
        await self.revive()

    async def counted(self) -> list[Numbers]:
        """Return what each process has counted."""
        answers = [await one.running.http.get("/metrics") for one in self.named() if one.running is not None]
        return [numbers(answer.content) for answer in answers]

    def memory(self) -> dict[str, int]:
        """Return how many bytes each process holds in memory."""
        return {one.name: _resident(one.pid()) for one in self.named() if one.alive}

    def logs(self) -> Iterator[tuple[str, str]]:
        """Yield what each process has said."""
        yield from ((one.name, one.log.read_text(errors="replace")) for one in self.named())

    async def plan(self, role: str, number: int, elsewhere: Mapping[str, str]) -> Process:
        """Write the settings of a process, with proxies of its own to everything that it talks to."""
        name, ports = f"{role}-{number}", (free_port(), free_port())
        reached = {server: await self._through(name, server) for server in self.addresses}
        binds = {"bind": f"127.0.0.1:{ports[0]}", "metrics": f"127.0.0.1:{ports[1]}"}
        config, key = self.town.folder / f"{name}.toml", self.town.folder / "admin.key"
        key.touch(0o600)
        key.write_text(ADMIN_KEY)
        config.write_text(written({**reached, **elsewhere, **binds, "key": str(key)}, self.pace, self.more))
        url = f"http://{binds['bind' if role == 'api' else 'metrics']}"
        process = Process(name, role, [role, "--config", str(config)], url, self.town.folder / f"{name}.log")
        process.supervised = role == "worker" and self.profile == "production"
        self.processes[name] = process
        return process

    async def _through(self, name: str, server: str) -> str:
        """Return how a process reaches a server: through a proxy, but for what is no server."""
        url = self.addresses[server]
        if url.startswith(("sqlite:", "memory:")):
            return url
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        proxy = Proxy(f"{scheme}://{authority}")
        await proxy.listen()
        self.proxies[name, server] = proxy
        return f"{proxy.url}{slash}{path}"


def _resident(pid: int) -> int:
    """Return how many bytes a process holds in memory."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def rig(
    folder: Path,
    profile: str,
    pace: Pace = QUICK,
    *,
    more: str = "",
    addresses: Mapping[str, str] = MappingProxyType({}),
    environ: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> AsyncGenerator[Rig]:
    """Start everything, and end whatever still runs.

    Args:
        folder: Where settings, data and logs go.
        profile: `production` or `embedded`.
        pace: How long things take.
        more: Further lines of mailcore.toml.
        addresses: Where providers are that are not at the emulator; no proxy is before them.
        environ: Variables of the processes of a role, or of one by its name.
    """
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(ExitStack())
        made = Rig(profile, pace, await stack.enter_async_context(town(folder)), more)
        _place(made, servers, folder)
        try:
            for role, number in product(ROLES, (1, 2)):
                process = await made.plan(role, number, addresses)
                process.environ.update({**environ.get(role, {}), **environ.get(process.name, {})})
            await asyncio.gather(*(made.start(one) for one in made.named()))
            yield made
        finally:
            _let_go(made)
            for proxy in made.proxies.values():
                await proxy.refuse()


def _place(made: Rig, servers: ExitStack, folder: Path) -> None:
    """Start the servers of a profile, and note where everything is."""
    providers: dict[str, Any] = dict.fromkeys(PROVIDERS, made.town.emulator.url)
    if made.profile == "embedded":
        made.addresses = {"store": f"sqlite:///{folder}/mail.db", "queue": "memory://", **providers}
        return
    for name in ("mongo", "redis"):
        (folder / name).mkdir()
    made.mongo = servers.enter_context(mongo_server(folder / "mongo"))
    made.redis = servers.enter_context(redis_server(folder / "redis"))
    made.addresses = {"store": f"{made.mongo.url}/mailcore", "queue": fresh_url(made.redis), **providers}


def _let_go(made: Rig) -> None:
    """End all processes there and then, frozen ones too: supervisors first, so that they start nobody again."""
    for process in made.named():
        if process.alive and process.running is not None:
            worker = process.pid()
            process.running.kill()
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
