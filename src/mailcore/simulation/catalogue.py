"""The scenarios that strategies are compared in; reliability.md section 6.

Trouble befalls the first of the providers, or all of them. A scenario is made for whatever providers there are, so
that it also tells what somebody's own would have done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mailcore.simulation.internet import Failing, MadeUp, Spell
from mailcore.simulation.scenario import Scenario, Stream, Watch

PAIR: Final = (MadeUp(name="a", weight=80), MadeUp(name="b", weight=20))
"""The providers of a scenario unless others are given."""

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
CALM: Final = 30 * SECOND
"""How long all is well before the trouble."""
SEVERAL: Final = 3
COPY_AGE: Final = timedelta(milliseconds=250)
"""How old a process's copy of what all know of the providers may be."""

Build = Callable[[Sequence[MadeUp]], Scenario]
"""Makes a scenario for these providers, one or more."""


class Trouble(Struct, frozen=True, kw_only=True):
    """What happens to providers, whatever mail there is.

    Attributes:
        spells: Counted from the beginning of the trouble.
        everybody: It befalls all providers, not only the first.
        workers: How many processes deliver; several see a copy of the shared health that is up to 250 ms old.
        settling: How long it is measured every second where new mail would go.
        after: How long the return to normal is watched.
    """

    name: str
    says: str
    spells: tuple[Spell, ...] = ()
    everybody: bool = False
    workers: int = 1
    lasts: timedelta = 5 * MINUTE
    settling: timedelta = timedelta()
    after: timedelta = timedelta()

    def at(self, per_second: float, providers: Sequence[MadeUp], lasts: timedelta | None = None) -> Scenario:
        """Return the trouble with so much mail, for as long as it lasts or a part of that."""
        ends = CALM + (lasts or self.lasts)
        shifted = tuple(replace(one, begins=CALM + one.begins, ends=min(CALM + one.ends, ends)) for one in self.spells)
        first = providers[0].name
        return Scenario(
            name=f"{self.name} {per_second:g}/s",
            says=self.says,
            providers=tuple(
                replace(one, spells=shifted) if self.everybody or one.name == first else one for one in providers
            ),
            streams=(Stream(per_second=per_second),),
            watch=Watch(provider=first, begins=CALM, ends=ends, settling=self.settling, after=self.after),
            lasts=ends + self.after,
            workers=self.workers,
            copy_age=COPY_AGE if self.workers > 1 else timedelta(),
        )


def spell(begins: timedelta, lasts: timedelta, share: float = 1.0) -> Spell:
    """Return a spell of clean failures."""
    return Spell(begins=begins, ends=begins + lasts, share=share)


HEALTHY: Final = Trouble(name="healthy", says="All is well.")
BROWN_OUT: Final = Trouble(
    name="brown-out",
    says="The first provider fails 40 % of its mail for 5 minutes.",
    spells=(spell(0 * SECOND, 5 * MINUTE, 0.4),),
    settling=MINUTE,
    after=100 * SECOND,
)
OUTAGE: Final = Trouble(
    name="outage",
    says="The first provider fails all of its mail for 3 minutes; three processes deliver.",
    spells=(spell(0 * SECOND, 3 * MINUTE),),
    workers=SEVERAL,
    lasts=3 * MINUTE,
    settling=MINUTE,
    after=20 * SECOND,
)
FLAPPING: Final = Trouble(
    name="flapping",
    says="The first provider fails 60 % of its mail in every other half minute.",
    spells=tuple(spell(n * MINUTE, 30 * SECOND, 0.6) for n in range(5)),
)
ALL_BROWN: Final = Trouble(
    name="all brown",
    says="All providers fail 40 % of their mail for 5 minutes.",
    spells=(spell(0 * SECOND, 5 * MINUTE, 0.4),),
    everybody=True,
)
THROTTLED: Final = Trouble(
    name="throttled",
    says="The first provider answers 429 with Retry-After: 60 for a minute.",
    spells=(Spell(begins=0 * SECOND, ends=MINUTE, how=Failing.THROTTLED, retry_after=MINUTE),),
    workers=SEVERAL,
    lasts=MINUTE,
    settling=MINUTE,
    after=5 * SECOND,
)


def newcomer(providers: Sequence[MadeUp]) -> Scenario:
    """Return how the last of the providers is taken up that joins when the others have a history."""
    *others, last = providers if len(providers) > 1 else (*providers, MadeUp(name="new", weight=providers[0].weight))
    calm = HEALTHY.at(5, (replace(last, joins=CALM), *others), 2 * MINUTE)
    return replace(calm, name="newcomer 5/s", says="A provider without a history joins.")


def paced(providers: Sequence[MadeUp], *, parked: int = 3000) -> Scenario:
    """Return how a backlog drains through the first provider, which takes 10 a second and is configured for 8."""
    slow = replace(providers[0], max_per_second=8.0, takes_per_second=10, errors=0.0)
    lasts = (parked / 8.0) * SECOND + MINUTE
    return Scenario(
        name="paced",
        says=f"{parked} parked e-mails drain through one provider that takes 10 a second; max_per_second is 8.",
        providers=(slow,),
        streams=(Stream(parked=parked),),
        watch=Watch(provider=slow.name, begins=timedelta(), ends=lasts),
        lasts=lasts,
        workers=SEVERAL,
        copy_age=COPY_AGE,
    )


def long_outage(per_hour: float, providers: Sequence[MadeUp], lasts: timedelta = 6 * HOUR) -> Scenario:
    """Return how rare mail fares when all providers fail for hours."""
    ends = HOUR + lasts
    dead = (spell(HOUR, lasts),)
    return Scenario(
        name=f"long outage {per_hour:g}/h",
        says=f"All providers fail everything for {lasts / HOUR:g} hours.",
        providers=tuple(replace(one, spells=dead) for one in providers),
        streams=(Stream(per_second=per_hour / 3600, ends=ends),),
        watch=Watch(provider=providers[0].name, begins=HOUR, ends=ends),
        lasts=ends + 10 * MINUTE,
    )


CATALOGUE: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "brown-out 20/s": partial(BROWN_OUT.at, 20, lasts=4 * MINUTE),
        "brown-out 2/s": partial(BROWN_OUT.at, 2),
        "brown-out 0.2/s": partial(BROWN_OUT.at, 0.2),
        "outage 20/s": partial(OUTAGE.at, 20),
        "healthy 20/s": partial(HEALTHY.at, 20, lasts=MINUTE),
        "healthy 2/s": partial(HEALTHY.at, 2, lasts=10 * MINUTE),
        "healthy 0.2/s": partial(HEALTHY.at, 0.2, lasts=HOUR),
        "flapping 20/s": partial(FLAPPING.at, 20, lasts=2 * MINUTE),
        "flapping 2/s": partial(FLAPPING.at, 2),
        "flapping 0.2/s": partial(FLAPPING.at, 0.2),
        "all brown 2/s": partial(ALL_BROWN.at, 2, lasts=3 * MINUTE),
        "throttled 2/s": partial(THROTTLED.at, 2),
        "newcomer 5/s": newcomer,
        "paced": paced,
        "long outage 10/h": partial(long_outage, 10, lasts=2 * HOUR),
    }
)
"""Every scenario by its name."""

RARE: Final = frozenset({"brown-out 0.2/s", "flapping 0.2/s"})
"""Scenarios with so few e-mails that an average needs more worlds."""
