"""What a provider is to the core: why it cannot carry a message."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.dst.given import email, only

from mailcore.provider import Capabilities, Feature, Needs, lacks

NEEDS = replace(
    email().needs,
    bytes=100,
    recipients=3,
    features=frozenset({Feature.TAGS}),
    headers=frozenset({"x-a"}),
    metadata_bytes=10,
)


@pytest.mark.parametrize(
    ("capabilities", "reason"),
    [
        (only(), None),
        (only(max_bytes=100, max_recipients=3, max_metadata_bytes=10), None),
        (only(dedupe_window=timedelta(hours=1), refused_headers=frozenset({"x-b"})), None),
        (only(features=frozenset()), "cannot express tags"),
        (only(refused_headers=frozenset({"x-a", "x-b"})), "refuses the header x-a"),
        (only(max_bytes=99), "takes 99 bytes, the message has 100"),
        (only(max_recipients=2), "takes 2 recipients, the message has 3"),
        (only(max_metadata_bytes=9), "takes 9 bytes of metadata, the message has 10"),
    ],
)
def test_what_a_provider_lacks_is_told_with_the_numbers(capabilities: Capabilities, reason: str | None) -> None:
    """The first thing that keeps it from carrying a message is a phrase for people; at its limits it carries it."""
    assert lacks(capabilities, NEEDS) == reason


def test_a_plain_message_is_carried_by_the_least_of_providers() -> None:
    """Nothing is asked of a provider that a message does not need."""
    least = only(features=frozenset(), max_bytes=0, max_recipients=1, max_metadata_bytes=0)
    plain = Needs(bytes=0, recipients=1, features=frozenset(), sender_domain="shop.example")

    assert lacks(least, plain) is None
