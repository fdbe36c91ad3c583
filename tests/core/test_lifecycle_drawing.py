"""The drawing of an e-mail's life in the documentation."""

from tests.dst.drawing import PAGE, drawing, drawn

from mailcore.lifecycle import Status


def test_the_documentation_draws_the_table() -> None:
    """The page shows the transitions as they are: draw it anew with `python -m tests.dst.drawing`."""
    page = PAGE.read_text()

    assert drawing() in page
    assert drawn(page) == page


def test_every_status_is_explained() -> None:
    """The page says what each status means."""
    page = PAGE.read_text()

    assert all(f"| `{status}` |" in page for status in Status)
