"""Makes one page of metrics of those of several processes.

What is counted is summed, over the processes that have ended too, so that no counter ever goes
back; what is so now is each process's own, with its number as the label ``process``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

SUMMED = frozenset({"counter", "histogram", "summary"})

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and labels."""


@attrs.define
class _Merged:
    """One family of the page."""

    family: Family
    sums: dict[Key, float] = attrs.field(factory=dict[Key, float])

    def add(self, sample: Sample) -> None:
        key = sample.name, tuple(sample.labels.items())
        self.sums[key] = self.sums.get(key, 0.0) + sample.value

    def finish(self) -> Family:
        for (name, labels), value in self.sums.items():
            self.family.samples.append(Sample(name, dict(labels), value))
        return self.family


@attrs.define
class Merger:
    """Remembers what was counted by the processes that have ended."""

    _ended: dict[str, _Merged] = attrs.field(factory=dict[str, _Merged], init=False)

    def end(self, page: str) -> None:
        """The last page of a process that has ended: what it counted is kept."""
        for family in _families(page):
            if family.type in SUMMED:
                merged = self._ended.setdefault(family.name, _Merged(_empty(family)))
                for sample in family.samples:
                    merged.add(sample)

    def merge(self, pages: Mapping[str, str]) -> list[Family]:
        """All families, from each process's page by its number."""
        made = {
            name: _Merged(_empty(ended.family), dict(ended.sums))
            for name, ended in self._ended.items()
        }
        for process, page in pages.items():
            for family in _families(page):
                merged = made.setdefault(family.name, _Merged(_empty(family)))
                for sample in family.samples:
                    if family.type in SUMMED:
                        merged.add(sample)
                    else:
                        labels = {**sample.labels, "process": process}
                        merged.family.samples.append(sample._replace(labels=labels))
        return [merged.finish() for merged in made.values()]


def _families(page: str) -> Iterator[Family]:
    for family in text_string_to_metric_families(page):
        if not family.name.endswith("_created"):  # a sum began at no one time
            yield family


def _empty(family: Family) -> Family:
    return Family(family.name, family.documentation, family.type, family.unit)


@attrs.define(eq=False)
class Page:
    """A collector for prometheus-client: hands out what was merged."""

    families: Iterable[Family] = ()

    def collect(self) -> Iterable[Family]:
        return self.families
