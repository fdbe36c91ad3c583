"""Who must not be written to is not, whether a message comes afterwards or came before."""

from __future__ import annotations

import httpx
from tests.apps.api.test_keys import bearer, made
from tests.apps.api.test_suppressions import MINE, PATH, ROOT, SAID, suppress
from tests.apps.api.world import World, message, pointers

from mailcore.outcome import Accepted


async def test_who_is_suppressed_is_pointed_to(api: httpx.AsyncClient) -> None:
    """Each recipient with the day and the reason; the e-mail is not stored, and would be refused again."""
    await suppress(api, {**SAID, "reason": "unsubscribed"}, "bob@example.com")

    answer = await api.post("/api/emails", json=message(to=["bob@example.com", "Ann <ANN@example.com>"]))

    told = answer.json()
    assert (answer.status_code, told["code"], told["retryable"]) == (422, "suppressed", False)
    assert [(one["pointer"], one["detail"].partition(":")[0]) for one in told["errors"]] == [
        ("/to/0", "suppressed since 2030-01-01 (manual)"),
        ("/to/1", "suppressed since 2030-01-01 (unsubscribed)"),
    ]
    assert (await api.get("/api/emails")).json()["data"] == []


async def test_others_get_what_some_must_not(world: World, api: httpx.AsyncClient) -> None:
    """The suppressed are left out, and the attempt says which."""
    await suppress(api, "bob@example.com")
    world.provider.script([Accepted(provider_id="1")])

    answer = await api.post("/api/emails", json=message(cc="bob@example.com"))
    await world.attempt(answer.json()["id"])
    email = (await api.get(answer.headers["Location"])).json()

    assert (answer.status_code, email["status"]) == (201, "sent")
    assert email["attempts"][0]["detail"] == "left out, as suppressed: /cc/0"


async def test_the_route_of_what_is_suppressed_is_not_explained(world: World) -> None:
    """It is refused as the e-mail would be, for the tenant that asks alone."""
    async with world.client(admin_key=ROOT) as api:
        shop, rival = [bearer(await made(api, MINE, tenant=name)) for name in ("shop", "rival")]
        world.clock.advance(1)
        await suppress(api, "ann@example.com", by=shop)

        answers = [await api.post("/api/route/explain", json=message(), headers=who) for who in (shop, rival)]

    assert [answer.status_code for answer in answers] == [422, 200]
    assert pointers(answers[0]) == [("/to/0", "suppressed")]


async def test_an_e_mail_that_was_accepted_before_fails_and_may_be_redriven(
    world: World, api: httpx.AsyncClient
) -> None:
    """Suppressed by the time of its attempt it is a dead letter that nobody was asked to send; lifted, it is sent."""
    email_id = (await api.post("/api/emails", json=message())).json()["id"]
    await suppress(api, "ann@example.com")
    await world.attempt(email_id)
    (dead,) = (await api.get("/api/dead-letters?reason=suppressed")).json()["data"]
    asked = len(world.provider.sends)

    await api.delete(f"{PATH}/ann@example.com")
    await api.post(f"/api/dead-letters/{email_id}/redrive")
    world.provider.script([Accepted(provider_id="1")])
    await world.attempt(email_id)

    assert (dead["id"], dead["status"], asked) == (email_id, "failed", 0)
    assert (await api.get(f"/api/emails/{email_id}")).json()["status"] == "sent"
