"""Two ways to run the same jobs, of which whatever can be seen is compared.

What each handler saw, what was told of each job, what is kept of it, what was counted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult

from props.stage import PAYLOADS, Stage
from tests.engine.virtual import World, calm
from trioq.core.breaker import Breaker
from trioq.core.calls import NewJob
from trioq.core.events import (
    BreakerChanged,
    Event,
    JobParked,
    JobsSucceeded,
    ResultDropped,
)
from trioq.core.formats import summary
from trioq.core.formats.record import encode
from trioq.core.job import Options, Record
from trioq.observe.metrics import Metrics
from trioq.observe.spans import EngineTracer

ROUNDS = 500 if os.environ.get("TRIOQ_TEST_PROPS") == "long" else 25


@attrs.frozen
class Draft:
    """A job to be run."""

    name: str
    what: str
    payload: dict[str, Any] | None = None
    """Instead of one that fits."""
    has_id: bool = False
    delay_ms: int = 0
    options: Options = attrs.field(factory=Options)
    is_traced: bool = False

    def stored(self, n: int) -> NewJob:
        uid, id_ = f"{n:032x}", (f"job-{n}" if n % 3 else f'jöb "{n}"') if self.has_id else None
        payload = PAYLOADS[self.name](n, self.what) if self.payload is None else self.payload
        record = Record(
            uid,
            self.name,
            "low",
            json.dumps(payload, separators=(",", ":")).encode(),
            id_,
            enqueued_ms=1_700_000_000_000 + n,
            options=self.options,
            due_ms=1_700_000_000_000 + self.delay_ms if self.delay_ms else 0,
            trace={"traceparent": f"00-{uid}-{n + 1:016x}-0{n % 2}"} if self.is_traced else {},
        )
        stored, big = encode(record)
        return NewJob(uid, "low", stored, big, self.delay_ms, id_)


@attrs.frozen
class Seen:
    """All that can be seen of some jobs' runs."""

    by_handlers: dict[int, list[Any]]
    told: dict[str, list[Any]]
    """By job: its events."""
    breakers: dict[str, Any]
    """What was told of them, and how they stand."""
    kept: dict[str, Any]
    """By job: its summary, or what is left of a dead one."""
    counted: dict[Any, float]
    spans: list[Any]
    quick: int
    """How many were run in one go."""


def told_of(events: list[Event]) -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    for event in events:
        if (uid := getattr(event, "uid", None)) is not None:
            fields = attrs.asdict(event, recurse=True)
            fields.pop("worker", None)  # whoever was free
            if "took_s" in fields:
                fields["took_s"] = round(fields["took_s"], 2)
            of_it, what = told.setdefault(uid, []), (type(event).__name__, _anonymous(fields))
            # What was claimed for a probe's place that another job had by then is parked again.
            if not (isinstance(event, JobParked) and of_it and of_it[-1] == what):
                of_it.append(what)
    return told


def kept_of(world: World) -> dict[str, Any]:
    """What the server has of each job in the end."""
    kept: dict[str, Any] = {}
    there = world.dump()
    for line in there.done:
        done = summary.decode(line)
        assert done is not None
        trace = done.trace and done.trace[-3:]  # who made its ids is no part of what it means
        kept[done.uid] = attrs.evolve(
            done, at_ms=0, engine="", took_ms=round(done.took_ms, -1), trace=trace
        )
    for uid in world.dead:
        lines = [
            {**line, "at_ms": 0, "engine": "", "trace": line.get("trace", "")[-3:]}
            for line in world.history(uid)
        ]
        kept[uid] = (
            there.reasons.get(uid), there.attempts.get(uid), there.reaps.get(uid),
            _anonymous(lines),
        )  # fmt: skip
    for uid, end in there.results.items():
        kept[f"result of {uid}"] = _anonymous(end)
    return kept


def _anonymous(value: Any) -> str:
    """As text, without where in memory what it tells of was."""
    return re.sub(r"0x[0-9a-f]+", "0x…", repr(value))


NOTHING_BEGUN = {f"trioq_jobs_{what}_total" for what in ("claimed", "released", "parked")}


def counts_of(metrics: Metrics) -> dict[Any, float]:
    """What was counted of jobs: not of steps, nor how long anything took, nor what was claimed and
    given back or parked with nothing begun, as happens when a handler has held the loop up."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("trioq_job") and sample.name.endswith(("_total", "_count"))
        and sample.name not in NOTHING_BEGUN
        # What waited at a door waited for so long by the clock of the wall.
        and sample.labels.get("state") not in ("limited", "scheduled")
    }  # fmt: skip


@attrs.define
class Quick:
    """A listener that counts what was run in one go."""

    count: int = 0

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        return self._add if kind is JobsSucceeded else None

    def __call__(self, event: Event) -> None:
        raise AssertionError("it says what it wants")

    def _add(self, event: JobsSucceeded) -> None:
        self.count += len(event.runs)


class OddOnes(Sampler):
    """Every other job is traced, of those that begin a trace."""

    def should_sample(  # noqa: PLR0917
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        is_odd = int((attributes or {}).get("messaging.message.id", "0"), 16) % 2
        return SamplingResult(Decision.RECORD_AND_SAMPLE if is_odd else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "every other job"


def traced(exporter: InMemorySpanExporter) -> EngineTracer:
    provider = TracerProvider(sampler=ParentBased(OddOnes()))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return EngineTracer(provider.get_tracer("trioq"), "props", linked=False)


def told_by(exporter: InMemorySpanExporter) -> list[Any]:
    """What spans say but for their times and ids."""
    return [
        (
            span.name,
            {k: v for k, v in (span.attributes or {}).items() if k != "trioq.engine_id"},
            span.status.status_code,
            [dict(link.attributes or {}) for link in span.links],
            [event.name for event in span.events],
            span.parent and (span.parent.trace_id, span.parent.span_id),
        )
        for span in exporter.get_finished_spans()
    ]


async def play(
    stage: Stage,
    drafts: list[Draft],
    workers: int,
    *,
    breaks: bool,
    traces: bool = False,
    ready: Callable[[trio.CapacityLimiter], None] = lambda threads: None,
) -> Seen:
    """What is seen of an engine that runs these.

    Args:
      ready: Told the limit of its threads.
    """
    spans = InMemorySpanExporter()
    breaker = {"min_samples": 4 if breaks else 1_000_000, "window_s": 60.0, "cooldown_s": 30.0}
    config = calm(queues=("low",), count=workers, breaker=breaker)
    metrics, quick = Metrics(config, dict.fromkeys(PAYLOADS, "low"), lambda: None), Quick()
    async with trio.open_nursery() as nursery:
        world = World(nursery, app=stage.app, config=config, listeners=(metrics, quick))
        world.tracer = traced(spans) if traces else None
        world.store.enqueue("sender", 1, [draft.stored(n) for n, draft in enumerate(drafts)])
        running = await world.start()
        ready(running.engine._parts.threads)
        await world.until(lambda: world.count("done") + len(world.dead) == len(drafts))
        parts = running.engine._parts
        running.engine.drain()
        await running.ended.wait()
    breakers = parts.breakers
    seen = Seen(
        by_handlers=dict(stage.seen),
        told=told_of([event for _, event in world.told]),
        breakers={
            "told": world.of(BreakerChanged),
            "states": breakers.states(),
            "windows": {n: _window(b) for n, b in breakers._breakers.items()},
        },
        kept=kept_of(world),
        counted=counts_of(metrics)
        | {("recent", queue): count for queue, count in parts.recent.done.items()}
        | {("failures",): len(parts.recent.failures)}
        | {("dropped", event.name): 1 for event in world.of(ResultDropped)}
        | {("stats", word): world.count(word) for word in ("done", "dead_letters")},
        spans=told_by(spans),
        quick=quick.count,
    )
    world.close()
    return seen


def _window(breaker: Breaker) -> tuple[int, int]:
    return breaker._window.total, breaker._window.failed


def assert_same(one: Seen, other: Seen) -> int:
    """Returns how many jobs were quick in the first, where that was allowed."""
    assert other.quick == 0
    for field in attrs.fields(Seen):
        if field.name != "quick":
            assert getattr(one, field.name) == getattr(other, field.name), field.name
    return one.quick


names = st.sampled_from(sorted(PAYLOADS))
plain_acts = st.sampled_from(
    ["returns nothing", "returns a number", "returns a role", "marks_its_context"]
)
options = st.just(Options()) | st.builds(
    Options,
    st.none() | st.integers(1, 3),
    st.none() | st.sampled_from([0.1, 5.0]),
    st.none() | st.just(60.0),
)
misfits = st.sampled_from([
    {}, {"n": "x"}, {"n": 1, "what": 2}, {"n": 1, "what": "returns nothing", "why": 1},
    {"role": {"n": 1, "what": "refuses"}}, {"role": 1},
])  # fmt: skip


class Holds(NamedTuple):
    """What holds of two ways, whatever is run: tests."""

    whatever_is_run: Callable[[], None]
    whatever_fails: Callable[[], None]
    with_many_workers: Callable[[], None]


def holds(
    drafts: st.SearchStrategy[Draft],
    same: Callable[..., int],
    among_many: Callable[[Draft], bool] = lambda draft: True,
) -> Holds:
    """Args:
    same: Runs jobs both ways, by so many workers, and maybe where breakers open, and compares.
    among_many: Whether a job is one for many workers.
    """

    @settings(max_examples=ROUNDS)
    @given(st.lists(drafts, min_size=1, max_size=30))
    def means_the_same(jobs: list[Draft]) -> None:
        same(jobs)

    @settings(max_examples=ROUNDS)
    @given(st.lists(drafts, min_size=1, max_size=30))
    def breaker_counts_the_same_and_opens_at_the_same_job(jobs: list[Draft]) -> None:
        same(jobs, breaks=True)

    @settings(max_examples=ROUNDS)
    @given(st.lists(drafts, min_size=1, max_size=30))
    def means_the_same_with_many_workers(jobs: list[Draft]) -> None:
        same([job for job in jobs if among_many(job)], 4)

    return Holds(
        means_the_same,
        breaker_counts_the_same_and_opens_at_the_same_job,
        means_the_same_with_many_workers,
    )
