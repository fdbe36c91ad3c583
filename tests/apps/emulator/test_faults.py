"""Scripts of faults as values: who meets which rule, how often, and what then becomes of the request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.apps.emulator.calls import ANYTHING, FORM, NOW, letter, mail, mailgun_call, sendgrid_call

from mailapps.emulator import mailgun, sendgrid
from mailapps.emulator.faults import Match, Progress, Rule, decide, draw, fits, read_script
from mailapps.emulator.ruling import HUGE_BYTES, Ruling, rule_on
from mailapps.emulator.wire import GATEWAYS, Kind, Letter, gateway_page

DOWN = {"kind": "status", "status": 503}


def script(*rules: dict[str, Any], seed: int = 0) -> Progress:
    """Return a script of these rules."""
    return read_script(msgspec.json.encode({"rules": rules, "seed": seed}))


def met(progress: Progress, letters: list[Letter | None]) -> list[int | None]:
    """Return the number of the rule that each letter meets, one after another."""
    numbers: list[int | None] = []
    for one in letters:
        progress, rule = decide(progress, one, NOW)
        numbers.append(None if rule is None else progress.script.rules.index(rule))
    return numbers


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"sender": "A@SHOP.example"}, True),
        ({"sender": "b@shop.example"}, False),
        ({"recipient": "Ann@example.com"}, True),
        ({"recipient": "a@shop.example"}, False),
        ({"subject": "hELL"}, True),
        ({"subject": "bye"}, False),
        ({"email_id": "em_1"}, True),
        ({"email_id": "em_2"}, False),
        ({"sender": "a@shop.example", "subject": "bye"}, False),
    ],
)
def test_a_rule_is_for_the_requests_that_fit_every_part_of_its_match(match: dict[str, str], expected: bool) -> None:
    """Sender, recipient, part of the subject and our id select requests; all given parts must fit."""
    one = letter(metadata=(("mailcore_id", "em_1"),))

    assert fits(Match(**match), one) is expected


def test_a_request_that_cannot_be_read_fits_only_the_open_match() -> None:
    """A fault for everybody strikes garbage too, one for somebody does not."""
    assert fits(Match(), None)
    assert not fits(Match(subject=""), None)


def test_the_first_rule_that_fits_acts_and_is_used_up_by_its_count() -> None:
    """Rules are tried in order; a used-up one leaves the request to the next."""
    progress = script({"action": DOWN, "times": 2}, {"action": {"kind": "reset"}, "times": 1})

    assert met(progress, [letter()] * 4) == [0, 0, 1, None]


def test_a_request_of_somebody_else_does_not_use_a_rule_up() -> None:
    """A count counts what the rule did, not what passed by."""
    progress = script({"action": DOWN, "times": 1, "match": {"subject": "bad"}})

    assert met(progress, [letter(), letter(subject="Bad news"), letter(subject="Bad news")]) == [None, 0, None]


def test_a_pass_is_an_exception_from_the_rules_below() -> None:
    """One sender gets through while all others meet an outage."""
    progress = script({"match": {"sender": "vip@shop.example"}}, {"action": DOWN})

    assert met(progress, [letter(from_=letter().from_.__class__("vip@shop.example")), letter()]) == [0, 1]


@given(seed=st.integers(0, 1 << 32), probability=st.floats(0, 1))
def test_a_script_does_the_same_again(seed: int, probability: float) -> None:
    """Dice are a function of the seed: a failing run can be repeated."""
    progress = script({"action": DOWN, "probability": probability}, seed=seed)

    assert met(progress, [letter()] * 20) == met(progress, [letter()] * 20)


def test_a_probability_is_about_met() -> None:
    """Of 2000 requests a rule of 40 % strikes 40 %, give or take four standard deviations."""
    progress = script({"action": DOWN, "probability": 0.4}, seed=7)

    struck = sum(number == 0 for number in met(progress, [letter()] * 2000))

    assert 712 <= struck <= 888


@given(st.integers(), st.integers(0), st.integers(0))
def test_a_draw_is_from_zero_up_to_but_not_one(seed: int, request: int, rule: int) -> None:
    """Probability 1 always strikes and 0 never does."""
    assert 0 <= draw(seed, request, rule) < 1


def test_a_rate_lets_so_many_through_in_any_second() -> None:
    """The third request within a second is over a limit of two; a second later there is room again."""
    progress = script({"action": {"kind": "rate", "max_per_second": 2, "retry_after": 3}})
    over: list[bool] = []

    for milliseconds in (0, 400, 999, 1000, 1200, 1400):
        progress, rule = decide(progress, letter(), NOW + timedelta(milliseconds=milliseconds))
        over.append(rule is not None)

    assert over == [False, False, True, False, True, False]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "truncated"),
        (b'{"rules": [{"action": {"kind": "status", "body": ' + b"[" * 100_000, "recursion"),
        (b'{"rules": [{"match": {"subject": "\xff"}}]}', "utf-8"),
        (b'{"rule": []}', "rule"),
        (b'{"rules": [{"action": {"kind": "explode"}}]}', "$.rules[0].action.kind"),
        (b'{"rules": [{"action": {}}]}', "kind"),
        (b'{"rules": [{"action": {"kind": "hang", "seconds": -1}}]}', "$.rules[0].action.seconds"),
        (b'{"rules": [{"action": {"kind": "status", "status": 99}}]}', "$.rules[0].action.status"),
        (b'{"rules": [{"match": {"to": "a"}}]}', "$.rules[0].match"),
        (b'{"rules": [{"times": -1}]}', "$.rules[0].times"),
        (b'{"rules": [{"probability": 1.5}]}', "$.rules[0].probability"),
        (b'{"rules": [{"latency": "1"}]}', "$.rules[0].latency"),
    ],
)
def test_a_bad_script_is_refused_with_the_field_that_is_wrong(body: bytes, named: str) -> None:
    """The author of a script is told where to look."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        read_script(body)

    assert named in str(caught.value)


def ruled(action: dict[str, Any], *, provider: str = "mailgun", **rule: object) -> Ruling:
    """Return what becomes of a right request that meets an action."""
    scripted = msgspec.convert({"action": action, **rule}, Rule)
    if provider == "mailgun":
        return rule_on(mailgun.judge(mailgun_call(FORM), ANYTHING), scripted, mailgun.refuse)
    return rule_on(sendgrid.judge(sendgrid_call(mail()), ANYTHING), scripted, sendgrid.refuse)


@pytest.mark.parametrize(
    ("action", "accepted", "fault"),
    [
        (DOWN, False, "status 503"),
        ({"kind": "hang"}, False, "hang"),
        ({"kind": "hang", "accept": True}, True, "hang after accept"),
        ({"kind": "reset"}, False, "reset"),
        ({"kind": "reset", "accept": True}, True, "reset after accept"),
        ({"kind": "drip"}, True, "drip"),
        ({"kind": "garbage", "shape": "empty"}, True, "garbage empty"),
        ({"kind": "rate", "max_per_second": 0}, False, "rate"),
        ({"kind": "pass"}, True, None),
    ],
)
def test_only_some_faults_take_the_message(action: dict[str, Any], accepted: bool, fault: str | None) -> None:
    """Whether a message was taken is said by the script, and told by the ledger and the inbox alike."""
    ruling = ruled(action)

    assert (ruling.delivered, ruling.fault) == (accepted, fault)
    assert ruling.verdict == ("accepted" if accepted else "refused")


def test_no_fault_makes_the_provider_take_what_it_refuses() -> None:
    """An accept then a reset of a wrong message is only a reset."""
    verdict = mailgun.judge(mailgun_call({}), ANYTHING)

    ruling = rule_on(verdict, msgspec.convert({"action": {"kind": "reset", "accept": True}}, Rule), mailgun.refuse)

    assert ruling.verdict == "refused"


def test_garbage_in_answer_to_a_wrong_message_is_the_refusal() -> None:
    """What the provider refuses it refuses legibly; only a success is spoilt."""
    verdict = mailgun.judge(mailgun_call({}), ANYTHING)

    ruling = rule_on(verdict, msgspec.convert({"action": {"kind": "garbage", "shape": "empty"}}, Rule), mailgun.refuse)

    assert ruling.answer == verdict.answer


@pytest.mark.parametrize("wish", [2, 3600, 0.5, "Wed, 25 Nov 2026 12:00:00 GMT", "soon", -1])
def test_a_retry_after_is_sent_as_it_was_wished(wish: float | str) -> None:
    """Seconds, dates and nonsense reach the client alike, for it must bear all of them."""
    status = ruled({"kind": "status", "status": 429, "retry_after": wish}).answer
    rate = ruled({"kind": "rate", "max_per_second": 0, "retry_after": wish}).answer

    assert status == rate
    assert (status.status, dict(status.headers)["Retry-After"]) == (429, str(wish))


@pytest.mark.parametrize(
    ("more", "body", "content_type"),
    [
        ({}, gateway_page(502).body, "text/html"),
        ({"body": "<h1>"}, b"<h1>", "text/plain; charset=utf-8"),
        ({"body": "<h1>", "content_type": "text/html"}, b"<h1>", "text/html"),
        ({"body": {"a": 1}}, b'{"a":1}', "application/json"),
        ({"body": [1]}, b"[1]", "application/json"),
    ],
)
def test_a_status_has_the_scripts_body_or_the_providers_words(
    more: dict[str, Any], body: bytes, content_type: str
) -> None:
    """Without a body of its own a scripted status sounds like the provider."""
    answer = ruled({"kind": "status", "status": 502, "headers": {"X-Via": "edge"}, **more}).answer

    assert (answer.status, answer.body, answer.content_type) == (502, body, content_type)
    assert answer.headers == (("X-Via", "edge"),)


@pytest.mark.parametrize("status", [200, 202, 204, 301, 302, 400, 401, 408, 429, 500, 502, 503, 504, 520, 599])
def test_every_scripted_status_sounds_like_its_provider(status: int) -> None:
    """No provider speaks of an internal error under another status, and none in the words of the other."""
    sendgrid, mailgun = (ruled({"kind": "status", "status": status}, provider=one).answer for one in Kind)

    assert (sendgrid.status, mailgun.status) == (status, status)
    for answer in (sendgrid, mailgun):
        assert (b"Internal Server Error" in answer.body) == (status == 500)
        assert (answer.content_type == "text/html") == (status in GATEWAYS)
    if status < 300:
        assert (sendgrid.body, mailgun.body) == (b"", b"Mailgun Magnificent API")
    elif status not in GATEWAYS:
        assert sendgrid.body.startswith(b'{"errors":[{"message":"')
        assert mailgun.body == b"Forbidden" if status == 401 else mailgun.body.startswith(b'{"message":"')
        assert (b"Service Unavailable" in sendgrid.body) == (status == 503)


@pytest.mark.parametrize("shape", ["bad_json", "empty", "wrong_type", "missing_id"])
def test_sendgrids_garbage_has_nothing_of_mailguns(shape: str) -> None:
    """SendGrid's success has no body: what is spoilt of it does not say that it was queued."""
    assert b"Queued" not in ruled({"kind": "garbage", "shape": shape}, provider="sendgrid").answer.body


@pytest.mark.parametrize("provider", ["mailgun", "sendgrid"])
@pytest.mark.parametrize("shape", ["bad_json", "empty", "wrong_type", "missing_id"])
def test_garbage_is_a_success_without_an_id(provider: str, shape: str) -> None:
    """A 2xx that cannot be read has the success status of its provider, and its id nowhere."""
    usual = ruled({"kind": "pass"}, provider=provider)

    answer = ruled({"kind": "garbage", "shape": shape}, provider=provider).answer

    assert answer.status == usual.answer.status
    assert answer.headers == ()
    assert answer.body != usual.answer.body or not answer.body
    assert b"@shop.example" not in answer.body


def test_a_huge_answer_has_ten_megabytes() -> None:
    """A client must not read a provider's answer without a bound."""
    assert len(ruled({"kind": "garbage", "shape": "huge"}).answer.body) > HUGE_BYTES


@pytest.mark.parametrize(
    ("action", "word"), [({"kind": "pass"}, "checked"), ({"kind": "reset", "accept": True}, "refused")]
)
def test_what_a_sandbox_found_right_is_checked_and_never_accepted(action: dict[str, Any], word: str) -> None:
    """The ledger does not count as taken what the provider throws away."""
    verdict = sendgrid.judge(sendgrid_call(mail(mail_settings={"sandbox_mode": {"enable": True}})), ANYTHING)

    ruling = rule_on(verdict, msgspec.convert({"action": action}, Rule), sendgrid.refuse)

    assert (ruling.verdict, ruling.delivered) == (word, False)
