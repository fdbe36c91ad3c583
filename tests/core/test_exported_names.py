"""The public names of the package."""

import inspect

import pytest

import mailcore
from mailcore.errors import MailError


@pytest.mark.parametrize("name", mailcore.__all__)
def test_every_public_name_can_be_used_and_is_described(name: str) -> None:
    """Each name loads from its module, and says what it is."""
    value = getattr(mailcore, name)

    assert name in dir(mailcore)
    assert inspect.getdoc(value) or name == "Outcome"


def test_names_are_listed_once_and_in_order() -> None:
    """The list is complete, sorted, and agrees with the modules that hold the names."""
    assert list(mailcore.__all__) == sorted(mailcore._HOME_OF)
    assert dir(mailcore) == list(mailcore.__all__)


def test_any_other_name_is_no_attribute() -> None:
    """What is not public is not there."""
    with pytest.raises(AttributeError, match="no attribute 'Courier'"):
        _ = mailcore.Courier


def test_every_error_that_callers_meet_is_public() -> None:
    """Whatever may be raised at a caller can be caught by a public name."""
    import mailcore.errors as tree

    inside = {"HealthUnavailableError"}
    named = {name for name, one in vars(tree).items() if inspect.isclass(one) and issubclass(one, MailError)}

    assert named - inside <= set(mailcore.__all__)
