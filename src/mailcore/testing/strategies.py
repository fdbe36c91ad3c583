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
_LOCALS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9]{1,8}){0,2}", fullmatch=True).filter(
    lambda local: "=?" not in local,
)
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
    stems = st.from_regex(r"[a-zé日][a-z0-9 _()é日-]{0,20}", fullmatch=True)
    return st.builds(
        Attachment,
        filename=stems.map(lambda stem: f"{stem}.bin"),
        content_type=st.sampled_from(("application/pdf", "text/plain; charset=utf-8", "image/svg+xml")),
        content=st.binary(min_size=1, max_size=100),
    ).filter(lambda attachment: attachment.filename.split(".")[0].strip() not in {"con", "prn", "aux", "nul"})


@st.composite
def messages(draw: st.DrawFn, now: datetime) -> Message:
    """Return messages that `mailcore.validation.checked` takes at `now`.

    Args:
        draw: Given by Hypothesis.
        now: The moment at which they are submitted; schedules lie in the year after it.
    """
    start = now.astimezone(UTC)
    scheduled = draw(st.none() | _INSTANTS.map(lambda ms: start + timedelta(milliseconds=ms)))
    expires = draw(st.none() | _INSTANTS.map(lambda ms: (scheduled or start) + timedelta(milliseconds=ms + 2)))
    text = draw(st.none() | lines())
    return Message(
        from_=draw(addresses() | addresses().map(written)),
        to=draw(address_fields(min_size=1)),
        cc=draw(address_fields()),
        bcc=draw(address_fields()),
        reply_to=draw(address_fields()),
        subject=draw(lines()),
        text=text,
        html=draw(lines() if text is None else st.none() | lines()),
        attachments=draw(st.lists(attachments(), max_size=2)),
        headers=draw(st.dictionaries(st.from_regex(r"X-[A-Z]{1,8}", fullmatch=True), lines(), max_size=3)),
        tags=draw(st.lists(lines(20), max_size=3, unique=True)),
        metadata=draw(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), lines(), max_size=3)),
        lane=draw(st.sampled_from(Lane)),
        scheduled_at=scheduled,
        expires_at=expires,
        on_unknown=draw(st.sampled_from(OnUnknown)),
    )


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
