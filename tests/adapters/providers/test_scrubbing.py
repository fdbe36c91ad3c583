"""What is stored of a provider's words carries no key and no full address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailadapters.providers.scrubbing import scrubbed, scrubbed_text
from mailcore.outcome import Accepted, Deferred, Misconfigured, Outcome, Rejected, Scope, Throttled, Unknown

KEY = "SG.abc-def"

ADDRESSES = {
    "plain": ("to ann.lee@example.org is not valid", "to a***@example.org is not valid"),
    "in brackets": ("<ann@example.org>", "<a***@example.org>"),
    "quoted local part": ('"ann lee"@example.org', "a***@example.org"),
    "percent-encoded": ("?to=ann%40example.org", "?to=ann%40example.org".replace("?to=ann%40", "?***@")),
    "not ASCII": ("für änne@bücher.example!", "für ä***@bücher.example!"),
    "two": ("ann@a.example,bob@b.example", "a***@a.example,b***@b.example"),
    "tagged": ("ann+news@example.org", "a***@example.org"),
    "none": ("at 5 @ noon", "at 5 @ noon"),
}


@pytest.mark.parametrize(("said", "kept"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_is_shown_by_its_first_letter_and_domain(said: str, kept: str) -> None:
    """An operator sees which domain it was about, and nobody's address is kept beyond the message's own record."""
    assert scrubbed_text(said, ()) == kept


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_key_is_never_kept(before: str, after: str) -> None:
    """A provider that echoes our key does not get it into the store."""
    assert KEY not in scrubbed_text(f"{before}{KEY}{after}", (KEY,))


def test_of_two_keys_the_longer_goes_first() -> None:
    """A key that begins like another leaves no rest."""
    assert scrubbed_text("abc-def", ("abc", "abc-def")) == "***"


@given(st.text(alphabet=st.sampled_from("a@.% \n\u2028é"), max_size=3000))
def test_a_detail_is_one_short_line_without_a_long_local_part(said: str) -> None:
    """Whatever was said fits the store and a table's cell."""
    kept = scrubbed_text(said, ())

    assert len(kept) <= 500
    assert kept.isprintable()
    assert "aa@a" not in kept


def test_an_address_at_the_cut_is_masked_before_it_is_cut() -> None:
    """Half an address at the end of a long text is not left over."""
    said = "a" * 30 + " " + " ".join(f"zzzzzzzzzzz{n}@example.org" for n in range(400))

    assert "zz" not in scrubbed_text(said, ())


def test_scrubbing_takes_linear_time() -> None:
    """A server cannot make us busy by its words: the longest answer of the worst text is looked at in no time."""
    worst = "a" * 65536

    assert scrubbed_text(worst, (KEY,)) == "a" * 500


OUTCOMES: list[Outcome] = [
    Accepted(provider_id="id", detail=f"{KEY} ann@example.org"),
    Rejected(code=KEY, detail=f"{KEY} ann@example.org"),
    Deferred(code=KEY, detail=f"{KEY} ann@example.org"),
    Throttled(code=KEY, detail=f"{KEY} ann@example.org"),
    Misconfigured(scope=Scope.SENDER, code=KEY, detail=f"{KEY} ann@example.org"),
    Unknown(code=KEY, detail=f"{KEY} ann@example.org"),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_every_outcome_is_scrubbed(outcome: Outcome) -> None:
    """No case of an outcome is a way around."""
    clean = scrubbed(outcome, (KEY,))

    assert type(clean) is type(outcome)
    assert clean.detail == "*** a***@example.org"
    assert KEY not in repr(clean)


IDS = {
    "brackets": ("<2016.1@example.org>", "<2016.1@example.org>"),
    "none": (None, None),
    "longest": ("x" * 255, "x" * 255),
    "too long": ("x" * 256, None),
    "a line break": ("a\nb", None),
}


@pytest.mark.parametrize(("given_id", "kept"), IDS.values(), ids=IDS)
def test_an_id_is_kept_verbatim_or_not_at_all(given_id: str | None, kept: str | None) -> None:
    """An id is compared with a webhook's later, so it is never changed; what no provider makes is no id."""
    assert scrubbed(Accepted(provider_id=given_id), ()) == Accepted(provider_id=kept)


def test_a_code_is_short() -> None:
    """A code is a word to group by."""
    outcome = scrubbed(Rejected(code="x" * 1000, detail=""), ())

    assert outcome == Rejected(code="x" * 64, detail="")
