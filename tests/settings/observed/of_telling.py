"""What an engine tells: pages, lines, samples, traces; and where its handlers are."""

from __future__ import annotations

import json
import socket
import urllib.request

from tests.observe.collector import collector
from tests.settings.observed.of_jobs import noop
from tests.settings.observed.place import Place, in_thread, row
from tests.support import trioq

#: In the last field of a traceparent.
SAMPLED = 1

HANDLERS = """
import trioq
app = trioq.App()

@app.job("mine")
def mine():
    open("mine.ran", "w").close()

@app.job("sees")
def sees(job: trioq.Job):
    open("trace", "w").write(job.trace.get("traceparent", ""))
"""


async def drained(place: Place, *names: str) -> str:
    """Queue these with the command line, run ``trioq serve --drain``; what it says on stderr."""

    def run() -> str:
        for name in names:
            queued = trioq("enqueue", place.path, name, cwd=place.directory)
            assert queued.returncode == 0, queued.stderr
        ended = trioq("serve", place.path, "--drain", cwd=place.directory)
        assert ended.returncode == 0, ended.stderr
        return ended.stderr

    return await in_thread(run)


def handlers(place: Place) -> str:
    (place.directory / "handlers_of_a_key.py").write_text(HANDLERS)
    return "handlers_of_a_key:app"


@row("app", "handlers_of_a_key:app")
async def app(place: Place) -> None:
    handlers(place)
    place.configure()
    await drained(place, "mine")
    assert (place.directory / "mine.ran").exists()


def a_free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@row("observability.bind", "127.0.0.1:…")
async def bind(place: Place) -> None:
    place.value = f"127.0.0.1:{a_free_port()}"
    place.configure()
    async with place.running() as engine:
        assert engine.http == place.value

        def page() -> bytes:
            with urllib.request.urlopen(f"http://{place.value}/metrics", timeout=5) as answer:
                text: bytes = answer.read()
                return text

        assert b"trioq_workers 16.0" in await in_thread(page)


@row("observability.log_level", "error")
async def log_level(place: Place) -> None:
    place.configure(commands__fails__argv=["false"], worker__max_attempts=1)
    lines = (await drained(place, "fails")).splitlines()
    assert {json.loads(line)["level"] for line in lines} == {"error"}


@row("observability.log_format", "console")
async def log_format(place: Place) -> None:
    place.configure()
    lines = (await drained(place)).splitlines()
    assert lines
    assert not any(line.startswith("{") for line in lines)


@row("observability.queue_sample_interval", "50ms")
async def queue_sample_interval(place: Place) -> None:
    place.configure()
    async with place.running():
        before = place.calls("time")  # asked by each look, and by each count
        # In this time the default looks twice.
        await place.until(lambda: place.calls("time") - before >= 10, 4.0)


@row("observability.tracing.endpoint", "http://…")
async def endpoint(place: Place) -> None:
    noop(place)
    with collector() as taken:
        place.value = taken.endpoint
        place.configure(commands__told__argv=["true"])
        await drained(place, "told")
        sent, ran = taken.one("enqueue told"), taken.one("run told")
    assert ran.trace_id == sent.trace_id


@row("observability.tracing.sample_ratio", 0.0)
async def sample_ratio(place: Place) -> None:
    with collector() as taken:
        place.configure(observability__tracing__endpoint=taken.endpoint, app=handlers(place))
        await drained(place, "sees")
        assert taken.spans() == []
    flags = int((place.directory / "trace").read_text().rpartition("-")[2], 16)
    assert not flags & SAMPLED, "traced, and not kept"


@row("observability.tracing.relation", "link")
async def relation(place: Place) -> None:
    with collector() as taken:
        place.configure(
            observability__tracing__endpoint=taken.endpoint, commands__told__argv=["true"]
        )
        await drained(place, "told")
        sent, ran = taken.one("enqueue told"), taken.one("run told")
    assert ran.trace_id != sent.trace_id
    assert (sent.trace_id, sent.span_id) in [(link.trace_id, link.span_id) for link in ran.links]
