"""The floors: what the parts can do alone, each as a process of its own.

`python -m tests.bench.floors litestar PORT` answers POSTs without storing anything;
`python -m tests.bench.floors provider PORT MS` takes SendGrid's requests after so many milliseconds, and tells at
`/seen` when each came, by the machine's monotonic clock, and how many it had at once; `/forget` begins anew.
"""

import asyncio
import sys
import time

from aiohttp import web


def serve_litestar(port: int) -> None:
    """Serve what any service pays before it stores: Litestar, the body decoded into our own Message, a 201."""
    import uvicorn
    from litestar import Litestar, post
    from litestar.params import JSONBody

    from mailcore import Message

    @post("/api/emails", status_code=201)
    async def accept(data: JSONBody[Message]) -> dict[str, str]:
        return {"id": "em_0", "status": "queued", "subject": data.subject}

    app = Litestar([accept], openapi_config=None)
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_level="error", access_log=False)


def serve_provider(port: int, milliseconds: float) -> None:
    """Serve a provider that takes everything after a while."""
    came: list[float] = []
    here = peak = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal here, peak
        came.append(time.monotonic())
        here += 1
        peak = max(peak, here)
        await request.read()
        await asyncio.sleep(milliseconds / 1000)
        here -= 1
        return web.Response(status=202, headers={"X-Message-Id": "0123456789012345678901"})

    async def seen(_: web.Request) -> web.Response:
        return web.json_response({"count": len(came), "peak": peak, "last": came[-1] if came else 0.0})

    async def times(_: web.Request) -> web.Response:
        return web.json_response(came)

    async def forget(_: web.Request) -> web.Response:
        nonlocal peak
        came.clear()
        peak = here
        return web.Response()

    app = web.Application(client_max_size=2**25)
    app.router.add_post("/v3/mail/send", take)
    app.router.add_get("/health/live", lambda _: asyncio.sleep(0, web.Response(text="ok")))
    app.add_routes([web.get("/seen", seen), web.get("/times", times), web.get("/forget", forget)])
    import uvloop

    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    if sys.argv[1] == "litestar":
        serve_litestar(int(sys.argv[2]))
    else:
        serve_provider(int(sys.argv[2]), float(sys.argv[3]))
