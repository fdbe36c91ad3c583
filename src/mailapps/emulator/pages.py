"""The inbox as web pages: text in, HTML out. Every value is escaped here, whoever wrote it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from string import Template

from msgspec import Struct

from mailapps.emulator.inbox import Received
from mailapps.emulator.layout import definitions, moment_told, page, size_told
from mailapps.emulator.wire import File, Letter, Mailbox

_NO_SUBJECT = "(no subject)"
_CONNECTING = re.compile(r"<(link|i?frame|object|embed)(?=[\s/>])", re.IGNORECASE)
_EMPTY = Template("""<section class="empty">
<h1>Nothing has arrived yet</h1>
$asked
<p>This is a provider emulator: whatever mailcore sends through it lands here,
and nothing leaves this machine.</p>
<p>Send a first e-mail through mailcore:</p>
<pre><code>curl http://127.0.0.1:8000/api/emails \\
  -H 'Content-Type: application/json' -d '{
  "from": "Shop &lt;no-reply@shop.example&gt;",
  "to": "ann@example.com",
  "subject": "Hello",
  "text": "It works."
}'</code></pre>
<p>Or straight into this emulator, as Mailgun:</p>
<pre><code>curl $base/mailgun/v3/shop.example/messages -u api:any-key \\
  -F from='Shop &lt;no-reply@shop.example&gt;' -F to=ann@example.com \\
  -F subject=Hello -F text='It works.'</code></pre>
</section>
""")
_ASKED = Template("""<p class="warning">Requests have come, $count in all:
<a href="/requests">see what was said to them</a>.</p>""")
_ROW = Template("""<li><a href="/inbox/$id">
<span class="who">$to</span>
<span class="subject">$subject</span>
<span class="meta"><span class="badge">$provider</span>$files<time datetime="$iso">$time</time></span>
</a></li>
""")
_MISSING = Template("""<main><section class="empty">
<h1>Not here</h1>
<p>$text</p>
<p><a href="/">← All messages</a></p>
</section></main>
""")
_FRAME = Template("""<h2>HTML</h2>
<iframe sandbox="" src="/inbox/$id/html" title="As its reader sees it" referrerpolicy="no-referrer"></iframe>
""")
_FILE = Template("""<li>
<a href="/emulator/inbox/$id/attachments/$number" download>$name</a> <small>$kind, $size</small>
</li>
""")
_LETTER = Template("""<main class="letter">
<p class="back"><a href="/">← All messages</a></p>
<h1>$subject</h1>
<dl>$facts</dl>
$files
$html
$text
<details><summary>Headers, tags and metadata</summary><dl>$more</dl></details>
</main>
""")


class View(Struct, frozen=True, kw_only=True):
    """What the list is shown with.

    Attributes:
        total: How many letters there are, shown or not.
        search: What was searched for, empty if nothing was.
        base: The address of this server, for the example.
        requests: How many requests have come so far, so that an empty inbox can say where they went.
        scripted: How many rules of faults each provider has.
    """

    total: int
    search: str = ""
    base: str = ""
    requests: int = 0
    scripted: Mapping[str, int] = {}


def inbox_page(letters: Sequence[Received], view: View) -> str:
    """Return the list of letters, in the order given."""
    body = f'<ol class="letters">{"".join(map(_row, letters))}</ol>' if letters else _nothing(view)
    newest = letters[0].id if letters else 0
    bar = _bar(len(letters), view.total) if view.total else ""
    main = f'<main data-live data-newest="{newest}">{_faults(view.scripted)}{bar}{body}</main>'
    return page("Inbox", main, search=view.search)


def _bar(shown: int, total: int) -> str:
    """Return the line above the list: how many there are, and a button that a script arms."""
    part = "" if shown == total else f"{shown} of "
    clear = '<button type="button" data-clear hidden>Empty the inbox</button>'
    return f'<p class="bar"><span>{part}{total} message{"" if total == 1 else "s"}</span> {clear}</p>'


def letter_page(received: Received) -> str:
    """Return one letter with everything known of it; its HTML is in a frame that may do nothing."""
    letter = received.letter
    main = _LETTER.substitute(
        subject=_subject(letter),
        facts=definitions(_facts(received)),
        files=_files(received),
        html=_frame(received),
        text=f"<h2>Text</h2><pre class=text>{escape(letter.text)}</pre>" if letter.text else "",
        more=definitions([*letter.headers, *(("Tag", tag) for tag in letter.tags), *letter.metadata]),
    )
    return page(letter.subject or _NO_SUBJECT, main)


def missing_page(text: str) -> str:
    """Return the page for something that is not there."""
    return page("Not here", _MISSING.substitute(text=escape(text)))


def preview(letter: Letter) -> str:
    """Return a letter's own HTML, as written but for two things.

    Inline images become data, which the frame may show. Frames and links lose their names: the policy forbids
    all that they load, but Chromium connects to the server of a frame before it looks at the policy, and no
    policy stops ``rel=preconnect``; either would tell a sender that the letter was opened.
    """
    html = _CONNECTING.sub(r"<x-\1", letter.html or "")
    for file in letter.files:
        if file.content_id and file.content_type.startswith("image/"):
            html = html.replace(f"cid:{file.content_id}", _data_url(file))
    return html


def _data_url(file: File) -> str:
    """Return a file as a URL that needs no request."""
    content_type = file.content_type if file.content_type.replace("/", "").replace("+", "").isalnum() else "image/png"
    return f"data:{content_type};base64,{b64encode(file.content).decode()}"


def _row(received: Received) -> str:
    """Return a letter's line in the list."""
    letter = received.letter
    files = f'<span class="files">{len(letter.files)} files</span>' if letter.files else ""
    return _ROW.substitute(
        id=received.id,
        to=escape(", ".join(one.name or one.email for one in letter.to)),
        subject=_subject(letter),
        provider=escape(received.provider),
        files=files,
        iso=received.received_at.isoformat(),
        time=moment_told(received.received_at),
    )


def _nothing(view: View) -> str:
    """Return what stands in place of an empty list."""
    if view.search:
        told = f"<p>No message speaks of “{escape(view.search)}”.</p>"
        return f'<section class="empty"><h1>Nothing found</h1>{told}</section>'
    asked = _ASKED.substitute(count=view.requests) if view.requests else ""
    return _EMPTY.substitute(base=escape(view.base), asked=asked)


def _faults(scripted: Mapping[str, int]) -> str:
    """Return a line that says which providers are made to fail, so that nobody wonders."""
    told = ", ".join(f"{escape(provider)} ({count})" for provider, count in sorted(scripted.items()) if count)
    return f'<p class="warning">Scripted faults are on: {told}.</p>' if told else ""


def _subject(letter: Letter) -> str:
    """Return the subject, escaped; never nothing, so that there is something to click on."""
    return escape(letter.subject) or _NO_SUBJECT


def _facts(received: Received) -> list[tuple[str, str]]:
    """Return who, when and by whom."""
    letter = received.letter
    facts = [
        ("From", str(letter.from_)),
        ("To", _people(letter.to)),
        ("Cc", _people(letter.cc)),
        ("Bcc", _people(letter.bcc)),
        ("Reply to", _people(letter.reply_to)),
        ("Received", moment_told(received.received_at)),
        ("Provider", f"{received.provider}, {received.message_id}"),
        ("Our id", letter.email_id or ""),
    ]
    return [pair for pair in facts if pair[1]]


def _people(mailboxes: Sequence[Mailbox]) -> str:
    """Return addresses as people write them."""
    return ", ".join(map(str, mailboxes))


def _files(received: Received) -> str:
    """Return the list of files to save."""
    items = "".join(
        _FILE.substitute(
            id=received.id,
            number=number,
            name=escape(file.filename),
            kind=escape(file.content_type),
            size=size_told(len(file.content)),
        )
        for number, file in enumerate(received.letter.files)
    )
    return f'<h2>Files</h2><ul class="attachments">{items}</ul>' if items else ""


def _frame(received: Received) -> str:
    """Return the frame for the letter's own HTML, without any permission."""
    return _FRAME.substitute(id=received.id) if received.letter.html is not None else ""
