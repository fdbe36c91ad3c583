"""The providers' probes: whether a key works, by a request that cannot send."""

from __future__ import annotations

import base64
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.adapters.providers.samples import NOW, answer

from mailadapters.providers import mailgun, sendgrid
from mailadapters.providers.http import HttpProvider
from mailadapters.providers.kind import KeyCheck, KeyState
from mailcore.secret import Secret

SENDGRID = sendgrid.SendGridSettings(api_key=Secret("SG.1"), on_behalf_of="sub")
MAILGUN = mailgun.MailgunSettings(api_key=Secret("key-1"), domain="mg.example.com")
WITHIN = timedelta(seconds=5)


def account(transport: httpx.MockTransport) -> HttpProvider[sendgrid.SendGridSettings]:
    """Return an account at SendGrid that answers as a transport says."""
    return HttpProvider(name="one", kind=sendgrid.PROVIDER, settings=SENDGRID, transport=transport, now=lambda: NOW)


def test_sendgrid_is_asked_for_the_scopes_of_the_key() -> None:
    """The probe reads, and for the same subuser as the sends."""
    request = sendgrid.build_probe(SENDGRID)

    assert (request.method, request.url, request.body) == ("GET", "https://api.sendgrid.com/v3/scopes", b"")
    assert dict(request.headers)["authorization"] == "Bearer SG.1"
    assert dict(request.headers)["on-behalf-of"] == "sub"


def test_mailgun_is_sent_a_form_that_no_message_can_be_made_of() -> None:
    """A domain sending key may only post to messages, so the probe posts there, without from, to and subject."""
    request = mailgun.build_probe(MAILGUN)

    assert (request.method, request.url) == ("POST", "https://api.mailgun.net/v3/mg.example.com/messages")
    assert request.body == b"o%3Atestmode=yes"
    assert dict(request.headers)["authorization"] == "Basic " + base64.b64encode(b"api:key-1").decode()


@pytest.mark.parametrize(
    ("status", "body", "state", "reason"),
    [
        (200, '{"scopes": ["mail.send", "x"]}', KeyState.WORKS, ""),
        (200, '{"scopes": ["stats.read"]}', KeyState.REFUSED, "lacks the scope mail.send"),
        (200, "<html>", KeyState.UNCLEAR, "is the base_url right?"),
        (401, '{"errors": [{"message": "expired"}]}', KeyState.REFUSED, "401 expired"),
        (401, "no", KeyState.REFUSED, "401 no"),
        (403, '{"errors": [{"message": "access forbidden"}]}', KeyState.UNCLEAR, "403"),
        (429, "", KeyState.UNCLEAR, "429"),
        (500, "", KeyState.UNCLEAR, "500"),
    ],
)
def test_what_sendgrid_says_of_a_key(status: int, body: str, state: KeyState, reason: str) -> None:
    """Only a 401 and a list without mail.send refuse a key; what is not about the key tells nothing."""
    found = sendgrid.parse_probe(answer(status, body))

    assert found.state is state
    assert reason in found.reason


@pytest.mark.parametrize(
    ("status", "body", "state", "reason"),
    [
        (400, '{"message": "from parameter is missing"}', KeyState.WORKS, ""),
        (400, "Bad Request", KeyState.UNCLEAR, "400 Bad Request"),
        (401, "Forbidden", KeyState.REFUSED, "401 Forbidden"),
        (403, '{"message": "Please activate your account"}', KeyState.REFUSED, "403 Please activate"),
        (404, '{"message": "Domain not found: x"}', KeyState.REFUSED, "are domain and region (base_url) right?"),
        (200, "Mailgun Magnificent API", KeyState.REFUSED, "are domain and region (base_url) right?"),
        (200, "{}", KeyState.UNCLEAR, "200"),
        (503, "", KeyState.UNCLEAR, "503"),
    ],
)
def test_what_mailgun_says_of_a_key(status: int, body: str, state: KeyState, reason: str) -> None:
    """A complaint about the form is the proof of a key; a wrong domain or region is the settings' fault, too."""
    found = mailgun.parse_probe(answer(status, body))

    assert found.state is state
    assert reason in found.reason


@given(status=st.integers(100, 599), body=st.binary(max_size=200))
def test_a_probe_reads_any_answer(status: int, body: bytes) -> None:
    """Whatever comes back, the answer is one of the three."""
    for parse in (sendgrid.parse_probe, mailgun.parse_probe):
        found = parse(answer(status, body))

        assert isinstance(found.state, KeyState)


async def test_the_reason_shows_no_key() -> None:
    """A provider that repeats the key in its refusal does not bring it onto a screen or into a log."""
    one = account(httpx.MockTransport(lambda _: httpx.Response(401, text="SG.1 is unknown, ask ann@example.com")))

    found = await one.check_key(WITHIN)

    assert found == KeyCheck(KeyState.REFUSED, "401 *** is unknown, ask a***@example.com")


async def test_a_network_that_fails_tells_nothing_of_the_key() -> None:
    """A timeout is no refusal, and raises nothing."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silence", request=request)

    found = await account(httpx.MockTransport(fail)).check_key(WITHIN)

    assert found == KeyCheck(KeyState.UNCLEAR, "no_answer")


async def test_the_deadline_of_a_probe_goes_with_it() -> None:
    """A provider that never answers does not hold up the check."""
    seen: list[httpx.Request] = []

    def see(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500)

    await account(httpx.MockTransport(see)).check_key(WITHIN)

    assert seen[0].extensions["deadline"] == 5.0


async def test_a_kind_without_a_probe_is_not_asked() -> None:
    """A provider of somebody else's making need not have one."""
    kind = replace(sendgrid.PROVIDER, probe=None)
    transport = httpx.MockTransport(lambda _: httpx.Response(500))
    one = HttpProvider(name="one", kind=kind, settings=SENDGRID, transport=transport, now=lambda: NOW)

    assert await one.check_key(WITHIN) is None
