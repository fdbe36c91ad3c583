"""Forms from bytes: what any sender writes is read as it was meant."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailadapters.providers.multipart import FilePart, form
from mailapps.emulator.forms import Form, Upload, parse_form

FILES = frozenset({"attachment", "inline"})
text = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda name: "%" not in name and "\\" not in name
)


@given(st.lists(st.tuples(names, text)), st.lists(st.tuples(names, st.binary()), min_size=1))
def test_our_own_multipart_is_read_back(fields: list[tuple[str, str]], files: list[tuple[str, bytes]]) -> None:
    """Names, texts and bytes survive, whatever boundaries and line breaks they contain."""
    parts = [
        FilePart(field="attachment", filename=name, content_type="image/png", content=data) for name, data in files
    ]
    content_type, body = form(fields, parts, "seed")

    read = parse_form(content_type, body, files=FILES)

    assert read.fields == tuple(fields)
    assert [(upload.filename, upload.content) for upload in read.files] == files


@given(st.lists(st.tuples(names, text)))
def test_an_urlencoded_form_is_read_back(fields: list[tuple[str, str]]) -> None:
    """Repeats, empty values and order survive."""
    content_type, body = form(fields, [], "seed")

    assert parse_form(content_type, body, files=FILES).fields == tuple(fields)


def test_what_httpx_posts_is_read() -> None:
    """Another sender's way of writing the same is understood: quoted names, binary files, text fields."""
    request = httpx.Request(
        "POST", "http://x.example", data={"to": ["a", "b"]}, files={"attachment": ('a"ü.txt', b"\r\n--x", "text/plain")}
    )

    read = parse_form(request.headers["content-type"], request.read(), files=FILES)

    assert read.all("to") == ("a", "b")
    assert read.files == (
        Upload(field="attachment", filename='a"ü.txt', content_type="text/plain", content=b"\r\n--x"),
    )


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('form-data; name="attachment"; filename="a%22b.txt"', 'a"b.txt'),
        ('form-data; name="attachment"; filename="a\\"b.txt"', 'a"b.txt'),
        ('form-data; name="attachment"; filename="100%41.txt"', "100%41.txt"),
        ("form-data; name=attachment; filename=a.txt", "a.txt"),
        ("form-data; name=\"attachment\"; filename*=utf-8''%C3%BC.txt", "ü.txt"),
        ('form-data; name="attachment"; filename="=?utf-8?q?a?="', "=?utf-8?q?a?="),
        ('form-data; name="attachment"', None),
    ],
)
def test_every_way_to_write_a_filename_is_read(disposition: str, filename: str | None) -> None:
    """Browsers escape three characters by percent, old senders by backslash, RFC 5987 all of them."""
    body = f"--B\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--B--\r\n".encode()

    (upload,) = parse_form('multipart/form-data; boundary="B"', body, files=FILES).files

    assert upload.filename == filename


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data", "text/plain; boundary=B"])
def test_what_is_no_form_is_an_empty_one(content_type: str) -> None:
    """Nothing is guessed from a body of another type."""
    assert parse_form(content_type, b"to=a", files=FILES) == Form()


@given(st.binary())
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """A broken body is read as far as it goes."""
    assert isinstance(parse_form("multipart/form-data; boundary=B", b"--B\r\n" + body, files=FILES), Form)


def test_a_boundary_of_any_bytes_is_none_that_breaks() -> None:
    """A header may carry bytes that are no UTF-8, which the server hands on as surrogates."""
    body = b'--\xff\r\nContent-Disposition: form-data; name="to"\r\n\r\nx\r\n--\xff--'

    assert parse_form("multipart/form-data; boundary=\udcff", body, files=FILES).one("to") == "x"
