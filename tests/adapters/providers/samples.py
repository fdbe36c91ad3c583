"""Messages and answers that the tests of all providers share, and hostile text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from msgspec.structs import replace

from mailcore.message import Address, Attachment, Message
from mailcore.provider import HttpResponse, Send

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

PLAIN = Message(from_=Address("shop@example.com"), to=(Address("ann@example.org"),), subject="Hi", text="Hello")

FULL = Message(
    from_=Address("shop@example.com", "Shop, Inc."),
    to=(Address("ann@example.org", "Ann"), Address("bob@bücher.example")),
    cc=(Address("cid@example.org"),),
    bcc=(Address("dan@example.org"),),
    reply_to=(Address("help@example.com", "Help"),),
    subject="Grüße",
    text="Hello",
    html='<p>Hello <img src="cid:logo"></p>',
    attachments=(
        Attachment(filename="a.txt", content_type="text/plain", content=b"one\r\ntwo"),
        Attachment(filename="logo.png", content_type="image/png", content=b"\x89PNG", content_id="logo"),
    ),
    headers={"X-Campaign": "spring"},
    tags=("welcome", "spring"),
    metadata={"order": "42"},
)

HOSTILE = st.text(
    st.one_of(
        st.sampled_from('\r\n\0:,;<>"@()[]\\=?%&+-{}\u2028'),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
) | st.sampled_from(
    [
        "x\r\nBcc: eve@example.com",
        "=?utf-8?q?=0D=0ABcc:eve@example.com?=",
        'a"; filename="b',
        "%0D%0ABcc: eve@example.com",
        '"}],"bcc":[{"email":"eve@example.com"}],"x":[{"y":"',
        "x&bcc=eve@example.com",
    ],
)
"""Text weighted to what ends a header, a quoted string, a form field or a JSON text."""

HOSTILE_NAME = HOSTILE.filter(bool)


@st.composite
def hostile_messages(draw: st.DrawFn) -> Message:
    """Draw a message whose texts are hostile wherever an author writes text."""
    files = st.builds(
        Attachment,
        filename=HOSTILE_NAME,
        content_type=HOSTILE_NAME,
        content=st.binary(max_size=40) | HOSTILE.map(str.encode),
        content_id=st.none() | HOSTILE_NAME,
    )
    return Message(
        from_=Address("shop@example.com", draw(HOSTILE)),
        to=(Address("ann@example.org", draw(HOSTILE)),),
        cc=(Address("cid@example.org", draw(HOSTILE)),),
        subject=draw(HOSTILE_NAME),
        text=draw(HOSTILE_NAME),
        html=draw(HOSTILE_NAME),
        attachments=tuple(draw(st.lists(files, max_size=3))),
        headers=draw(st.dictionaries(HOSTILE_NAME, HOSTILE, max_size=3)),
        tags=tuple(draw(st.lists(HOSTILE_NAME, max_size=3, unique=True))),
        metadata=draw(st.dictionaries(HOSTILE_NAME, HOSTILE, max_size=3)),
    )


def sending(message: Message = PLAIN, **changes: object) -> Send:
    """Return one attempt at a message, with some of its fields changed."""
    return Send(
        message=replace(message, **changes),
        email_id="em_1",
        key="em_1.0",
        deadline=timedelta(seconds=20),
    )


def answer(status: int, body: bytes | str = b"", *, truncated: bool = False, **headers: str) -> HttpResponse:
    """Return an answer; header names are written with underscores."""
    return HttpResponse(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body.encode() if isinstance(body, str) else body,
        truncated=truncated,
        received_at=NOW,
    )
