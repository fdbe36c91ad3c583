"""Which addresses are taken, which are refused, how they are compared, and how they are written."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from mailcore import addresses as addresses_module
from mailcore.addresses import formatted, mailbox, parse, unrepeated, wire
from mailcore.errors import Problem
from mailcore.message import LIMITS, Address
from mailcore.problems import ProblemCode
from mailcore.testing.strategies import addresses, hostile_texts, written

TAKEN = {
    "plain": ("ann@example.com", Address("ann@example.com")),
    "domain in capitals": ("Ann@EXAMPLE.Com", Address("Ann@example.com")),
    "reserved for tests": ("ann@shop.test", Address("ann@shop.test")),
    "plus and dots": ("ann.b+tag@example.com", Address("ann.b+tag@example.com")),
    "named": ("Ann <ann@example.com>", Address("ann@example.com", "Ann")),
    "no space before the bracket": ("Ann<ann@example.com>", Address("ann@example.com", "Ann")),
    "no name before the bracket": ("<ann@example.com>", Address("ann@example.com")),
    "name with a dot": ("Shop Inc. <a@example.com>", Address("a@example.com", "Shop Inc.")),
    "name in any script": ("Jörg 日本 <a@example.com>", Address("a@example.com", "Jörg 日本")),
    "quoted name": ('"Ann, CEO" <ann@example.com>', Address("ann@example.com", "Ann, CEO")),
    "quoted angle brackets": ('"a <b@c.test>" <d@e.test>', Address("d@e.test", "a <b@c.test>")),
    "escapes in a quoted name": (r'"a \"b\" \\ c" <d@e.test>', Address("d@e.test", r'a "b" \ c')),
    "U-labels": ("ann@münchen.example", Address("ann@münchen.example")),
    "A-labels": ("ann@xn--mnchen-3ya.example", Address("ann@münchen.example")),
    "fullwidth domain": ("ann@\uff45xample.com", Address("ann@example.com")),
    "Latin beside Han": ("ann@日本abc.example", Address("ann@日本abc.example")),
    "local part in any script": ("jörg@example.com", Address("jörg@example.com")),
    "local part in form C": ("jo\u0308rg@example.com", Address("jörg@example.com")),
}

INVALID = ProblemCode.INVALID_ADDRESS
CONTROL = ProblemCode.CONTROL_CHARACTER
REFUSED = {
    "empty": ("", ProblemCode.REQUIRED),
    "empty in brackets": ("Ann <>", ProblemCode.REQUIRED),
    "no at sign": ("ann.example.com", INVALID),
    "no local part": ("@example.com", INVALID),
    "no domain": ("ann@", INVALID),
    "two at signs": ("a@b@example.com", INVALID),
    "two at signs in a row": ("a@@example.com", INVALID),
    "two dots": ("a..b@example.com", INVALID),
    "leading dot": (".ann@example.com", INVALID),
    "trailing dot": ("ann.@example.com", INVALID),
    "dot after the domain": ("ann@example.com.", INVALID),
    "quoted local part": ('"ann b"@example.com', INVALID),
    "quoted local part without need": ('"ann"@example.com', INVALID),
    "IPv4 literal": ("ann@[192.0.2.1]", INVALID),
    "IPv6 literal": ("ann@[IPv6:2001:db8::1]", INVALID),
    "bare IP": ("ann@192.0.2.1", INVALID),
    "domain without a dot": ("ann@intranet", INVALID),
    "domain without a dot that tests may use": ("ann@test", INVALID),
    "localhost": ("ann@localhost", INVALID),
    "below localhost": ("ann@mail.localhost", INVALID),
    "local network": ("ann@printer.local", INVALID),
    "never valid": ("ann@example.invalid", INVALID),
    "group": ("Team: ann@example.com;", INVALID),
    "group with brackets": ("Team: <ann@example.com>;", INVALID),
    "group name before brackets": ("Team: <ann@example.com>", INVALID),
    "comment": ("ann(work)@example.com", INVALID),
    "comment as a name": ("(work) <ann@example.com>", INVALID),
    "list": ("a@example.com, b@example.com", INVALID),
    "list without a space": ("a@example.com,b@example.com", INVALID),
    "list before brackets": ("a@example.com, <b@example.com>", INVALID),
    "list with semicolons": ("a@example.com;b@example.com", INVALID),
    "two in brackets": ("Ann <a@example.com> <b@example.com>", INVALID),
    "list of names": ("Ann <a@example.com>, Bob <b@example.com>", INVALID),
    "parseaddr's trap": ("alice@example.org)bob@example.com", INVALID),
    "unquoted comma in a name": ("Ann, CEO <ann@example.com>", INVALID),
    "name not closed": ('"Ann <ann@example.com>', INVALID),
    "words after the quotes": ('"Ann" CEO <ann@example.com>', INVALID),
    "bracket never opened": ("ann@example.com>", INVALID),
    "bracket never closed": ("Ann <ann@example.com", INVALID),
    "words after the bracket": ("<ann@example.com> Ann", INVALID),
    "space before": (" ann@example.com", INVALID),
    "space after": ("ann@example.com ", INVALID),
    "space within": ("ann b@example.com", INVALID),
    "trailing line break": ("ann@example.com\n", CONTROL),
    "header after a line break": ("ann@example.com\r\nBcc: eve@evil.test", CONTROL),
    "line break in the name": ('"Ann\r\nBcc: eve@evil.test" <ann@example.com>', CONTROL),
    "NUL": ("ann\0@example.com", CONTROL),
    "NUL in the name": ("Ann\0 <ann@example.com>", CONTROL),
    "DEL in the name": ("Ann\x7f <ann@example.com>", CONTROL),
    "next line in the name": ("Ann\x85 <ann@example.com>", CONTROL),
    "line separator in the name": ("Ann\u2028 <ann@example.com>", CONTROL),
    "paragraph separator in the name": ("Ann\u2029 <ann@example.com>", CONTROL),
    "lone surrogate": ("ann\ud800@example.com", ProblemCode.NOT_UNICODE),
    "lone surrogate in the name": ("Ann\udfff <ann@example.com>", ProblemCode.NOT_UNICODE),
    "direction turned in the name": ("Ann\u202e <ann@example.com>", ProblemCode.BIDI_OVERRIDE),
    "direction isolated in the name": ("Ann\u2066 <ann@example.com>", ProblemCode.BIDI_OVERRIDE),
    "encoded word as a name": ("=?utf-8?q?=0D=0ABcc?= <ann@example.com>", ProblemCode.ENCODED_WORD),
    "fullwidth at sign before the at sign": ("\uff20example.com@example.com", INVALID),
    "fullwidth at sign for the at sign": ("ann\uff20example.com", INVALID),
    "small at sign": ("ann\ufe6bx@example.com", INVALID),
    "fullwidth comma": ("ann\uff0cbob@example.com", INVALID),
    "one dot leader as a second dot": ("a\u2024.b@example.com", INVALID),
    "character that folds to a space": ("a\u00a8b@example.com", INVALID),
    "zero-width space": ("ann\u200b@example.com", INVALID),
    "Cyrillic among Latin letters": ("ann@p\u0430ypal.example", ProblemCode.MIXED_SCRIPTS),
    "Greek among Latin letters": ("ann@g\u03bf\u03bfgle.example", ProblemCode.MIXED_SCRIPTS),
    "Cyrillic among Latin letters, encoded": ("ann@xn--pypal-4ve.example", ProblemCode.MIXED_SCRIPTS),
    "not an A-label": ("ann@xn--zzzzzz-.example", INVALID),
    "symbol in the domain": ("ann@☃.example", INVALID),
    "underscore in the domain": ("ann@a_b.example", INVALID),
}


def code_of(text: str) -> str | None:
    """Return the code of what is wrong with a text as an address, or None."""
    found = parse(text, "/to")
    return found.code if isinstance(found, Problem) else None


@pytest.mark.parametrize(("text", "address"), TAKEN.values(), ids=TAKEN)
def test_what_is_one_address_is_taken_in_its_normal_form(text: str, address: Address) -> None:
    """An address is read as it is meant, its domain as lower-case U-labels."""
    found = parse(text, "/to")

    assert found == address


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_surely_one_address_is_refused(text: str, code: ProblemCode) -> None:
    """Whatever two readers could read as two different addresses is refused, with its reason."""
    found = parse(text, "/cc/3")

    assert isinstance(found, Problem)
    assert (found.pointer, found.code) == ("/cc/3", code)
    assert found.detail[0].islower() or found.detail[0] == '"'
    assert found.detail != found.detail.upper()


SIXTY_THREE = "a" * 63
BOUNDARIES = {
    "local part in octets": ("a" * 64 + "@example.com", "a" * 65 + "@example.com"),
    "local part in octets of UTF-8": ("é" * 32 + "@example.com", "é" * 32 + "a@example.com"),
    "address in octets": (
        f"{'l' * 62}@{SIXTY_THREE}.{SIXTY_THREE}.{'b' * 59}.com",
        f"{'l' * 62}@{SIXTY_THREE}.{SIXTY_THREE}.{'b' * 60}.com",
    ),
    "label": (f"a@{SIXTY_THREE}.com", f"a@{SIXTY_THREE}a.com"),
    "name": (f"{'n' * LIMITS.name_length} <a@b.test>", f"{'n' * (LIMITS.name_length + 1)} <a@b.test>"),
}


@pytest.mark.parametrize(("longest", "longer"), BOUNDARIES.values(), ids=BOUNDARIES)
def test_lengths_end_exactly_where_the_rfcs_say(longest: str, longer: str) -> None:
    """Local part 64, label 63, address 254 octets, and the name's own limit: n passes, n + 1 does not."""
    codes = (code_of(longest), code_of(longer))

    assert codes[0] is None
    assert codes[1] in {ProblemCode.TOO_LONG, INVALID}


def test_the_address_of_254_octets_is_that_long() -> None:
    """The boundary above is the one of RFC 3696's erratum."""
    longest, longer = BOUNDARIES["address in octets"]

    assert (len(longest), len(longer)) == (254, 255)


def test_a_wrong_member_of_an_address_is_pointed_to_by_its_name() -> None:
    """An address written as an object has two places to be wrong in."""
    wrong_email = parse(Address("ann"), "/to/0")
    wrong_name = parse(Address("ann@example.com", "a\nb"), "/to/0")

    assert isinstance(wrong_email, Problem)
    assert wrong_email.pointer == "/to/0/email"
    assert isinstance(wrong_name, Problem)
    assert wrong_name.pointer == "/to/0/name"


def test_a_name_loses_the_space_around_it() -> None:
    """A name is compared and shown without the space that stands before an angle bracket."""
    assert parse(Address("a@b.test", " Ann  "), "/to") == Address("a@b.test", "Ann")


def test_a_name_loses_no_other_space_and_no_letter() -> None:
    """What a name begins and ends with is its author's: a no-break space, or a capital."""
    assert parse("\u00a0XX Ann X <a@b.test>", "/to") == Address("a@b.test", "\u00a0XX Ann X")
    assert parse(Address("a@b.test", "X\u00a0"), "/to") == Address("a@b.test", "X\u00a0")


def test_the_name_of_a_written_address_has_no_place_of_its_own() -> None:
    """In text there is one place to be wrong in."""
    found = parse(f"{'n' * (LIMITS.name_length + 1)} <a@b.test>", "/to/0")

    assert isinstance(found, Problem)
    assert found.pointer == "/to/0"


def test_the_longest_spelling_of_an_address_counts() -> None:
    """254 octets are the most in UTF-8 too, where a domain of letters beyond ASCII is longest."""
    domain = f"{'é' * 50}.{SIXTY_THREE}.{SIXTY_THREE}.com"
    room = 254 - len(f"@{domain}".encode())

    assert code_of(f"{'l' * room}@{domain}") is None
    assert code_of(f"{'l' * (room + 1)}@{domain}") is not None


def test_an_address_given_as_a_value_holds_no_name_in_its_email() -> None:
    """``Name <…>`` is a way to write text; as the email of an Address it is no address."""
    found = parse(Address("Ann <ann@example.com>"), "/to")

    assert isinstance(found, Problem)


def test_on_the_wire_the_domain_is_ascii() -> None:
    """People see U-labels, DNS sees A-labels; the local part is nobody's to change."""
    address = Address("jörg@münchen.example", "J")

    assert wire(address) == "jörg@xn--mnchen-3ya.example"
    assert formatted(address) == '"J" <jörg@xn--mnchen-3ya.example>'


def test_a_name_is_quoted_and_its_quotes_escaped() -> None:
    """RFC 5322 section 3.2.4: in a quoted string the backslash and the quote are escaped."""
    text = formatted(Address("a@b.test", 'Ann "A" \\ Co, <x>'))

    assert text == '"Ann \\"A\\" \\\\ Co, <x>" <a@b.test>'


def test_without_a_name_an_address_is_formatted_alone() -> None:
    """No empty quotes stand before an address."""
    assert formatted(Address("a@b.test")) == "a@b.test"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.com", "ANN@Example.COM"),
        ("\uff4aörg@example.com", "jörg@example.com"),
        ("STRASSE@a.test", "straße@a.test"),
        ("\u0390x@a.test", "\u0390x".upper() + "@a.test"),
    ],
    ids=["case", "compatibility", "casefold", "composition"],
)
def test_two_spellings_name_one_mailbox(one: str, other: str) -> None:
    """SendGrid refuses a request that names a mailbox twice, whatever the case."""
    assert mailbox(Address(one)) == mailbox(Address(other))


def test_a_repeated_mailbox_stays_where_it_stands_first() -> None:
    """To goes before cc before bcc, and the first name wins."""
    ann, bob, eve = Address("ann@a.test", "Ann"), Address("bob@a.test"), Address("eve@a.test")

    fields = unrepeated([ann, bob, ann], [Address("ANN@a.test"), eve], [Address("Bob@a.test"), eve])

    assert fields == ((ann, bob), (eve,), ())


@given(addresses())
def test_what_is_formatted_is_read_back_as_the_same_address(address: Address) -> None:
    """Formatting and parsing are inverse, for every name and domain."""
    normal = parse(address, "/to")
    assert isinstance(normal, Address)

    assert parse(formatted(normal), "/to") == normal
    assert wire(normal).rpartition("@")[2].isascii()


@given(addresses())
def test_an_address_is_the_same_written_as_text_or_value(address: Address) -> None:
    """The two ways to write an address mean the same, and reading it again changes nothing."""
    normal = parse(address, "/to")

    assert isinstance(normal, Address)
    assert parse(written(address), "/to") == normal
    assert parse(normal, "/to") == normal


@given(hostile_texts())
def test_whatever_is_taken_of_a_hostile_text_is_one_plain_address(text: str) -> None:
    """Any text is refused with a short reason, or is one address without a special character."""
    found = parse(text, "/to")

    if isinstance(found, Problem):
        assert len(found.detail) <= 240
    else:
        assert found.email.count("@") == 1
        assert not set(found.email) & set(' \r\n\0<>,;:()[]\\"')


PLAIN = st.text("abcZ09.!#$%&'*+-/=?^_`{|}~@ ", max_size=70)
DOMAINS = st.sampled_from(["example.com", "EXAMPLE.com", "münchen.example", "ü" * 50 + "." + "ü" * 50 + ".example"])


@given(
    name=st.text("ab-.'&=? \"(", max_size=8), local=st.text("ab.+_-ü", max_size=66), domain=DOMAINS | st.text("ab-.ü")
)
@example(name="", local="a", domain="xn--" + "a" * 60 + ".test")
@example(name="a" * 64, local="a" * 64, domain="b.cd")
def test_what_is_read_in_one_step_is_what_would_be_read_in_many(name: str, local: str, domain: str) -> None:
    """A plain address is the same, or the same problem, whether its two halves are given as text or apart."""
    whole, apart = parse(f"{name}<{local}@{domain}>", "/to"), parse(Address(f"{local}@{domain}", name), "/to")

    if isinstance(whole, Address):
        assert whole == apart
    if isinstance(apart, Address) and not set(name) & set('()"'):
        assert whole == apart


@given(local=PLAIN, domain=DOMAINS | st.text("ab-.ü", max_size=70))
@example(local="a" * 64, domain=".".join(["b" * 60] * 3) + ".cc")
@example(local="a" * 64, domain=".".join(["ü" * 40] * 3) + ".cc")
def test_a_plain_local_part_is_read_as_the_library_reads_the_whole_address(local: str, domain: str) -> None:
    """The short way that most addresses take gives the very verdict of email-validator's strict mode."""
    written = f"{local}@{domain}"
    try:
        found = validate_email(written, strict=True, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        expected = None
    else:
        expected = (found.normalized, found.ascii_domain)

    try:
        read = addresses_module._syntax(written)
    except ValueError:
        read = None

    assert read == expected
