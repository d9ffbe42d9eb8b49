"""docs/metrics.md says what there is."""

from __future__ import annotations

from pathlib import Path

from trioq.observe.metrics.catalogue import ALL
from trioq.observe.metrics.page import metrics_md

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_metric_has_a_row() -> None:
    page = metrics_md()
    for metric in ALL:
        assert page.count(f"| `{metric.sample_name}` | {metric.kind} |") == 1
