"""HttpProvider: build, send, parse and scrub, composed of a kind, settings, a transport and a clock."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import entry_points

import httpx
import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.adapters.providers.samples import NOW, sending

from mailadapters.providers.http import HttpProvider, open_transport
from mailadapters.providers.kind import ProviderKind, secrets_of
from mailadapters.providers.mailgun import PROVIDER as MAILGUN
from mailadapters.providers.mailgun import MailgunSettings
from mailadapters.providers.mailgun import connect as connect_mailgun
from mailadapters.providers.sendgrid import PROVIDER as SENDGRID
from mailadapters.providers.sendgrid import SendGridSettings
from mailcore.errors import SettingsError
from mailcore.outcome import Accepted, Deferred, Rejected, Throttled, Unknown
from mailcore.ports import Provider
from mailcore.secret import Secret

KEY = "key-0123456789"
SENDGRID_SETTINGS = SendGridSettings(api_key=Secret(KEY))
MAILGUN_SETTINGS = MailgunSettings(api_key=Secret(KEY), domain="mg.example.com")
BOTH = [(SENDGRID, SENDGRID_SETTINGS), (MAILGUN, MAILGUN_SETTINGS)]


def provider(
    answer: Callable[[httpx.Request], httpx.Response],
    kind: ProviderKind = SENDGRID,
    settings: Struct = SENDGRID_SETTINGS,
) -> HttpProvider:
    """Return an account at a service that answers as a function says."""
    transport = httpx.MockTransport(answer)
    return HttpProvider(name="account-1", kind=kind, settings=settings, transport=transport, now=lambda: NOW)


async def test_a_provider_has_the_shape_of_the_port() -> None:
    """The core needs a name, capabilities, send and aclose, and nothing that HTTP knows of."""
    account: Provider = provider(lambda _: httpx.Response(202, headers={"X-Message-Id": "id"}))

    outcome = await account.send(sending())

    assert account.name == "account-1"
    assert account.capabilities == SENDGRID.capabilities
    assert outcome == Accepted(provider_id="id")


async def test_the_deadline_goes_with_the_request() -> None:
    """The transport owns the deadline, so it must be told of it."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202)

    await provider(answer).send(replace(sending(), deadline=timedelta(seconds=7.5)))

    assert seen[0].extensions["deadline"] == 7.5


async def test_an_answer_is_dated_by_the_clock() -> None:
    """A date in an answer is a wait from the moment it came."""
    headers = {"Retry-After": "Sun, 01 Mar 2026 12:00:09 GMT"}

    outcome = await provider(lambda _: httpx.Response(429, headers=headers)).send(sending())

    assert isinstance(outcome, Throttled)
    assert outcome.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(("kind", "settings"), BOTH, ids=["sendgrid", "mailgun"])
async def test_no_key_comes_back_in_an_outcome(kind: ProviderKind, settings: Struct) -> None:
    """A service that echoes a request does not get our key into the store, as it stands or in base64."""
    account = provider(lambda request: httpx.Response(400, text=f"{dict(request.headers)} {KEY}"), kind, settings)

    outcome = await account.send(sending())

    assert isinstance(outcome, Rejected)
    assert KEY not in outcome.detail
    assert base64.b64encode(f"api:{KEY}".encode()).decode() not in outcome.detail
    assert "***" in outcome.detail


@pytest.mark.parametrize(("kind", "settings"), BOTH, ids=["sendgrid", "mailgun"])
async def test_no_address_comes_back_whole(kind: ProviderKind, settings: Struct) -> None:
    """What a service says of a recipient is kept without the recipient."""
    text = "ann@example.org is not a valid address"

    outcome = await provider(lambda _: httpx.Response(400, text=text), kind, settings).send(sending())

    assert outcome == Rejected(code="400", detail="a***@example.org is not a valid address")


async def test_a_long_answer_is_kept_short() -> None:
    """500 characters of a reason are enough for anybody."""
    outcome = await provider(lambda _: httpx.Response(400, text="x" * 60_000)).send(sending())

    assert outcome == Rejected(code="400", detail="x" * 500)


async def test_a_compressed_answer_of_another_transport_is_read() -> None:
    """Any transport of httpx will do."""
    outcome = await provider(lambda _: httpx.Response(503, content=b"busy")).send(sending())

    assert outcome == Deferred(code="503", detail="busy")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), Deferred(code="connect_failed", detail="refused")),
        (httpx.ConnectTimeout("slow"), Deferred(code="connect_timeout", detail="slow")),
        (httpx.PoolTimeout("full"), Deferred(code="pool_timeout", detail="full")),
        (httpx.ReadTimeout("silent"), Unknown(code="no_answer", detail="silent")),
        (httpx.WriteError("reset"), Unknown(code="connection_lost", detail="reset")),
        (httpx.RemoteProtocolError("odd"), Unknown(code="unreadable_answer", detail="odd")),
        (httpx.ReadError(f"{KEY} to ann@a.example"), Unknown(code="connection_lost", detail="*** to a***@a.example")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failure_of_the_network_is_an_outcome(error: httpx.TransportError, expected: object) -> None:
    """A send never raises for what a network can do, and what it says then is scrubbed too."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    assert await provider(fail).send(sending()) == expected


async def test_a_mistake_of_ours_is_raised() -> None:
    """Only the network is turned into outcomes: a bug must be seen."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await provider(fail).send(sending())


async def test_our_headers_give_way_to_the_provider() -> None:
    """Each name goes out once; a provider's module has the last word on its own request."""
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(202)

    def build(*_: object) -> object:
        return replace(SENDGRID.build(sending(), SENDGRID_SETTINGS), headers=(("User-Agent", "own/1"),))

    await provider(answer, replace(SENDGRID, build=build)).send(sending())

    assert seen[0].get_list("user-agent") == ["own/1"]
    assert seen[0].get_list("accept-encoding") == ["identity"]


async def test_a_closed_provider_is_closed() -> None:
    """Closing twice is nothing, and a send afterwards is a mistake of ours, not a new connection."""
    account = dataclasses.replace(provider(lambda _: httpx.Response(202)), transport=open_transport())

    await account.aclose()
    await account.aclose()

    with pytest.raises(RuntimeError, match="closed"):
        await account.send(sending())


def test_the_secrets_of_settings_are_found_by_their_type() -> None:
    """Settings of a plug-in are scrubbed without being known."""

    class Settings(Struct, frozen=True):
        region: str
        key: Secret
        other: Secret

    assert secrets_of(Settings("eu", Secret("a-key"), Secret("b-key"))) == ("a-key", "b-key")


def test_settings_do_not_show_their_key() -> None:
    """A traceback or a log of the settings, the request or the provider holds no key."""
    account = provider(lambda _: httpx.Response(202), MAILGUN, MAILGUN_SETTINGS)

    shown = repr(account) + repr(MAILGUN.build(sending(), MAILGUN_SETTINGS))

    assert KEY not in shown
    assert base64.b64encode(f"api:{KEY}".encode()).decode() not in shown


def test_each_entry_point_connects_to_the_kind_of_its_name() -> None:
    """`kind = "…"` in a configuration finds the provider that says it is that."""
    own = [one for one in entry_points(group="mailcore.providers") if one.value.startswith("mailadapters.")]
    settings = {"sendgrid": {"api_key": KEY}, "mailgun": {"api_key": KEY, "domain": "mg.example.com"}}

    made = {one.name: one.load()("mine", settings[one.name], lambda: NOW) for one in own}

    assert {name: (provider.name, provider.kind.name) for name, provider in made.items()} == {
        "sendgrid": ("mine", "sendgrid"),
        "mailgun": ("mine", "mailgun"),
    }


def test_wrong_settings_of_a_provider_are_named_all_at_once_and_without_the_key() -> None:
    """An operator mends a provider in one go, and no error shows a key."""
    with pytest.raises(SettingsError) as caught:
        connect_mailgun(
            "mine", {"api_key": f"{KEY}\n", "domian": "mg.example.com", "test_mode": "perhaps"}, lambda: NOW
        )

    assert str(caught.value).splitlines() == [
        "providers.mine.domian is no setting; did you mean domain?",
        "providers.mine.api_key: a secret is printable ASCII and not empty",
        "providers.mine.domain is missing",
        'providers.mine.test_mode: expected true or false, got "perhaps"',
    ]
