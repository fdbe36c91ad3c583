"""The errors that mailcore raises on purpose."""

import inspect

import pytest

from mailcore import errors
from mailcore.errors import InvalidMessageError, MailError, NoProviderCanCarryError, Problem, UnavailableError

ALL = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]


@pytest.mark.parametrize("error", ALL)
def test_every_error_has_one_root_and_is_drawn(error: type[Exception]) -> None:
    """Whoever catches MailError catches all, and the tree at the top of the file is complete."""
    assert issubclass(error, MailError)
    assert error.__name__.endswith("Error")
    assert error.__name__ in (errors.__doc__ or "")
    assert error.__doc__


def test_only_what_may_work_later_is_unavailable() -> None:
    """`UnavailableError` gathers what to try again."""
    later = {one.__name__ for one in ALL if issubclass(one, UnavailableError)}

    assert later == {
        "UnavailableError",
        "StoreUnavailableError",
        "QueueUnavailableError",
        "HealthUnavailableError",
    }


def test_an_invalid_message_says_every_problem() -> None:
    """All problems are in the text and in the value, in order."""
    problems = [Problem("/to", "required", "say to whom"), Problem("/text", "required", "say what")]

    error = InvalidMessageError(problems)

    assert error.problems == tuple(problems)
    assert str(error) == "/to: say to whom; /text: say what"


@pytest.mark.parametrize(
    ("reasons", "text"), [({"p1": "no tags", "p2": "too big"}, "p1: no tags; p2: too big"), ({}, "no provider")]
)
def test_a_message_that_nobody_carries_says_why(reasons: dict[str, str], text: str) -> None:
    """The reason of each provider is in the text and in the value."""
    error = NoProviderCanCarryError(reasons)

    assert (error.reasons, str(error)) == (reasons, text)
