"""One page of metrics from those of several processes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from trioq.processes.merge import Ended, Merged, merge, read


def page(done: int, times: list[float], running: int) -> str:
    registry = CollectorRegistry()
    counter = Counter("jobs", "Done.", ["queue"], registry=registry)
    counter.labels("high").inc(done)
    histogram = Histogram("run", "Took.", buckets=(1, 2), registry=registry)
    for time in times:
        histogram.observe(time)
    Gauge("running", "Now.", registry=registry).set(running)
    return generate_latest(registry).decode()


def values(ended: Ended, pages: dict[str, str]) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    families = merge(ended, {number: read(page) for number, page in pages.items()})
    registry.register(Merged(families))
    parsed = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (s.name, ",".join(s.labels.values())): s.value for family in parsed for s in family.samples
    }


def test_counts_are_summed_and_gauges_told_apart() -> None:
    seen = values(Ended(), {"1": page(3, [0.5], 2), "2": page(4, [1.5, 9], 5)})
    assert seen == {
        ("jobs_total", "high"): 7,
        ("run_bucket", "1.0"): 1,
        ("run_bucket", "2.0"): 2,
        ("run_bucket", "+Inf"): 3,
        ("run_count", ""): 3,
        ("run_sum", ""): 11,
        ("running", "1"): 2,
        ("running", "2"): 5,
    }


def test_what_an_ended_process_counted_stays_and_its_gauges_go() -> None:
    ended = Ended().plus(read(page(3, [0.5], 2))).plus(read(page(10, [], 1)))
    for _ in range(2):  # asking changes nothing
        seen = values(ended, {"3": page(4, [1.5], 5)})
        assert seen["jobs_total", "high"] == 17
        assert seen["run_count", ""] == 2
        assert [key for key in seen if key[0] == "running"] == [("running", "3")]


def test_without_a_living_process_the_counts_are_still_there() -> None:
    ended = Ended().plus(read(page(3, [], 1)))
    assert values(ended, {})["jobs_total", "high"] == 3


def test_what_is_counted_of_the_namespace_is_told_by_whom_and_not_summed() -> None:
    text = "# TYPE trioq_namespace_jobs_done_total counter\ntrioq_namespace_jobs_done_total 7\n"
    ended = Ended().plus(read(text))
    seen = values(ended, {"2": text, "3": text})
    assert seen == {
        ("trioq_namespace_jobs_done_total", "2"): 7,
        ("trioq_namespace_jobs_done_total", "3"): 7,
    }
