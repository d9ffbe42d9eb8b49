"""Traces, as a real collector gets them from real programs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from opentelemetry.trace import Link, SpanContext, TraceFlags

from tests.observe.collector import Collector, collector
from tests.support import PATIENCE_S, Server, new_job, trioq, trioq_started, wait_until
from trioq.core.formats.record import decode
from trioq.observe.otlp import FollowLinks
from trioq.store.inspect import JobView, dead, done, stats

APP = """
import trio
import trioq
from opentelemetry import baggage, trace

app = trioq.App()
spans = trace.get_tracer("theirs")


def inside(where):
    with spans.start_as_current_span(f"inside {where}") as span:
        span.set_attribute("customer", str(baggage.get_baggage("customer")))


@app.job("looks")
async def looks():
    await trio.sleep(0.01)
    inside("looks")


@app.job("threaded")
def threaded():
    inside("threaded")


@app.job("fails", retry=trioq.Retry(max_attempts=2, base=0.01, cap=0.01))
async def fails():
    raise ValueError("no such thing")


@app.job("snoozes")
async def snoozes(job: trioq.Job):
    if time_left():
        raise trioq.Snooze(0.01)


def time_left(times=[1]):
    return times.pop() if times else 0


@app.job("sends")
async def sends():
    async with trioq.connect("jobqueue.toml") as client:
        await client.enqueue("looks")


@app.job("stays")
async def stays():
    await trio.sleep_forever()
"""

CONFIG = """
namespace = "t"
app = "traced_app:app"
queues = [{{ name = "low" }}]
[redis]
url = "{url}"
[worker]
grace = "0s"
[observability]
bind = ""
log_format = "json"
[observability.tracing]
endpoint = "{endpoint}"
sample_ratio = {ratio}
relation = "{relation}"
[commands.told]
argv = ["sh", "-c", "echo $TRACEPARENT $BAGGAGE > told"]
"""

#: In the last field of a traceparent.
SAMPLED = 1

#: A caller that is traced, and enqueues what it is told to.
CALLER = """
import sys
import trioq
from opentelemetry import baggage, context, trace

with trioq.connect_sync("jobqueue.toml") as client:
    context.attach(baggage.set_baggage("customer", "7"))
    with trace.get_tracer("theirs").start_as_current_span("request"):
        for name in sys.argv[1:]:
            client.enqueue(name)
"""


@attrs.frozen
class Place:
    """A directory with a configuration, a server, and a collector."""

    directory: Path
    server: Server
    collector: Collector

    def configure(
        self,
        relation: str = "child",
        ratio: float = 1.0,
        endpoint: str | None = None,
        more: str = "",
    ) -> Place:
        endpoint = self.collector.endpoint if endpoint is None else endpoint
        text = CONFIG.format(url=self.server.url, endpoint=endpoint, ratio=ratio, relation=relation)
        (self.directory / "jobqueue.toml").write_text(text + more)
        (self.directory / "traced_app.py").write_text(APP)
        return self

    def run(self, program: str, *arguments: str) -> str:
        """A Python program of somebody's; returns what it prints."""
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), *arguments],
            cwd=self.directory, env={**os.environ, "TRIOQ_WORKER__COUNT": "1"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert not ended.stderr, ended.stderr
        return ended.stdout

    def serve(self) -> str:
        """An engine, until all is done; returns its log."""
        ended = trioq("serve", "jobqueue.toml", "--drain", cwd=self.directory)
        assert ended.returncode == 0, ended.stderr
        return ended.stderr


@pytest.fixture
def place(tmp_path: Path, server: Server) -> Iterator[Place]:
    with collector() as taken:
        yield Place(tmp_path, server, taken)


@attrs.frozen
class Day:
    """What one engine did of what one caller asked for."""

    spans: Collector
    done: list[dict[str, Any]]
    dead: list[JobView]
    told: str
    log: list[dict[str, Any]]


@pytest.fixture(scope="module")
def day(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    shared_server.call("FLUSHALL")
    directory = tmp_path_factory.mktemp("day")
    files = directory / "files"
    files.mkdir()
    for name in ("a.txt", "b.txt"):
        (files / name).write_text(name)
        os.utime(files / name, (1, 1))
    with collector() as taken:
        place = Place(directory, shared_server, taken)
        place.configure(more='[producer]\nscan_dir = "files"\n')
        place.run(CALLER, "looks", "threaded", "told", "sends", "fails", "snoozes")
        log = [json.loads(line) for line in place.serve().splitlines()]
        store = shared_server.store()
        told = (directory / "told").read_text()
        yield Day(taken, list(done(store)), list(dead(store)), told, log)
        store.lane.close()


def test_a_request_its_enqueue_and_its_run_are_one_trace(day: Day) -> None:
    one = day.spans.one
    request, enqueue, run = one("request"), one("enqueue threaded"), one("run threaded")
    inside = one("inside threaded")

    ancestors = [span.parent_id for span in (enqueue, run, inside)]
    assert ancestors == [span.span_id for span in (request, enqueue, run)]
    assert len({span.trace_id for span in (request, enqueue, run, inside)}) == 1
    assert [span.kind for span in (enqueue, run)] == ["PRODUCER", "CONSUMER"]
    assert {span.scope for span in (enqueue, run)} == {"trioq"}
    uid = run.attributes["messaging.message.id"]
    assert enqueue.attributes["messaging.message.id"] == uid
    assert run.attributes["trioq.outcome"] == "succeeded"
    assert run.attributes["messaging.destination.name"] == "low"
    assert run.attributes["trioq.attempt"] == 1
    assert run.error is None
    (summary,) = (summary for summary in day.done if summary.name == "threaded")
    assert summary.trace.startswith(run.traceparent)


def test_a_span_covers_what_it_is_about(day: Day) -> None:
    for run, inside in zip(
        day.spans.wait("run looks", 2), day.spans.wait("inside looks", 2), strict=True
    ):
        assert run.took_s >= 0.01 + inside.took_s, "it slept before that"


def test_the_claim_that_brought_a_job_is_a_span_that_its_run_links_to(day: Day) -> None:
    claims = {(span.trace_id, span.span_id): span for span in day.spans.spans("claim")}
    runs = [span for span in day.spans.spans() if span.name.startswith("run ")]
    for run in runs:
        ((claim),) = run.linked("claim")
        assert claims[claim].kind == "CLIENT"
    counted = sum(span.attributes["messaging.batch.message_count"] for span in claims.values())
    assert counted >= len(runs) > 8, "what is given back is claimed again"


def test_baggage_and_the_run_reach_handlers_threads_and_commands(day: Day) -> None:
    for name in ("looks", "threaded"):
        runs = {span.span_id for span in day.spans.spans(f"run {name}")}
        for inside in day.spans.wait(f"inside {name}"):
            assert inside.parent_id in runs
            assert inside.attributes["customer"] == "7"
    traceparent, customer = day.told.split()
    assert traceparent.startswith(day.spans.one("run told").traceparent)
    assert customer == "customer=7"


def test_a_job_enqueued_by_a_handler_is_in_the_handlers_trace(day: Day) -> None:
    sends = day.spans.one("run sends")
    (enqueue,) = (s for s in day.spans.spans("enqueue looks") if s.parent_id == sends.span_id)
    (run,) = (s for s in day.spans.spans("run looks") if s.parent_id == enqueue.span_id)
    assert run.trace_id == sends.trace_id


def test_attempts_are_linked_and_tell_their_error_and_outcome(day: Day) -> None:
    first, second = day.spans.wait("run fails", 2)
    assert first.linked("earlier attempt") == []
    assert second.linked("earlier attempt") == [(first.trace_id, first.span_id)]
    assert [run.attributes["trioq.outcome"] for run in (first, second)] == ["failed", "dead"]
    assert 0 < first.attributes["trioq.again_in_s"] <= 0.01
    assert second.attributes["trioq.dead_reason"] == "failures"
    for run in (first, second):
        assert run.error == "ValueError: no such thing"
        assert run.events["exception"]["exception.type"] == "ValueError"
        assert "traced_app.py" in run.events["exception"]["exception.stacktrace"]
    (job,) = day.dead
    for run, attempt in zip((first, second), job.attempts, strict=True):
        assert attempt.trace.startswith(run.traceparent)


MANY = """
import trioq, trio
from traced_app import looks, threaded

with trioq.connect_sync("jobqueue.toml") as client:
    client.enqueue_many([looks.call(), threaded.call()])

async def main():
    async with trioq.connect("jobqueue.toml") as client:
        await client.enqueue_many([looks.call()])

trio.run(main)
"""


def test_each_job_of_many_knows_the_enqueue_that_it_is_of(place: Place) -> None:
    place.configure().run(MANY)
    stored = place.server.call("HVALS", "{t}:jobs")
    traces = {decode("u", job).record.trace["traceparent"][3:-3] for job in stored}
    sent = place.collector.wait("enqueue", 2)
    assert traces == {f"{span.trace_id}-{span.span_id}" for span in sent}


def test_a_run_that_comes_to_nothing_tells_why(place: Place) -> None:
    place.configure()
    store = place.server.store()
    job = new_job(name="looks", payload=json.dumps({"text": "x" * 10_000}).encode())
    store.enqueue("sender", 1, [job])
    place.server.call("DEL", "{t}:big")
    place.serve()
    run = place.collector.one("run looks")
    assert run.attributes["trioq.outcome"] == "dead"
    assert run.attributes["trioq.dead_reason"] == "undecodable"
    assert run.error == "RecordUnreadable: its payload is gone"
    store.lane.close()


def test_log_lines_of_a_run_name_its_span(day: Day) -> None:
    lines = [line for line in day.log if line["event"] in ("job_failed", "job_died")]
    named = [(line["trace_id"], line["span_id"]) for line in lines]
    assert named == [(run.trace_id, run.span_id) for run in day.spans.wait("run fails", 2)]


def test_a_snooze_is_no_error(day: Day) -> None:
    runs = day.spans.wait("run snoozes", 2)
    assert [run.attributes["trioq.outcome"] for run in runs] == ["snoozed", "succeeded"]
    assert [run.error for run in runs] == [None, None]
    assert {run.attributes["trioq.attempt"] for run in runs} == {1}


def test_each_file_begins_a_trace(day: Day) -> None:
    enqueues = day.spans.wait("enqueue fingerprint", 2)
    runs = day.spans.wait("run fingerprint", 2)
    assert len({enqueue.trace_id for enqueue in enqueues}) == 2
    assert {run.parent_id for run in runs} == {enqueue.span_id for enqueue in enqueues}


def test_what_the_caller_decided_holds_for_the_run(place: Place) -> None:
    place.configure(ratio=0.0).run(CALLER, "looks")
    (stored,) = place.server.call("HVALS", "{t}:jobs")
    flags = int(decode("u", stored).record.trace["traceparent"].rpartition("-")[2], 16)
    assert not flags & SAMPLED
    place.configure(ratio=1.0).run(CALLER, "threaded")
    place.serve()

    assert place.collector.one("run threaded").attributes["trioq.outcome"] == "succeeded"
    assert not place.collector.spans("run looks")
    assert not place.collector.spans("enqueue looks")


def test_a_run_can_be_a_trace_of_its_own_with_a_link(place: Place) -> None:
    """And it is kept as its enqueue was: the ratio isn't asked again."""
    place.configure("link", ratio=1.0).run(CALLER, "looks")
    place.configure("link", ratio=0.0).serve()
    enqueue, run = place.collector.one("enqueue looks"), place.collector.one("run looks")
    assert run.trace_id != enqueue.trace_id
    assert run.parent_id == ""
    assert run.linked("enqueue") == [(enqueue.trace_id, enqueue.span_id)]
    inside = place.collector.one("inside looks")
    assert (inside.parent_id, inside.attributes["customer"]) == (run.span_id, "7")


@pytest.mark.parametrize("kept", [True, False])
def test_a_linked_trace_is_kept_if_what_it_links_to_was(kept: bool) -> None:
    there = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(SAMPLED if kept else 0))
    sampler = FollowLinks(ratio=0.0 if kept else 1.0)
    made = sampler.should_sample(None, 3, "run", links=[Link(there)])
    assert made.decision.is_sampled() is kept


def test_a_job_given_back_is_no_error(place: Place) -> None:
    place.configure().run(CALLER, "stays")
    engine = trioq_started("serve", "jobqueue.toml", cwd=place.directory, stderr=subprocess.PIPE)
    client = place.server.store()
    wait_until(lambda: stats(client).running)
    client.lane.close()
    engine.send_signal(signal.SIGTERM)
    engine.communicate(timeout=PATIENCE_S)

    run = place.collector.one("run stays")
    assert (run.attributes["trioq.outcome"], run.error) == ("released", None)


EMBEDDED = """
import sys
import trio
import trioq
from trioq.core import events
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from traced_app import app

provider = TracerProvider(resource=Resource.create({"service.name": "theirs"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(sys.argv[1] + "/v1/traces")))


class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        if "breaks" in sys.argv and span.name.startswith(("run", "enqueue", "claim")):
            raise RuntimeError("a fault of theirs")


provider.add_span_processor(Broken())
trace.set_tracer_provider(provider)


def report(event):
    span = trace.get_current_span().get_span_context().span_id
    print(type(event).__name__, format(span, "016x"), flush=True)
    if isinstance(event, events.JobParked):
        engine.drain()


engine = trioq.Engine(app, "jobqueue.toml", report=report)


async def main():
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        async with trioq.connect("jobqueue.toml") as client:
            await client.enqueue("looks")
            await client.enqueue("nobody knows it")


trio.run(main)
"""


def test_a_program_with_tracing_of_its_own_has_it_used(place: Place) -> None:
    """And what the engine reports of a job, it reports while the run's span is current."""
    printed = place.configure(endpoint="").run(EMBEDDED, place.collector.endpoint)

    run, enqueue = place.collector.one("run looks"), place.collector.one("enqueue looks")
    assert {run.service, enqueue.service} == {"theirs"}
    assert run.parent_id == enqueue.span_id
    current = dict(line.split() for line in printed.splitlines())
    assert current["JobStarted"] == current["JobSucceeded"] == run.span_id
    assert current["JobParked"] == "0" * 16


LATE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from trioq.core.config import Config
from trioq.observe.tracing import Tracing

tracing = Tracing.open(Config(namespace="t"))
for provider in (None, None, TracerProvider()):
    if provider is not None:
        trace.set_tracer_provider(provider)
    with tracing.sending("looks") as sending:
        print(*sending.headers)
"""


def test_a_provider_that_a_program_sets_after_its_first_enqueue_is_used(place: Place) -> None:
    assert place.configure(endpoint="").run(LATE).splitlines() == ["", "", "traceparent"]


NAMED = """
import os, sys
os.environ["OTEL_PYTHON_TRACER_PROVIDER"] = "sdk_tracer_provider"
from opentelemetry import trace
from trioq.core.config import Config
from trioq.observe.tracing import Tracing

tracing = Tracing.open(Config(namespace="t"))
with tracing.sending("looks") as sending:
    print(*sending.headers)
"""


def test_a_provider_that_the_environment_names_is_used(place: Place) -> None:
    assert place.configure(endpoint="").run(NAMED) == "traceparent\n"


def test_its_faults_cost_a_span_and_not_a_job(place: Place) -> None:
    program = "import logging\nlogging.disable()\n" + EMBEDDED
    printed = place.configure(endpoint="").run(program, place.collector.endpoint, "breaks")
    assert "JobSucceeded" in printed
    assert place.collector.one("inside looks")


def test_without_an_endpoint_nothing_of_it_is_even_imported(place: Place) -> None:
    program = """
        import sys
        import trio
        import trioq
        from trioq.core import events

        with trioq.connect_sync("jobqueue.toml") as client:
            client.enqueue("fingerprint", {"path": "jobqueue.toml"})


        async def main():
            def report(event):
                if isinstance(event, events.JobDied | events.JobSucceeded):
                    engine.drain()

            engine = trioq.Engine(trioq.App(), "jobqueue.toml", report=report)
            await engine.run()


        trio.run(main)
        # redis-py imports a part of the SDK, where it is installed, for metrics of its own.
        print([name for name in sys.modules if name in (
            "opentelemetry.sdk.trace", "opentelemetry.exporter", "trioq.observe.spans",
        )])
    """
    assert place.configure(endpoint="").run(program) == "[]\n"


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_a_collector_that_is_away_holds_nothing_up(place: Place, how: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if how == "is silent":
            listener.listen()
        place.configure(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}")
        engine = trioq_started(
            "serve", "jobqueue.toml", cwd=place.directory, stderr=subprocess.PIPE
        )
        client = place.server.store()
        wait_until(lambda: stats(client).engines)
        client.enqueue("caller", 1, [new_job("low", "threaded") for _ in range(5)])
        wait_until(lambda: stats(client).counters.get("done") == 5)
        client.lane.close()
        before = time.monotonic()
        engine.send_signal(signal.SIGTERM)
        _, log = engine.communicate(timeout=PATIENCE_S)
    # The exporter by itself would go on for 10 s, and the SDK wait for it for 30 s.
    assert time.monotonic() - before < 5
    assert engine.returncode == 0
    assert "takes no spans" in log or "didn't take the last spans" in log
