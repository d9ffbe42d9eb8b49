"""The numbers themselves, in plain dicts and lists.

prometheus-client's own counters take a lock and look their child up by its labels: at the
rate at which an engine runs small jobs that would cost a tenth of it. These are written in
the event loop alone; whoever scrapes may read them in any thread, and the count of a
histogram is the sum of its buckets, so that what is read fits together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import attrs
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family

from trioq.observe.metrics.catalogue import Metric

Labels = tuple[str, ...]


class Histogram:
    """How often values fell into each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, metric: Metric) -> None:
        self.bounds = metric.buckets
        self.counts = [0] * (len(metric.buckets) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_many(self, values: Sequence[float]) -> None:
        """The same for all of these, at a price for each bucket into which some fall."""
        self.total += sum(values)
        first = bisect_left(self.bounds, min(values))
        if first == bisect_left(self.bounds, max(values)):
            self.counts[first] += len(values)
            return
        values, below = sorted(values), 0
        for i, bound in enumerate(self.bounds):
            if below == len(values):
                break
            up_to = bisect_right(values, bound, below)
            self.counts[i] += up_to - below
            below = up_to
        self.counts[-1] += len(values) - below

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, and how many values lie at or below each."""
        counted, below = [], 0
        for bound, count in zip((*self.bounds, float("inf")), tuple(self.counts), strict=True):
            below += count
            counted.append((_le(bound), float(below)))
        return counted


@attrs.define
class Counts:
    """Counters by metric and labels."""

    _counts: dict[Metric, dict[Labels, float]] = attrs.field(
        factory=dict[Metric, dict[Labels, float]], init=False
    )

    def add(self, metric: Metric, labels: Labels = (), by: float = 1) -> None:
        counts = self._counts.setdefault(metric, {})
        counts[labels] = counts.get(labels, 0) + by

    def family(self, metric: Metric) -> Family:
        """What was counted so far; a counter without labels that counted nothing is 0."""
        counts = dict(self._counts.get(metric, {}))
        if not metric.labels:
            counts.setdefault((), 0)
        return counter(metric, counts)


def _le(bound: float) -> str:
    """A bound as Prometheus writes it."""
    return "+Inf" if bound == float("inf") else repr(float(bound))


def counter(metric: Metric, counts: Mapping[Labels, float]) -> Family:
    """A family of counters."""
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def histogram(metric: Metric, of: Iterable[tuple[Labels, Histogram]]) -> Family:
    """A family of histograms."""
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, values in of:
        family.add_metric(labels, values.buckets(), values.total)
    return family


def gauge(metric: Metric, values: Mapping[Labels, float]) -> Family:
    """A family of gauges; without values it has a name and a meaning, and no samples."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def info(metric: Metric, values: Sequence[str]) -> Family:
    """Texts, as labels of the number 1."""
    family = InfoMetricFamily(metric.name, metric.help)
    family.add_metric((), dict(zip(metric.labels, values, strict=True)))
    return family
