"""What the tests of the metrics share: a scrape as numbers, and a world that counts."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from mailapps.metrics.counting import Tally

Labels = frozenset[tuple[str, str]]
Numbers = Mapping[tuple[str, Labels], float]


def numbers(text: bytes) -> Numbers:
    """Return every number of a scrape by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def labels(**some: str) -> Labels:
    """Return labels as `numbers` has them."""
    return frozenset(some.items())


def total(found: Numbers, name: str, **some: str) -> float:
    """Return the sum of a metric's numbers, of those that have these labels."""
    return sum(value for (of, with_), value in found.items() if of == name and labels(**some) <= with_)


def counted(tally: Tally, name: str) -> dict[tuple[str, ...], int]:
    """Return what a tally has counted of one metric, but for what is 0."""
    return {labels: number for labels, number in tally.counts[f"mailcore_{name}_total"].items() if number}
