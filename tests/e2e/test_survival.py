"""Nothing is lost and nothing is sent twice without a trace when processes end, politely or not."""

import asyncio
from collections import Counter

import httpx
import pytest
from tests.e2e.town import LEASE_S, MAILCORE, Running, Town, accept, outcomes, post, reach, show, start, until
from tests.servers.running import free_port


async def test_fifty_equal_posts_with_one_key_make_one_email(place: Town) -> None:
    """One key is one e-mail, whoever asks first and however many at a time."""
    service = await place.service("sendgrid")

    answers = await asyncio.gather(*(post(service, key="reset:42") for _ in range(50)))
    other = await post(service, key="reset:42", subject="Something else")

    ids = {answer.json()["id"] for answer in answers}
    await reach(service, ids.copy().pop(), "sent")
    assert {answer.status_code for answer in answers} == {201}
    assert len(ids) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert other.status_code == 422
    assert await place.accepted() == list(ids)


async def test_sigterm_under_load_loses_and_doubles_nothing(place: Town) -> None:
    """A polite stop ends what is under way and leaves no unknown attempt; the rest is sent after a restart."""
    service = await place.service("sendgrid", "mailgun")
    for kind in ("sendgrid", "mailgun"):
        await place.break_down(kind, {"kind": "pass"}, latency=0.3)
    load = asyncio.create_task(_load(service, 400))
    await until("mail flows", lambda: _accepted_some(place, 20))

    code = await asyncio.to_thread(service.terminate)
    ids = await load
    again = await place.service("sendgrid", "mailgun")

    emails = [await reach(again, email_id, "sent") for email_id in ids]
    assert code == 0, service.log.read_text()[-2000:]
    assert len(ids) > 20
    assert "unknown" not in {outcome for email in emails for _, outcome in outcomes(email)}
    accepted = Counter(await place.accepted())
    assert {email_id: accepted[email_id] for email_id in ids} == dict.fromkeys(ids, 1)


async def _load(service: Running, count: int) -> list[str]:
    """Post until the service is gone; return the ids that it answered for."""
    ids: list[str] = []
    for number in range(count):
        try:
            answer = await post(service, key=f"load:{number}")
        except httpx.TransportError:
            break
        if answer.status_code == 201:
            ids.append(answer.json()["id"])
    return ids


async def _accepted_some(place: Town, count: int) -> bool:
    """Whether providers took so many already."""
    return len(await place.accepted()) >= count


async def test_kill_9_in_mid_send_loses_nothing_and_records_what_may_be_double(place: Town) -> None:
    """After a crash every e-mail is sent; whatever a provider took twice has an attempt that says unknown."""
    service = await place.service("sendgrid")
    await place.break_down("sendgrid", {"kind": "pass"}, latency=0.4)
    ids = await asyncio.gather(*(accept(service, subject=f"No. {number}") for number in range(60)))
    await until("some are under way", lambda: _accepted_some(place, 10))

    service.kill()
    again = await place.service("sendgrid")
    await place.break_down("sendgrid")

    emails = [await reach(again, email_id, "sent", within_s=LEASE_S + 40) for email_id in ids]
    accepted = Counter(await place.accepted())
    for email in emails:
        unknown = [outcome for _, outcome in outcomes(email)].count("unknown")
        assert 1 <= accepted[email["id"]] <= 1 + unknown, email
        assert email["possibly_sent"] == (unknown > 0)
    assert set(accepted) == set(ids)


async def test_kill_9_right_after_the_answer_keeps_the_email(place: Town) -> None:
    """A 201 means durable: an e-mail whose service died at once is sent by the next one."""
    service = await place.service("sendgrid")
    await place.break_down("sendgrid", {"kind": "status", "status": 503})

    email_id = await accept(service)
    service.kill()
    await place.break_down("sendgrid")
    again = await place.service("sendgrid")

    email = await reach(again, email_id, "sent")
    assert email["id"] == email_id
    assert (await place.accepted()).count(email_id) == 1


async def test_api_and_worker_share_one_file_as_two_processes(place: Town) -> None:
    """`mailcore api` accepts and `mailcore worker` sends, with nothing but the SQLite file between them."""
    api = await place.service("sendgrid", role="api")
    email_id = await accept(api)
    before = await show(api, email_id)

    await place.service("sendgrid", role="worker")

    email = await reach(api, email_id, "sent")
    assert before["attempts"] == []
    assert outcomes(email) == [("sendgrid", "accepted")]


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2> >(:)"], ids=["full disk", "pipe whose reader has gone"])
async def test_a_log_that_cannot_be_written_stops_no_mail(place: Town, stderr: str) -> None:
    """What is durable is answered with 201 and sent, failures in between included, and the end is a good one."""
    port = free_port()
    arguments = ["up", "--config", str(place.configure("sendgrid", "mailgun", port=port))]
    shell = ("bash", "-c", f'exec "$0" "$@" {stderr}', MAILCORE)
    service = start(arguments, f"http://127.0.0.1:{port}", place.folder / "up.log", shell)
    place.running.append(service)
    await until("up answers", service.answers)
    await place.break_down("sendgrid", {"kind": "status", "status": 503})

    emails = [await reach(service, await accept(service), "sent") for _ in range(3)]

    metrics = (await service.http.get("/metrics")).text
    assert "mailcore_dropped_log_lines_total" in metrics
    assert "mailcore_dropped_log_lines_total 0.0" not in metrics
    assert {email["attempts"][-1]["provider"] for email in emails} == {"mailgun"}
    assert await asyncio.to_thread(service.terminate) == 0
