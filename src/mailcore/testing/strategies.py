"""Hypothesis strategies: addresses and messages that are valid, and ones that are hostile in every field.

For tests of what takes a message: `messages(now)` passes `mailcore.validation.checked`; `hostile_messages()`
rarely does, and whatever passes of it must come out of a provider's request as it went in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from mailcore.message import Address, Addresses, Attachment, Lane, Message, OnUnknown

# What has split a header, an address or a MIME part in some mail library before.
_SHARP = st.sampled_from('\r\n\0:,;<>"@()[]\\=?&%/. \t\x0b\x0c\x85\u2028\u202e\uff20\ud800')
_TRAPS = st.sampled_from(
    (
        "\r\nBcc: eve@evil.example",
        "\r\n\r\n<script>",
        "\r\n--boundary",
        "=?utf-8?q?=0D=0ABcc:_eve@evil.example?=",
        "=?utf-8?b?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=",
        "alice@example.org)bob@example.com",
        "\uff20example.com@example.com",
        '"Ann, CEO" <ann@example.com>',
        "ann@example.com, bob@example.com",
        "../../etc/passwd",
    ),
)
_LABELS = ("example", "shop", "mail-2", "münchen", "日本語", "пример", "xn--mnchen-3ya")
_TOPS = ("example", "test", "com", "рф")
_ATOMS = st.text("abcxyzABC0189!#$%&'*+/=^_`{|}~-", min_size=1, max_size=20)
_LOCALS = st.one_of(_ATOMS, st.lists(_ATOMS, min_size=1, max_size=3).map(".".join))
_WORDS = st.text("abcxyz_", min_size=1, max_size=10)
_SHOWN = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"))
_INSTANTS = st.integers(min_value=0, max_value=365 * 24 * 3_600_000)


def lines(max_size: int = 60) -> SearchStrategy[str]:
    """Return texts of one line that can be shown, not empty, without an encoded word."""
    shown = st.text(_SHOWN, min_size=1, max_size=max_size)
    return shown.filter(lambda text: bool(text.strip()) and "=?" not in text)


def hostile_texts(max_size: int = 40) -> SearchStrategy[str]:
    """Return texts of a line made to be taken for something else: specials, encoded words, any character."""
    pieces = st.one_of(_SHARP, _SHARP, _TRAPS, st.sampled_from("aZ09é"), st.characters())
    return st.lists(pieces, max_size=max_size).map("".join)


def domains() -> SearchStrategy[str]:
    """Return domains, some international, as U-labels or A-labels."""
    labels = st.lists(st.sampled_from(_LABELS), min_size=1, max_size=3).map(".".join)
    return st.tuples(labels, st.sampled_from(_TOPS)).map(".".join)


def addresses() -> SearchStrategy[Address]:
    """Return valid addresses as an author writes them, so not all in the normal form."""
    locals_ = st.one_of(_LOCALS, st.sampled_from(("jörg", "用户", "иван")))
    emails = st.tuples(locals_, domains()).map("@".join)
    return st.builds(Address, emails, st.one_of(st.just(""), lines()))


def written(address: Address) -> str:
    """Return an address as its author would write it in one text."""
    name = address.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{address.email}>' if address.name else address.email


def address_fields(min_size: int = 0) -> SearchStrategy[Addresses]:
    """Return what may stand in `to`: one address or a list, texts and values mixed."""
    one = st.one_of(addresses(), addresses().map(written))
    many = st.lists(one, min_size=min_size, max_size=4)
    return st.one_of(one, many) if min_size else many


def attachments() -> SearchStrategy[Attachment]:
    """Return small valid attachments, none inline."""
    return st.builds(
        Attachment,
        filename=st.text("abcxyzé日 _()-", max_size=20).map("a{}.bin".format),
        content_type=st.sampled_from(("application/pdf", "text/plain; charset=utf-8", "image/svg+xml")),
        content=st.binary(min_size=1, max_size=100),
    )


def messages(now: datetime) -> SearchStrategy[Message]:
    """Return messages that `mailcore.validation.checked` takes at `now`.

    Args:
        now: The moment at which they are submitted; schedules lie in the year after it.
    """
    fields: dict[str, SearchStrategy[object]] = {
        "from_": st.one_of(addresses(), addresses().map(written)),
        "to": address_fields(min_size=1),
        **dict.fromkeys(("cc", "bcc", "reply_to"), address_fields()),
        "subject": lines(),
        "attachments": st.lists(attachments(), max_size=2),
        "headers": st.dictionaries(_WORDS.map("X-{}".format), lines(), max_size=3),
        "tags": st.lists(lines(20), max_size=3, unique=True),
        "metadata": st.dictionaries(_WORDS, lines(), max_size=3),
        "lane": st.sampled_from(Lane),
        "on_unknown": st.sampled_from(OnUnknown),
    }
    return st.builds(
        _composed,
        st.fixed_dictionaries(fields),
        _bodies(),
        _times(now.astimezone(UTC)),
    )


def _composed(*parts: Mapping[str, object]) -> Message:
    """Return the message with these fields."""
    fields = {name: value for part in parts for name, value in part.items()}
    return replace(Message(), **fields)


def _bodies() -> SearchStrategy[Mapping[str, str | None]]:
    """Return a text, an HTML body, or both."""
    one = lines()
    return st.one_of(
        st.fixed_dictionaries({"text": one}, optional={"html": st.none() | one}),
        st.fixed_dictionaries({"html": one}),
    )


def _times(start: datetime) -> SearchStrategy[Mapping[str, datetime | None]]:
    """Return when a message is due and when it expires, either or both perhaps unset."""
    spans = st.tuples(st.none() | _INSTANTS, st.none() | _INSTANTS)
    return spans.map(lambda span: _span(start, *span))


def _span(start: datetime, due_ms: int | None, left_ms: int | None) -> Mapping[str, datetime | None]:
    """Return the two times, the second after the first."""
    due = None if due_ms is None else start + timedelta(milliseconds=due_ms)
    end = None if left_ms is None else (due or start) + timedelta(milliseconds=left_ms + 1)
    return {"scheduled_at": due, "expires_at": end}


@st.composite
def hostile_messages(draw: st.DrawFn) -> Message:
    """Return plain messages with any text in one to three of their fields; most of them must be refused."""
    hostile = _hostile_fields(st.one_of(hostile_texts(), lines()))
    names = draw(st.lists(st.sampled_from(sorted(hostile)), min_size=1, max_size=3, unique=True))
    plain = Message(from_="ann@example.com", to="bob@example.com", subject="a", text="a")
    return replace(plain, **{name: draw(hostile[name]) for name in names})


def _hostile_fields(texts: SearchStrategy[str]) -> Mapping[str, SearchStrategy[object]]:
    """Return what may stand in each field when any text may stand in it."""
    people = st.one_of(texts, st.builds(Address, texts), st.builds(Address, st.just("eve@example.com"), texts))
    files = st.one_of(
        st.builds(Attachment, filename=texts, content=st.just(b"x")),
        st.builds(Attachment, filename=st.just("a"), content_type=texts, content=st.just(b"x")),
        st.builds(Attachment, filename=st.just("a"), content_id=texts, content=st.just(b"x")),
    )
    return {
        "from_": people,
        **dict.fromkeys(("to", "cc", "bcc", "reply_to"), st.one_of(people, st.lists(people, max_size=3))),
        **dict.fromkeys(("subject", "text", "html"), texts),
        "attachments": st.lists(files, max_size=2),
        "headers": st.dictionaries(st.one_of(texts, st.just("X-A")), texts, max_size=2),
        "tags": st.lists(texts, max_size=2),
        "metadata": st.dictionaries(st.one_of(texts, st.just("a")), texts, max_size=2),
    }
