"""The reference says what the code says: each table is compared with the values that it describes."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import asdict

import mailcore
from mailadapters.providers import mailgun, sendgrid, statuses
from mailcore.lifecycle import SETTLED, TRANSITIONS, Reason, Status
from mailcore.mailer import Mailer
from mailcore.message import LIMITS
from mailcore.outcome import Outcome, Scope, Verdict, verdict
from mailcore.provider import Capabilities, Feature, HttpResponse
from mailcore.testing.manual_clock import BEGINNING

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
DECLARED = {"sendgrid": sendgrid.CAPABILITIES, "mailgun": mailgun.CAPABILITIES}

SAR = "statuses-and-reasons.md"

Row = tuple[str, ...]


def text_of(page: str) -> str:
    """Return a page of the reference."""
    return (REFERENCE / page).read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[Row]:
    """Return the cells of the tables below a heading, head lines and rules left out, code marks taken off."""
    section = re.split(r"^## ", text_of(page), flags=re.MULTILINE)
    body = next(part for part in section if part.partition("\n")[0] == heading)
    return list(_rows(body))


def _rows(text: str) -> Iterator[Row]:
    """Yield the cells of every row below a rule."""
    below = False
    for line in text.splitlines():
        if not line.startswith("|"):
            below = False
        elif set(line) <= set("|-: "):
            below = True
        elif below:
            yield tuple(cell.strip() for cell in line.strip("|").split("|"))


def words(cell: str) -> list[str]:
    """Return the words of a cell that stand between code marks."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_status_is_listed_with_its_transitions() -> None:
    """The table of statuses is the table of transitions."""
    listed = {words(status)[0]: set(filter(None, next_.split(", "))) for status, _, next_ in rows(SAR, "Statuses")}

    assert listed == {status.value: {one.value for one in after} for status, after in TRANSITIONS.items()}


def test_the_settled_statuses_are_named() -> None:
    """What nothing more happens to by itself is said in one sentence."""
    [sentence] = re.findall(r"^(.*) are settled:", text_of(SAR), flags=re.MULTILINE)

    assert {Status(word) for word in words(sentence)} == SETTLED


def test_every_reason_is_listed_once() -> None:
    """The list of reasons is closed, and complete on the page."""
    listed = [words(row[0])[0] for row in rows(SAR, "Reasons")]

    assert listed == [reason.value for reason in Reason]


def test_reasons_stand_with_statuses_that_there_are() -> None:
    """No reason is listed with a status that nothing can have."""
    named = {word for _, with_, _ in rows(SAR, "Reasons") for word in with_.split(", ") if "(" not in word}

    assert named <= {status.value for status in Status}


def test_every_outcome_of_an_attempt_is_listed() -> None:
    """The list of outcomes is closed, and complete on the page."""
    listed = [words(row[0])[0] for row in rows(SAR, "Outcomes of an attempt")]

    assert listed == [one.value for one in Verdict]


def test_every_limit_is_listed_with_its_value() -> None:
    """The table of limits is the table in message.py, in its units."""
    listed = {words(name)[0]: value for name, value, _ in _rows(text_of("limits.md"))}

    assert listed == {name: _shown(value) for name, value in asdict(LIMITS).items()}


def _shown(value: object) -> str:
    """Return a limit as the page writes it."""
    return f"{value.days} days" if isinstance(value, timedelta) else str(value)


def test_every_feature_of_every_provider_is_listed() -> None:
    """What a provider cannot carry is seen before the first message is refused."""
    listed = {
        words(row[0])[0]: row[1:] for row in rows("providers.md", "Capabilities") if len(row) == 3 and words(row[0])
    }

    expected = {
        feature.value: tuple("yes" if feature in one.features else "no" for one in DECLARED.values())
        for feature in Feature
    }
    assert listed == expected


def test_the_numbers_of_every_provider_are_listed() -> None:
    """Sizes, counts and windows are those that routing goes by."""
    table = {row[0]: row[1:] for row in rows("providers.md", "Capabilities") if len(row) == 3}

    def row(of: object) -> Row:
        return tuple(str(of(one)) for one in DECLARED.values())  # type: ignore[operator]

    assert table["bytes of bodies and decoded attachments"] == row(lambda one: one.max_bytes)
    assert table["recipients"] == row(lambda one: one.max_recipients)
    assert table["bytes of metadata"] == row(lambda one: one.max_metadata_bytes or "no limit")
    assert table["recognises repeats for"] == row(lambda one: one.dedupe_window or "never")


def test_every_feature_is_explained() -> None:
    """A reader learns what of a message needs which feature."""
    explained = [word for row in rows("providers.md", "Capabilities") if len(row) == 2 for word in words(row[1])]

    assert sorted(explained) == sorted(Feature)


@pytest.mark.parametrize(("name", "declared"), DECLARED.items())
def test_every_refused_header_is_listed(name: str, declared: Capabilities) -> None:
    """The headers that a provider refuses are named, in order."""
    listed = dict(rows("providers.md", "Refused headers"))

    assert words(listed[name]) == sorted(declared.refused_headers)


def answered(status: int) -> Outcome:
    """Return what an answer means by its status alone."""
    return statuses.by_status(HttpResponse(status=status, headers={}, body=b"", received_at=BEGINNING), "")


def test_the_statuses_of_any_other_answer_are_those_of_the_code() -> None:
    """Each status of the table means what it says; whatever is not named is Deferred."""
    table = dict(rows("providers.md", "Any other answer"))
    named = {int(status): means for cell, means in table.items() for status in re.findall(r"\b\d{3}\b", cell)}
    named |= dict.fromkeys(range(300, 400), next(means for cell, means in table.items() if "3xx" in cell))
    named |= dict.fromkeys(range(200, 300), "Unknown")

    for status in range(200, 600):
        outcome = answered(status)
        assert named.get(status, "Deferred").partition(",")[0] == type(outcome).__name__, status
        assert getattr(outcome, "scope", Scope.ACCOUNT) is Scope.ACCOUNT
        assert verdict(outcome) in Verdict


def test_every_public_name_is_listed_once() -> None:
    """What can be imported from mailcore is on the page, and nothing else is."""
    sections = ("The engine", "What you write", "What you get", "Outcomes", "Errors")
    listed = [word for section in sections for row in rows("python-api.md", section) for word in words(row[0])]

    assert sorted(word for word in listed if "(" not in word) == sorted(mailcore.__all__)


def test_every_method_of_the_mailer_is_listed() -> None:
    """The front door is described whole."""
    listed = {row[0].strip("`").partition("(")[0] for row in rows("python-api.md", "The engine") if "(" in row[0]}

    assert listed == {name for name, value in vars(Mailer).items() if callable(value) and not name.startswith("_")}
