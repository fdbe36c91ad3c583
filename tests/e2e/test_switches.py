"""What the operator switches at the API is obeyed by workers in other processes, within seconds."""

import asyncio
import sqlite3
import time

from tests.e2e.town import Running, Town, accept, outcomes, reach, show, until

OBEYED_S = 5.0


async def put(service: Running, path: str, **word: object) -> None:
    """Say a word on a switch."""
    answer = await service.http.put(path, json=word)
    assert answer.status_code == 200, answer.text


async def test_a_paused_lane_sends_nothing_until_it_is_resumed(place: Town) -> None:
    """Whatever is posted meanwhile, urgent or not, waits; resumed, all of it is sent, each once."""
    api = await place.service("sendgrid", role="api")
    await place.service("sendgrid", role="worker")
    await reach(api, await accept(api), "sent")
    await put(api, "/api/lanes/all/pause", paused=True, reason="wrong prices")
    await asyncio.sleep(OBEYED_S)
    before = len(await place.requests())

    ids = [await accept(api, lane=lane) for lane in ("urgent", "transactional", "bulk") * 4]
    await asyncio.sleep(3)
    meanwhile = {(await show(api, email_id))["status"] for email_id in ids}
    during = len(await place.requests())
    await put(api, "/api/lanes/all/pause", paused=False)

    for email_id in ids:
        await reach(api, email_id, "sent")
    assert (during, meanwhile) == (before, {"queued"})
    assert sorted((await place.accepted())[before:]) == sorted(ids)


async def test_of_a_stopped_provider_the_other_takes_all(place: Town) -> None:
    """Five seconds after the word nothing goes there any more; `auto` gives it its mail back."""
    api = await place.service("sendgrid", "mailgun", role="api")
    await place.service("sendgrid", "mailgun", role="worker")
    first = await reach(api, await accept(api), "sent")
    await put(api, "/api/providers/sendgrid/mode", mode="stopped", reason="they bounce everything")
    await asyncio.sleep(OBEYED_S)

    stopped = [await reach(api, await accept(api), "sent") for _ in range(10)]
    await put(api, "/api/providers/sendgrid/mode", mode="auto")
    await asyncio.sleep(OBEYED_S)
    last = await reach(api, await accept(api), "sent")

    assert [outcomes(one) for one in (first, last)] == [[("sendgrid", "accepted")]] * 2
    assert {tuple(outcomes(one)) for one in stopped} == {(("mailgun", "accepted"),)}
    assert stopped[0]["attempts"][0]["why"]["passed_over"] == [{"provider": "sendgrid", "reason": "stopped"}]


async def test_a_killed_leader_is_followed_within_twenty_seconds(place: Town) -> None:
    """Of two schedulers one leads; kill -9, and the other takes the lease over, in the next term (P4, I36)."""
    first = await place.service("sendgrid", role="scheduler")
    holder, term = await until("somebody leads", lambda: _leads(place))
    second = await place.service("sendgrid", role="scheduler")
    await asyncio.sleep(6)
    still = await _leads(place)

    first.kill()
    killed = time.monotonic()
    await until("another leads", lambda: _leads_other_than(place, holder))

    assert still == (holder, term)
    assert time.monotonic() - killed <= 20
    assert ((await _leads(place)) or ("", 0))[1] == term + 1
    assert second.terminate() == 0


async def _leads(place: Town) -> tuple[str, int] | None:
    """Return who leads, and its term; None if nobody does yet."""
    db = sqlite3.connect(place.folder / "mail.db")
    try:
        row: tuple[str, int] | None = db.execute("SELECT doc ->> '$.holder', doc ->> '$.term' FROM leases").fetchone()
    except sqlite3.OperationalError:  # the file is being made
        return None
    finally:
        db.close()
    return row


async def _leads_other_than(place: Town, holder: str) -> bool:
    """Whether another one leads."""
    leader = await _leads(place)
    return leader is not None and leader[0] != holder
