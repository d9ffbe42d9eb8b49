"""There are two ways through a worker, and they mean the same.

The same jobs are run by an engine that runs what it can in one go, and by one that doesn't.
Whatever can be seen of the two is compared: what each handler saw, what was told of each job, what
is kept of it, what was counted.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol
from unittest.mock import patch

import attrs
import pytest
import trio
import trio._core._run as trio_run
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from trio.testing import MockClock

from props.behaviours import ACTS, PAYLOADS, Stage
from tests.engine.virtual import World, calm
from trioq.app import App
from trioq.core.breaker import Breaker
from trioq.core.calls import NewJob
from trioq.core.events import BreakerChanged, Event, JobsSucceeded
from trioq.core.formats import summary
from trioq.core.formats.record import encode
from trioq.core.job import Options, Record
from trioq.engine.runs.worker import Shop
from trioq.observe.metrics import Metrics
from trioq.observe.spans import EngineTracer

ROUNDS = 500 if os.environ.get("TRIOQ_TEST_PROPS") == "long" else 40


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
            if "took_s" in fields:
                fields["took_s"] = round(fields["took_s"], 2)
            told.setdefault(uid, []).append((type(event).__name__, _anonymous(fields)))
    return told


def kept_of(world: World) -> dict[str, Any]:
    """What the server has of each job in the end."""
    kept: dict[str, Any] = {}
    for line in world.store.space.done:
        done = summary.decode(line)
        assert done is not None
        trace = done.trace and done.trace[-3:]  # who made its ids is no part of what it means
        kept[done.uid] = attrs.evolve(
            done, at_ms=0, engine="", took_ms=round(done.took_ms, -1), trace=trace
        )
    for uid in world.store.space.dead:
        life = world.store.space.jobs[uid]
        lines = [
            {**line, "at_ms": 0, "engine": "", "trace": line.get("trace", "")[-3:]}
            for line in world.history(uid)
        ]
        kept[uid] = (life.reason, life.attempts, life.reaps, _anonymous(lines))
    return kept


def _anonymous(value: Any) -> str:
    """As text, without where in memory what it tells of was."""
    return re.sub(r"0x[0-9a-f]+", "0x…", repr(value))


def counts_of(metrics: Metrics) -> dict[Any, float]:
    """What was counted of jobs: not of steps, nor how long anything took, nor what was claimed and
    given back with nothing begun, as happens when a handler has held the loop up."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith("trioq_job") and sample.name.endswith(("_total", "_count"))
        and sample.name not in ("trioq_jobs_claimed_total", "trioq_jobs_released_total")
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


class OnStage(Protocol):
    """Handlers that note what they see."""

    @property
    def app(self) -> App: ...
    @property
    def seen(self) -> dict[int, list[Any]]: ...


async def play(
    drafts: list[Draft], clock: MockClock, workers: int, *, breaks: bool, traces: bool
) -> Seen:
    return await play_on(Stage(clock), drafts, workers, breaks=breaks, traces=traces)


async def play_on(
    stage: OnStage,
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
        space = world.store.space
        await world.until(lambda: space.stats["done"] + len(space.dead) == len(drafts))
        parts = running.engine._parts
        running.engine.drain()
        await running.ended.wait()
    breakers = parts.breakers
    return Seen(
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
        | {("stats", word): space.stats[word] for word in ("done", "dead_letters")},
        spans=told_by(spans),
        quick=quick.count,
    )


def _window(breaker: Breaker) -> tuple[int, int]:
    return breaker._window.total, breaker._window.failed


def both(
    drafts: list[Draft], workers: int = 1, *, breaks: bool = False, traces: bool = False
) -> tuple[Seen, Seen]:
    """What is seen of an engine that runs what it can in one go, and of one that doesn't."""

    def run() -> Seen:
        clock = MockClock(autojump_threshold=0)
        with patch.object(trio_run, "_r", random.Random(1)):
            play_them = partial(play, drafts, clock, workers, breaks=breaks, traces=traces)
            return trio.run(play_them, clock=clock)

    with_it = run()
    with patch.object(Shop, "spree", lambda shop: attrs.evolve(_spree(shop), is_off=True)):
        return with_it, run()


_spree = Shop.spree


def assert_same(
    drafts: list[Draft], workers: int = 1, *, breaks: bool = False, traces: bool = False
) -> int:
    """Returns how many jobs were run in one go where that was allowed."""
    one, other = both(drafts, workers, breaks=breaks, traces=traces)
    assert other.quick == 0
    for field in attrs.fields(Seen):
        if field.name != "quick":
            assert getattr(one, field.name) == getattr(other, field.name)
    return one.quick


names = st.sampled_from(sorted(PAYLOADS))
acts = st.sampled_from(sorted(ACTS))
plain_acts = st.sampled_from(["returns nothing", "returns a number", "marks_its_context"])
options = st.just(Options()) | st.builds(
    Options, st.none() | st.integers(1, 3), st.none() | st.sampled_from([0.1, 5.0])
)
misfits = st.sampled_from([
    {}, {"n": "x"}, {"n": 1, "what": 2}, {"n": 1, "what": "returns nothing", "why": 1},
    {"role": {"n": 1, "what": "refuses"}}, {"role": 1},
])  # fmt: skip
drafts = st.one_of(
    st.builds(Draft, names, plain_acts),
    st.builds(Draft, names, acts),
    st.builds(Draft, names, acts, has_id=st.booleans(), options=options),
    st.builds(Draft, names, plain_acts | acts, has_id=st.booleans(), is_traced=st.booleans()),
    st.builds(Draft, names, plain_acts, options=options, is_traced=st.booleans()),
    st.builds(Draft, names, acts, delay_ms=st.sampled_from([0, 700])),
    st.builds(Draft, names, acts, misfits),
)


@settings(max_examples=ROUNDS)
@given(st.lists(drafts, min_size=1, max_size=30))
def test_what_is_run_in_one_go_means_the_same(jobs: list[Draft]) -> None:
    assert_same(jobs)


@settings(max_examples=ROUNDS)
@given(st.lists(drafts, min_size=1, max_size=30))
def test_a_breaker_counts_the_same_and_opens_at_the_same_job(jobs: list[Draft]) -> None:
    assert_same(jobs, breaks=True)


@settings(max_examples=ROUNDS)
@given(st.lists(drafts, min_size=1, max_size=30))
def test_so_it_is_with_many_workers(jobs: list[Draft]) -> None:
    assert_same(jobs, 4)


def test_so_it_is_where_one_keeps_the_loop_from_the_next_for_long() -> None:
    long, short = (
        Draft("careful", what) for what in ("works_too_long_and_waits", "returns nothing")
    )
    assert_same([long, short], 4)


#: Ids of spans are random, and a job can ask for them.
@settings(max_examples=ROUNDS)
@given(
    st.lists(drafts.filter(lambda d: not d.what.startswith("asks_for")), min_size=1, max_size=30)
)
def test_so_it_is_where_they_are_traced(jobs: list[Draft]) -> None:
    assert_same(jobs, traces=True)


def test_traced_jobs_are_run_in_one_go_too() -> None:
    drafts = [Draft("plain", "returns nothing", is_traced=n % 3 == 0) for n in range(12)]
    one, other = both(drafts, traces=True)
    assert one.spans == other.spans
    assert len(one.spans) == 6
    assert (one.quick, other.quick) == (12, 0)


@pytest.mark.parametrize("what", sorted(ACTS))
@pytest.mark.parametrize("name", ["plain", "typed"])
def test_each_act_means_the_same_between_others(name: str, what: str) -> None:
    before, after = Draft("plain", "marks_its_context"), Draft("told", "looks_at_its_context")
    quick = assert_same([before, before, Draft(name, what), Draft(name, what), after, after])
    assert quick >= 2


@pytest.mark.parametrize(
    "own",
    [
        {"has_id": True}, {"options": Options(3, None)}, {"options": Options(None, 0.25)},
        {"is_traced": True}, {"delay_ms": 700}, {"has_id": True, "is_traced": True},
    ],
)  # fmt: skip
def test_jobs_that_say_something_of_their_own_are_run_in_one_go_too(own: dict[str, Any]) -> None:
    drafts = [Draft(name, "asks_for_its_job", **own) for name in ("plain", "told", "typed")] * 2
    drafts += [Draft("told", "asks_how_long_it_has_and_returns", **own)] * 2
    assert assert_same(drafts) == len(drafts)
