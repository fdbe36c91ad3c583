"""A process of its own that works on a store: run by the tests of several processes on one file.

Commands: `add URL NAME` adds without end and prints each id once it is durable; `hammer URL NAME` says that it is
ready, and from a line of its standard input on adds, counts up and takes until that ends, then prints what it did as
JSON; `open URL` opens the file and prints "open".
"""

import asyncio
import json
import sys
from collections import Counter
from datetime import timedelta

from mailadapters.sqlite import SqliteStore, open_store
from mailcore.errors import StaleEmailError
from mailcore.message import Lane
from mailcore.ports import Due
from mailcore.testing.contracts.examples import MESSAGE, NOW, next_of, queued
from mailcore.testing.contracts.provider_health import later

DUE = Due(lane=Lane.URGENT, limit=3, hide_for=timedelta(hours=1), closed=frozenset())


async def add(url: str, name: str) -> None:
    """Add e-mails from many callers at once until killed."""
    store = open_store(url)

    async def adding(caller: int) -> None:
        for n in range(1_000_000):
            added = await store.add(queued(f"em_{name}_{caller}_{n}"), MESSAGE)
            print(added.email.id, flush=True)

    await asyncio.gather(*(adding(caller) for caller in range(32)))


async def hammer(url: str, name: str) -> None:
    """Write in every way until told to stop, and say what was done."""
    store = open_store(url)
    await store.open()
    done: Counter[str] = Counter()
    taken: list[str] = []
    stopped = asyncio.Event()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

    async def repeat(act: object, caller: int) -> None:
        assert callable(act)
        while not stopped.is_set():
            await act(store, done, taken, f"{name}_{caller}")
            print(".", flush=True)

    acts = [adding, counting, taking, changing]
    working = [asyncio.ensure_future(repeat(act, caller)) for caller in range(4) for act in acts]
    await asyncio.to_thread(sys.stdin.read)
    stopped.set()
    await asyncio.gather(*working)
    await store.aclose()
    print(json.dumps({"done": done, "taken": taken}), flush=True)


async def adding(store: SqliteStore, done: Counter[str], taken: list[str], by: str) -> None:
    """Add one e-mail of our own."""
    added = await store.add(queued(f"em_{by}_{done['added']}"), MESSAGE)
    done["added"] += added.fresh


async def counting(store: SqliteStore, done: Counter[str], taken: list[str], by: str) -> None:
    """Count the shared e-mail up by one, unless somebody else does so first."""
    email = await store.get("em_shared")
    try:
        await store.save(next_of(email, by, rounds=email.rounds + 1))
    except StaleEmailError:
        done["stale"] += 1
    else:
        done["counted"] += 1


async def taking(store: SqliteStore, done: Counter[str], taken: list[str], by: str) -> None:
    """Take a few of the urgent e-mails, of which there is one more each time."""
    await store.add(queued(f"em_u_{by}_{done['urgent']}", lane=Lane.URGENT), MESSAGE)
    done["urgent"] += 1
    taken += await store.take_due(NOW, DUE)


async def changing(store: SqliteStore, done: Counter[str], taken: list[str], by: str) -> None:
    """Change the shared health."""
    await store.health.update("shared", later)
    done["changed"] += 1


async def opened(url: str) -> None:
    """Open the store and let go of it."""
    store = open_store(url)
    await store.open()
    print("open", flush=True)
    await store.aclose()


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    asyncio.run({"add": add, "hammer": hammer, "open": opened}[command](*arguments))
