"""One scrape: the counters as they are, the gauges as they are read, in the text form of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from mailapps.logs import dropped
from mailapps.metrics import catalogue as c
from mailapps.metrics.catalogue import CATALOGUE, Metric
from mailapps.metrics.counting import Curve, Labels, Tally
from mailapps.metrics.gauges import Sample, Stocktaker, healths, of_batches, of_engine, of_provider, of_unreadable
from mailcore.assembly import Assembled
from mailcore.health import Health


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """Answers scrapes of one process.

    Attributes:
        carries: Whether this process has an engine that runs.
        version: Of the build.
        role: What the process is for.
    """

    tally: Tally
    assembled: Assembled
    stocktaker: Stocktaker
    carries: bool
    version: str
    role: str
    _process: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        """Let the library tell of memory, processor time and open files."""
        ProcessCollector(registry=self._process)

    async def text(self) -> bytes:
        """Return all metrics; what store or shared health do not tell now is left out."""
        samples = await self._samples()
        return generate_latest(_Families(self.tally, samples)) + generate_latest(self._process)

    async def _samples(self) -> Sequence[Sample]:
        """Read the gauges; the store is counted last, for the counters are read in the same breath (I39)."""
        engine, ports = self.assembled.engine, self.assembled.mailer.ports
        known, views = await healths(ports), await self.assembled.mailer.providers()
        await self.stocktaker.latest()
        now, rules = ports.clock.now(), self.assembled.mailer.rules.health
        stands = [of_provider(view, known.get(view.name) or Health(), rules, now) for view in views]
        build: Sample = (c.BUILD, (self.version, self.role), 1.0)
        own = of_engine(engine) if self.carries else ()
        counted = (*of_batches(ports.store), *of_unreadable(ports))
        unsaid: Sample = (c.DROPPED, (), dropped())
        return [build, unsaid, *self.stocktaker.samples(now), *chain(*stands), *own, *counted]


@dataclass(frozen=True)
class _Families:
    """What the library's exposition asks of a registry."""

    tally: Tally
    samples: Sequence[Sample]

    def collect(self) -> Iterator[Family]:
        """Yield every metric in the order of the catalogue."""
        for metric in CATALOGUE:
            own = [(labels, value) for of, labels, value in self.samples if of is metric]
            match metric.kind:
                case "histogram":
                    yield _histogram(metric, self.tally.curves[metric.name].items())
                case "counter":
                    counted = self.tally.counts.get(metric.name, Counter[Labels]())
                    yield _counter(metric, [*counted.items(), *own])
                case "gauge":
                    yield _gauge(metric, own)


def _counter(metric: Metric, numbers: Iterable[tuple[Labels, float]]) -> Family:
    """Return a counter with its numbers."""
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in numbers:
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, numbers: Iterable[tuple[Labels, float]]) -> Family:
    """Return a gauge with its numbers."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in numbers:
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, curves: Iterable[tuple[Labels, Curve]]) -> Family:
    """Return a histogram; in the text form each bucket has all that the smaller ones have."""
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
    for labels, curve in curves:
        buckets = list(zip(bounds, map(float, accumulate(curve.counts)), strict=True))
        family.add_metric(labels, buckets=buckets, sum_value=curve.total)
    return family
