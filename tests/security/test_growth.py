"""No pattern anywhere in mailcore takes more than its share of time, however its input was made."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]  # the only reader of a pattern's structure
from time import process_time
from types import ModuleType
from typing import Any

import pytest

import mailadapters
import mailapps
import mailcore

SIZE = 8 * 1024
WORST = {
    "letters, then what does not belong": "a" * SIZE + "!",
    "dots": "a." * (SIZE // 2) + "!",
    "hyphens": "a-" * (SIZE // 2) + "!",
    "quotes": '"' * SIZE,
    "an escape at the end": '"' + "\\" * SIZE,
    "angle brackets": "<" * SIZE,
    "encoded words": "=?" * (SIZE // 2),
    "parentheses": "(" * SIZE,
    "at signs": "@" * SIZE,
    "addresses": "a@b" * (SIZE // 3),
    "spaces": " " * SIZE + "!",
    "digits": "1" * SIZE + "!",
    "colons": "a:b" * (SIZE // 3),
    "percent signs": "%4" * (SIZE // 2),
    "line breaks": "\r\n" * (SIZE // 2),
    "semicolons": ";a=" * (SIZE // 3),
}
FAST_S = 0.0005


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield every compiled pattern of a module, with its full name."""
    for package in (mailcore, mailadapters, mailapps):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in found.name:
                yield from of_module(importlib.import_module(found.name))


def of_module(module: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the compiled patterns of a module."""
    yield from (
        (f"{module.__name__}.{name}", value) for name, value in vars(module).items() if isinstance(value, re.Pattern)
    )


PATTERNS = dict(patterns())

APART = {
    "mailadapters.sqs_connection._REGION": "parts end at a hyphen, which no part holds",
    "mailapps.api.openapi._ATTRIBUTE": "reads our own docstrings; lines end at a line break, which no line holds",
    "mailapps.emulator.wire._ADDRESS": "labels end at a dot, which no label holds",
    "mailapps.settings_rules._KNOWN": "words, and the signs between words, share no character",
}
"""Repetitions within repetitions that can be read in one way only, and why."""


def deepest_repeat(tree: Any, depth: int = 0) -> int:  # noqa: ANN401  the parser's nodes have no type
    """Return how many unbounded repetitions stand inside one another in a parsed pattern."""
    deepest = depth
    if isinstance(tree, tuple) and len(tree) == 3 and str(tree[0]) == "MAX_REPEAT":
        depth += 1
    elif isinstance(tree, tuple) and len(tree) == 2 and str(tree[0]) == "MAX_REPEAT":
        depth += tree[1][1] > 1
    children = tree if isinstance(tree, list | tuple | _parser.SubPattern) else ()
    return max([deepest, depth, *(deepest_repeat(child, depth) for child in children)])


def test_no_pattern_nests_a_repetition_in_another() -> None:
    """A repetition within a repetition can take exponential time on a text made for it."""
    nested = {name for name, one in PATTERNS.items() if deepest_repeat(_parser.parse(one.pattern)) > 1}

    assert len(PATTERNS) > 20
    assert nested == set(APART)


def test_the_check_for_nested_repetitions_sees_one() -> None:
    """The guard above is no rubber stamp."""
    assert deepest_repeat(_parser.parse(r"(a+)+$")) == 2
    assert deepest_repeat(_parser.parse(r"(?:a|b+)*")) == 2
    assert deepest_repeat(_parser.parse(r"a+b+(?:c*)?")) == 1


USES = {
    "findall": lambda pattern, given: pattern.findall(given),
    "finditer": lambda pattern, given: list(pattern.finditer(given)),
    "fullmatch": lambda pattern, given: pattern.fullmatch(given),
    "match": lambda pattern, given: pattern.match(given),
    "search": lambda pattern, given: pattern.search(given),
    "split": lambda pattern, given: pattern.split(given),
    "sub": lambda pattern, given: pattern.sub(given[:0], given),
}
SOURCES = {path: path.read_text(encoding="utf-8") for path in Path("src").rglob("*.py")}


def uses(name: str) -> set[str]:
    """Return the methods that a pattern is used by: in its own module, or else in any other."""
    module, _, short = name.rpartition(".")
    own = [text for path, text in SOURCES.items() if module.replace(".", "/") in str(path)]
    return used_in(short, own) or used_in(short, SOURCES.values())


def used_in(short: str, texts: Iterable[str]) -> set[str]:
    """Return the methods that a pattern of this name is used by in some sources."""
    return {use for text in texts for use in re.findall(rf"\b{short}\.([a-z]+)\b", text)} & set(USES)


def seconds(pattern: re.Pattern[Any], text: str, used: Iterable[str]) -> float:
    """Return the least CPU time that a use of a pattern takes, of three tries each; of the slowest use."""
    given: Any = text if isinstance(pattern.pattern, str) else text.encode()
    return max(min(_timed(partial(USES[use], pattern), given) for _ in range(3)) for use in used)


def _timed(use: Any, given: Any) -> float:  # noqa: ANN401  of text or of bytes
    """Return how long it takes once."""
    start = process_time()
    use(given)
    return process_time() - start


@pytest.mark.parametrize("name", PATTERNS)
def test_the_time_of_a_pattern_grows_no_faster_than_its_input(name: str) -> None:
    """A text made for the worst takes half a millisecond for 8 KiB, or twice as long when it is twice as long."""
    used, pattern = uses(name), PATTERNS[name]

    slow = {worst for worst, text in WORST.items() if seconds(pattern, text * 2, used) > FAST_S and grows(name, text)}

    assert used
    assert slow == set()


def grows(name: str, text: str) -> bool:
    """Tell whether a pattern takes much more than twice the time for a text of twice the length."""
    once, twice = (seconds(PATTERNS[name], text[:-1] * times + text[-1], uses(name)) for times in (1, 2))
    return twice >= 3 * once


def test_a_pattern_that_grows_faster_would_be_seen() -> None:
    """The measure above tells a square from a line."""
    square = re.compile(r"a+b")
    text = "a" * 4096

    ratios = (seconds(square, text + text, ["search"]) / seconds(square, text, ["search"]) for _ in range(9))

    assert any(ratio > 3 for ratio in ratios)  # four, where nothing else takes the processor's time
