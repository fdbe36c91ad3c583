"""E-mails go from a POST to a provider, whatever the providers do; in real processes over real HTTP."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.e2e.town import Town, accept, outcomes, post, reach, show, until

FAILS = {"kind": "status", "status": 503}


@pytest.mark.parametrize("kind", ["sendgrid", "mailgun"])
async def test_a_posted_email_arrives_in_the_providers_own_wire_format(place: Town, kind: str) -> None:
    """What is posted is what the provider's strict emulator has in its inbox, with our id in it."""
    service = await place.service(kind)

    email_id = await accept(service, subject="Grüße", html="<p>Hi</p>", cc="Bob <bob@example.com>", tags=["receipt"])
    email = await reach(service, email_id, "sent")

    inbox = (await place.emulator.http.get("/emulator/inbox")).json()["messages"]
    assert outcomes(email) == [(kind, "accepted")]
    assert [(one["email_id"], one["subject"], one["provider"]) for one in inbox] == [(email_id, "Grüße", kind)]


async def test_when_one_provider_fails_the_other_takes_it_at_once(place: Town) -> None:
    """A clean failure fails over in the same breath, and the timeline says why."""
    service = await place.service("sendgrid", "mailgun")
    await place.break_down("sendgrid", FAILS)

    email = await reach(service, await accept(service), "sent", within_s=5)

    assert outcomes(email) == [("sendgrid", "deferred"), ("mailgun", "accepted")]
    assert email["attempts"][1]["why"]["passed_over"] == [{"provider": "sendgrid", "reason": "tried in this round"}]
    assert email["rounds"] == 0


async def test_both_providers_out_for_a_while_fail_nothing(place: Town) -> None:
    """All providers unavailable never fails an e-mail: everything is sent after they come back."""
    service = await place.service("sendgrid", "mailgun")
    for kind in ("sendgrid", "mailgun"):
        await place.break_down(kind, FAILS if kind == "sendgrid" else {"kind": "status", "status": 429})
    ids = [await accept(service, subject=f"No. {number}") for number in range(12)]

    await until("each was tried", lambda: _tried(place, ids))
    for kind in ("sendgrid", "mailgun"):
        await place.break_down(kind)

    emails = [await reach(service, email_id, "sent") for email_id in ids]
    assert len(emails) == 12
    assert sorted(await place.accepted()) == sorted(ids)


async def _tried(place: Town, ids: list[str]) -> bool:
    """Whether some provider has heard of each e-mail."""
    return {row["email_id"] for row in await place.requests()} >= set(ids)


async def test_a_retry_after_is_obeyed_and_holds_up_nobody_else(place: Town) -> None:
    """429 with Retry-After: no request there for so long, and the other provider takes the mail meanwhile."""
    service = await place.service("sendgrid", "mailgun")
    await place.break_down("sendgrid", {"kind": "status", "status": 429, "retry_after": 4}, times=1)

    first = await reach(service, await accept(service), "sent", within_s=5)
    second = await reach(service, await accept(service), "sent", within_s=5)
    third = await accept(service, subject="later", scheduled_at=_in(5.0))
    await reach(service, third, "sent")

    rows = await place.requests(provider="sendgrid")
    assert outcomes(first) == [("sendgrid", "throttled"), ("mailgun", "accepted")]
    assert outcomes(second) == [("mailgun", "accepted")]
    assert [row["email_id"] for row in rows] == [first["id"], third]
    assert _moment(rows[1]["received_at"]) - _moment(rows[0]["received_at"]) >= timedelta(seconds=4)


def _in(seconds: float) -> str:
    """Return the moment in so many seconds, as the API takes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _moment(text: str) -> datetime:
    """Return a moment that the API wrote."""
    return datetime.fromisoformat(text)


async def test_one_bad_message_among_good_ones_harms_nobody(place: Town) -> None:
    """A rejected message is a dead letter at once, is tried nowhere else, and touches no breaker or score."""
    service = await place.service("sendgrid", "mailgun")
    refused = {"kind": "status", "status": 400, "body": {"errors": [{"message": "Does not contain a valid address."}]}}
    await place.break_down("sendgrid", refused, match={"subject": "poison"})
    before = (await service.http.get("/api/providers")).json()

    poison = [await accept(service, subject="poison") for _ in range(20)]
    good = [await accept(service, subject="good") for _ in range(20)]

    failed = [await reach(service, email_id, "failed") for email_id in poison]
    sent = [await reach(service, email_id, "sent") for email_id in good]
    after = (await service.http.get("/api/providers")).json()
    assert {(email["reason"], *outcomes(email)) for email in failed} == {("rejected", ("sendgrid", "rejected"))}
    assert {tuple(outcomes(email)) for email in sent} == {(("sendgrid", "accepted"),)}
    assert _breakers(after) == _breakers(before)
    assert len((await service.http.get("/api/dead-letters", params={"limit": 100})).json()["data"]) == 20


def _breakers(answer: dict[str, object]) -> list[object]:
    """Return how each provider stands, its score apart."""
    data = answer["data"] if isinstance(answer, dict) else answer
    assert isinstance(data, list)
    return [(one["name"], one["obstacle"], one["share"]) for one in data]


async def test_an_unknown_outcome_is_retried_and_recorded(place: Town) -> None:
    """on_unknown=retry: taken, then no answer; it is sent again, and listed as a possible duplicate."""
    service = await place.service("sendgrid")
    await place.break_down("sendgrid", {"kind": "reset", "accept": True}, times=1)

    email = await reach(service, await accept(service, on_unknown="retry"), "sent")

    listed = await service.http.get("/api/emails", params={"possible_duplicate": "true"})
    assert outcomes(email) == [("sendgrid", "unknown"), ("sendgrid", "accepted")]
    assert (email["possible_duplicate"], email["possibly_sent"]) == (True, True)
    assert [one["id"] for one in listed.json()["data"]] == [email["id"]]
    assert await place.accepted() == [email["id"]] * 2


async def test_an_unknown_outcome_is_held_until_a_person_settles_it(place: Town) -> None:
    """on_unknown=hold: no second attempt by itself; resolving it as sent ends it."""
    service = await place.service("sendgrid", "mailgun")
    await place.break_down("sendgrid", {"kind": "reset", "accept": True}, times=1)

    email = await reach(service, await accept(service, on_unknown="hold"), "held")
    resolved = await service.http.post(f"/api/emails/{email['id']}/resolve", json={"as": "sent", "note": "seen there"})

    assert resolved.status_code == 200, resolved.text
    assert (await show(service, email["id"]))["status"] == "sent"
    assert await place.accepted() == [email["id"]]


async def test_a_sender_that_one_provider_does_not_know_goes_by_the_other(place: Town) -> None:
    """An unverified From keeps that e-mail from that provider, and nobody else is touched."""
    service = await place.service("sendgrid", "mailgun")
    known = {"verified_senders": ["no-reply@shop.example"]}
    account = await place.emulator.http.put("/emulator/accounts/sendgrid", json=known)
    assert account.status_code == 200, account.text

    strangers = [await accept(service, **{"from": "new@other.example"}) for _ in range(12)]
    regulars = [await accept(service) for _ in range(3)]

    strange = [await reach(service, email_id, "sent") for email_id in strangers]
    regular = [await reach(service, email_id, "sent") for email_id in regulars]
    assert {tuple(outcomes(email)) for email in strange} == {(("sendgrid", "misconfigured"), ("mailgun", "accepted"))}
    assert {tuple(outcomes(email)) for email in regular} == {(("sendgrid", "accepted"),)}


async def test_a_lone_email_outlives_an_outage_of_all_providers(place: Town) -> None:
    """One e-mail, nobody else to close the breaker: it waits the outage out, and is sent soon after."""
    service = await place.service("sendgrid", "mailgun")
    for kind in ("sendgrid", "mailgun"):
        await place.break_down(kind, {"kind": "status", "status": 401})

    email_id = await accept(service)
    await until("both were tried", lambda: _count(place, 2))
    for kind in ("sendgrid", "mailgun"):
        await place.break_down(kind)
    email = await reach(service, email_id, "sent")

    assert {outcome for _, outcome in outcomes(email)[:-1]} == {"misconfigured"}
    assert email["rounds"] == 0
    assert await place.accepted() == [email_id]


async def _count(place: Town, at_least: int) -> bool:
    """Whether the providers have heard so many requests."""
    return len(await place.requests()) >= at_least


async def test_a_scheduled_email_is_never_early(place: Town) -> None:
    """The provider hears of it after its moment, and soon after."""
    service = await place.service("sendgrid")
    moment = datetime.now(UTC) + timedelta(seconds=3)

    email_id = await accept(service, scheduled_at=moment.isoformat())
    waiting = await show(service, email_id)
    await reach(service, email_id, "sent")

    [row] = await place.requests()
    assert waiting["status"] == "scheduled"
    assert moment <= _moment(row["received_at"]) <= moment + timedelta(seconds=3)


async def test_a_cancelled_email_is_never_sent(place: Town) -> None:
    """Cancel answers 200 while it waits, 200 again, and no provider hears of it; 409 once it is sent."""
    service = await place.service("sendgrid")
    waiting = await accept(service, scheduled_at=_in(1.5))
    sent = await accept(service)
    await reach(service, sent, "sent")

    answers = [await service.http.post(f"/api/emails/{one}/cancel") for one in (waiting, waiting, sent)]
    marker = await accept(service, scheduled_at=_in(2.5))
    await reach(service, marker, "sent")

    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert (await show(service, waiting))["status"] == "cancelled"
    assert await place.accepted() == [sent, marker]


async def test_an_expired_email_is_never_sent(place: Town) -> None:
    """An e-mail that cannot be sent before it expires is a dead letter, and stays unsent when the provider is back."""
    service = await place.service("sendgrid")
    await place.break_down("sendgrid", FAILS)

    email_id = await accept(service, expires_at=_in(2))
    email = await reach(service, email_id, "failed")
    await place.break_down("sendgrid")
    marker = await accept(service, subject="afterwards")
    await reach(service, marker, "sent")

    assert email["reason"] == "expired"
    assert await place.accepted() == [marker]


async def test_a_message_that_no_provider_can_carry_is_refused_in_the_post(place: Town) -> None:
    """A capability that is missing everywhere is known before anything is stored."""
    service = await place.service("sendgrid", "mailgun")

    answer = await post(service, to=[], bcc="ann@example.com")

    assert answer.status_code == 422
    assert "sendgrid" in answer.text
    assert "mailgun" in answer.text
    assert (await service.http.get("/api/emails")).json()["data"] == []
