"""The emulator's own API: scripts and accounts, and clear words for what cannot be meant."""

from __future__ import annotations

import httpx
import pytest
from tests.apps.emulator.calls import BASIC, BEARER, FORM, MAILGUN, SENDGRID, mail

from mailapps.emulator import EmulatorSettings, Running, running_emulator
from mailapps.emulator.server import MAX_BODY
from mailapps.emulator.wire import Account


async def test_a_script_is_told_with_how_far_it_has_come(client: httpx.AsyncClient) -> None:
    """A test can see that its fault was met."""
    rules = [{"action": {"kind": "status", "status": 503}, "times": 1}]
    await client.put("/emulator/faults/sendgrid", json={"rules": rules, "seed": 7})

    for _ in range(2):
        await client.post(SENDGRID, json=mail(), headers=BEARER)

    told = (await client.get("/emulator/faults/sendgrid")).json()
    assert (told["seed"], told["seen"], told["used"]) == (7, 2, [1])
    assert told["rules"][0]["action"]["status"] == 503


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/emulator/faults/sendgrid", b'{"rules": [{"action": {"kind": "hang", "seconds": "x"}}]}', "seconds"),
        ("/emulator/faults/sendgrid", b"", "truncated"),
        ("/emulator/faults/postmark", b"{}", "postmark"),
        ("/emulator/accounts/sendgrid", b'{"verified_senders": "a@x.org"}', "verified_senders"),
        ("/emulator/accounts/sendgrid", b'{"senders": []}', "senders"),
        ("/emulator/accounts/sendgrid", b'{"domains": ["\xff"]}', "utf-8"),
        ("/emulator/accounts/postmark", b"{}", "postmark"),
    ],
)
async def test_a_bad_script_or_account_is_400_and_names_the_field(
    client: httpx.AsyncClient, path: str, body: bytes, named: str
) -> None:
    """What is wrong is said, and what was there before stays."""
    answer = await client.put(path, content=body)

    assert answer.status_code == 400
    assert named in answer.json()["error"]


async def test_a_bad_script_leaves_the_one_before(client: httpx.AsyncClient) -> None:
    """A typing error does not switch a fault off."""
    await client.put("/emulator/faults/sendgrid", json={"rules": [{"action": {"kind": "status", "status": 503}}]})

    await client.put("/emulator/faults/sendgrid", json={"rules": "x"})

    assert (await client.post(SENDGRID, json=mail(), headers=BEARER)).status_code == 503


@pytest.mark.parametrize(
    "path", ["/emulator/inbox?limit=x", "/emulator/inbox?after=-1", "/emulator/requests?limit=1e3"]
)
async def test_a_bad_number_is_400_and_names_it(client: httpx.AsyncClient, path: str) -> None:
    """A misspelt query is not taken for another one."""
    answer = await client.get(path)

    assert answer.status_code == 400
    assert answer.json()["error"].split(":")[0] in path


async def test_an_account_restricts_its_provider_until_it_is_deleted(client: httpx.AsyncClient) -> None:
    """An unverified From is refused by this account alone, and no longer after DELETE."""
    await client.put("/emulator/accounts/sendgrid", json={"verified_senders": ["@other.example"]})
    refused = await client.post(SENDGRID, json=mail(), headers=BEARER)
    elsewhere = await client.post(MAILGUN, data=FORM, headers=BASIC)
    told = (await client.get("/emulator/accounts/sendgrid")).json()

    await client.delete("/emulator/accounts/sendgrid")

    assert (refused.status_code, elsewhere.status_code) == (403, 200)
    assert told == {
        "api_keys": None,
        "verified_senders": ["@other.example"],
        "domains": None,
        "authorized_recipients": [],
    }
    assert (await client.post(SENDGRID, json=mail(), headers=BEARER)).status_code == 202


async def test_accounts_can_be_set_at_the_start() -> None:
    """A configuration can name keys and senders, with no call to the API."""
    settings = EmulatorSettings(port=0, accounts={"mailgun": Account(domains=("other.example",))})

    async with running_emulator(settings) as running, httpx.AsyncClient(base_url=running.url) as client:
        answer = await client.post(MAILGUN, data=FORM, headers=BASIC)

    assert answer.status_code == 404


async def test_a_body_over_the_limit_is_413_in_the_providers_words_and_stands_in_the_ledger(
    client: httpx.AsyncClient,
) -> None:
    """Thirty megabytes are read at most, and even what was not read is counted."""
    headers = {**BEARER, "content-type": "application/json"}

    answer = await client.post(SENDGRID, content=b"a" * (MAX_BODY + 1), headers=headers)

    assert answer.status_code == 413
    assert answer.json()["errors"][0]["message"] == "Request Entity Too Large"
    assert (await client.get("/emulator/requests")).json()["count"] == 1


@pytest.mark.parametrize("path", ["/postmark/email", "/x/y", "/sendgridx/v3/mail/send"])
async def test_a_provider_that_is_not_emulated_is_404(client: httpx.AsyncClient, running: Running, path: str) -> None:
    """Only names of the kinds that are spoken here are providers."""
    assert (await client.post(path)).status_code == 404
    assert running.emulator.ledger.seq == 0


async def test_the_health_page_says_ok(client: httpx.AsyncClient) -> None:
    """A supervisor can see that the server is up."""
    answer = await client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 421), ("localhost", 200), ("a.localhost", 200), ("[::1]", 200)]
)
async def test_over_loopback_a_foreign_name_is_refused(client: httpx.AsyncClient, host: str, status: int) -> None:
    """DNS rebinding: a page of another site that points its name at this machine reads no inbox."""
    assert (await client.get("/emulator/inbox", headers={"host": host})).status_code == status


async def test_there_is_no_cors(client: httpx.AsyncClient) -> None:
    """No page of another site may script faults: its preflight gets no permission."""
    headers = {"origin": "http://evil.example", "access-control-request-method": "PUT"}

    answer = await client.options("/emulator/faults/sendgrid", headers=headers)

    assert answer.status_code == 404
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_many_names_cost_no_memory(client: httpx.AsyncClient, running: Running) -> None:
    """Who asks ever new accounts leaves nothing behind but rows of the ledger."""
    for number in range(3):
        await client.post(f"/sendgrid-{number}/v3/mail/send", json=mail(), headers=BEARER)

    assert running.emulator.scripts == {}
    assert running.emulator.accounts == {}
