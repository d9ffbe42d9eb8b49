"""Makes one page of metrics of those of several processes.

What is counted is summed, over the processes that have ended too, so that no counter ever goes
back; what is so now is each process's own, with its number as the label ``process``. So is what
is counted of a whole namespace: each process that tells it tells all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

SUMMED = frozenset({"counter", "histogram", "summary"})

#: Counters that are kept in Redis, for all engines.
OF_ALL = "trioq_namespace_"

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and labels."""

Page = tuple[Family, ...]
"""The families of a page."""


def read(page: str) -> Page:
    """What a process's page says. Takes a while where there are many series."""
    # A sum began at no one time.
    families = text_string_to_metric_families(page)
    return tuple(family for family in families if not family.name.endswith("_created"))


@attrs.frozen
class Ended:
    """What the processes that have ended have counted."""

    sums: Mapping[str, Family] = attrs.field(factory=dict[str, Family])

    def plus(self, page: Page) -> Ended:
        """With the last page of one more."""
        counted = [family for family in page if _is_summed(family)]
        sums = [_sum(family, self.sums.get(family.name)) for family in counted]
        return Ended({**self.sums, **{family.name: family for family in sums}})


def merge(ended: Ended, pages: Mapping[str, Page]) -> list[Family]:
    """All families, from each process's page by its number."""
    made = dict(ended.sums)
    for process, page in pages.items():
        for family in page:
            if _is_summed(family):
                made[family.name] = _sum(family, made.get(family.name))
            else:
                labelled = made.setdefault(family.name, _empty(family))
                labelled.samples.extend(_labelled(family, process))
    return list(made.values())


def _is_summed(family: Family) -> bool:
    return family.type in SUMMED and not family.name.startswith(OF_ALL)


def _labelled(family: Family, process: str) -> Iterator[Sample]:
    for sample in family.samples:
        yield sample._replace(labels={**sample.labels, "process": process})


def _sum(one: Family, other: Family | None) -> Family:
    """A family of its own, in the order in which the samples came first."""
    sums: dict[Key, float] = {}
    for family in (other, one) if other is not None else (one,):
        for sample in family.samples:
            key = sample.name, tuple(sample.labels.items())
            sums[key] = sums.get(key, 0.0) + sample.value
    made = _empty(one)
    made.samples = [Sample(name, dict(labels), value) for (name, labels), value in sums.items()]
    return made


def _empty(family: Family) -> Family:
    return Family(family.name, family.documentation, family.type, family.unit)


@attrs.frozen(eq=False)
class Merged:
    """A collector for prometheus-client: hands out what was merged."""

    families: Iterable[Family]

    def collect(self) -> Iterable[Family]:
        return self.families
