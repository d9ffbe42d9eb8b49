"""Log lines: the same fields everywhere, handlers' lines too, and nothing that is secret."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import trioq
from tests.observe.scraped import configured
from tests.support import Server
from tests.support import trioq as run_trioq
from trioq.core.events import (
    EngineReaped,
    EngineStarted,
    EngineStopping,
    EnqueueRefused,
    JobFailed,
    JobParked,
    JobReleased,
    JobStarted,
    KeyPaused,
    KeyResumed,
    RedisAway,
    ScanFinished,
    ScheduleTicked,
    TickRefused,
)
from trioq.core.outcome import Error
from trioq.lines import flush
from trioq.observe.fields import JobFields, add_job_fields
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines

APP = """
import contextvars
import logging
import threading

import structlog
import trio

import trioq

{configuration}

app = trioq.App()
plain = logging.getLogger("my.app")
bound = structlog.get_logger()


@app.job("tell")
async def tell(job: trioq.Job, secret: str):
    plain.warning("plain, %s", job.uid)
    bound.warning("bound", number=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(below)
    try:
        raise ValueError("told")
    except ValueError:
        plain.exception("excused")


async def below():
    plain.warning("task")
    await trio.to_thread.run_sync(lambda: plain.warning("thread of a task"))


@app.job("threaded", queue="high")
def threaded(secret: str):
    plain.warning("thread", extra={"shelf": 7})
    bound.warning("bound thread")
    raise trioq.GiveUp("it had to be")


plain.warning("imported")
"""


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def one(lines: list[dict[str, Any]], event: str) -> dict[str, Any]:
    (line,) = [line for line in lines if line["event"].startswith(event)]
    return line


def serve(
    server: Server,
    directory: Path,
    *,
    configuration: str = "",
    level: str = "debug",
    log_format: str = "json",
) -> tuple[str, str]:
    """Run both handlers with ``trioq serve --drain``; what it wrote to stderr and stdout."""
    server.call("FLUSHALL")
    more = f'log_level = "{level}"\nlog_format = "{log_format}"'
    configured(server, directory, bind="", more=more)
    path = directory / "jobqueue.toml"
    path.write_text('app = "logs_app:app"\n' + path.read_text())
    app = APP.replace("{configuration}", textwrap.dedent(configuration))
    (directory / "logs_app.py").write_text(app)
    with trioq.connect_sync(path) as client:
        client.enqueue("tell", {"secret": "CANARY"}, id="the-id")
        client.enqueue("threaded", {"secret": "CANARY"}, queue="high")
    ended = run_trioq("serve", path, "--drain", cwd=directory)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr, ended.stdout


@pytest.fixture(scope="module")
def written(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What one run writes, at the lowest level, as JSON."""
    return serve(shared_server, tmp_path_factory.mktemp("logs"))


def test_a_handlers_lines_carry_its_jobs_fields_whichever_way_they_come(
    written: tuple[str, str],
) -> None:
    stderr, stdout = written
    lines = lines_of(stderr)
    assert len(lines) == len(stderr.splitlines()), "nothing else is written"
    assert stdout == ""

    succeeded, died = one(lines, "job_succeeded"), one(lines, "job_died")
    engine = one(lines, "engine_started")["engine_id"]
    plain = f"plain, {succeeded['job_id']}"
    for event in (plain, "bound", "task", "thread of a task", "excused"):
        line = next(line for line in lines if line["event"] == event)
        assert line["job_id"] == succeeded["job_id"], event
        assert (line["job"], line["queue"], line["attempt"]) == ("tell", "low", 1)
        assert (line["engine_id"], line["worker"]) == (engine, succeeded["worker"])
    for event in ("thread", "bound thread"):
        line = next(line for line in lines if line["event"] == event)
        assert line["job_id"] == died["job_id"], event
        assert (line["job"], line["queue"], line["worker"]) == ("threaded", "high", died["worker"])
    assert one(lines, "bound thread")["level"] == "warning"
    assert next(line for line in lines if line["event"] == "bound")["number"] == 3
    assert next(line for line in lines if line["event"] == "thread")["shelf"] == 7
    assert "ValueError: told" in one(lines, "excused")["exception"]
    assert one(lines, "imported").keys() == {"ts", "level", "event", "logger", "namespace"}


def test_every_line_has_the_same_names_for_the_same_things(written: tuple[str, str]) -> None:
    lines = lines_of(written[0])
    for line in lines:
        assert list(line)[:3] == ["ts", "level", "event"]
        assert line["namespace"] == "t"
        assert line["level"] in ("debug", "info", "warning", "error")
        assert line["ts"].endswith("Z")
        assert not {"uid", "name", "engine", "timestamp", "message"} & set(line), line
    started = one([line for line in lines if line.get("job") == "tell"], "job_started")
    assert {"job_id", "job", "queue", "attempt", "engine_id", "worker"} <= set(started)
    assert 0 <= started["worker"] < 4


def test_no_line_holds_a_payload_at_any_level(written: tuple[str, str]) -> None:
    stderr, stdout = written
    assert "CANARY" not in stderr + stdout
    assert '"event": "job_started"' in stderr, "it was the lowest level"


def test_no_traceback_for_a_terminal_shows_the_values_of_variables(
    server: Server, tmp_path: Path
) -> None:
    stderr, _ = serve(server, tmp_path, log_format="console")
    assert "ValueError: told" in stderr
    assert "CANARY" not in stderr


def test_a_password_is_in_no_line(own_server: Server, tmp_path: Path) -> None:
    own_server.call("ACL", "SETUSER", "worker", "on", ">CANARY", "~*", "+@all", "-eval")
    configured(own_server, tmp_path, bind="", more='log_level = "debug"\nlog_format = "json"')
    ended = run_trioq(
        "serve", tmp_path / "jobqueue.toml", "--drain",
        env={"TRIOQ_REDIS__USERNAME": "worker", "TRIOQ_REDIS__PASSWORD": "CANARY"},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "+eval" in ended.stderr
    assert "CANARY" not in ended.stderr + ended.stdout


def test_the_level_holds_for_handlers_too(server: Server, tmp_path: Path) -> None:
    lines = lines_of(serve(server, tmp_path, level="error")[0])
    events = [line["event"] for line in lines]
    assert sorted(events) == ["excused", "job_died"]


def test_a_configuration_that_the_app_brings_is_left_alone(server: Server, tmp_path: Path) -> None:
    stderr, stdout = serve(
        server,
        tmp_path,
        configuration="""
        import sys
        import logging.config
        from trioq.observe.fields import add_job_fields
        structlog.configure(
            processors=[add_job_fields, structlog.processors.KeyValueRenderer(key_order=["job"])],
            logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        )
        logging.config.dictConfig({
            "version": 1, "disable_existing_loggers": False,
            "filters": {"job": {"()": "trioq.observe.fields.JobFields"}},
            "formatters": {"mine": {"format": "MINE %(job)s %(attempt)s %(message)s"}},
            "handlers": {"mine": {
                "class": "logging.StreamHandler", "stream": "ext://sys.stdout",
                "formatter": "mine", "filters": ["job"],
            }},
            "root": {"handlers": ["mine"], "level": "INFO"},
        })
        """,
    )
    assert "MINE tell 1 plain" in stdout
    assert "MINE threaded 1 thread\n" in stdout
    assert "job='threaded'" in stdout
    assert "event='bound thread'" in stdout
    assert one(lines_of(stderr), "job_succeeded")
    assert "plain" not in stderr


def test_a_log_that_cannot_be_written_costs_no_job(server: Server, tmp_path: Path) -> None:
    configured(server, tmp_path, bind="", more='log_level = "debug"')
    path = tmp_path / "jobqueue.toml"
    with trioq.connect_sync(path) as client:
        client.enqueue("fingerprint", {"path": str(path)})
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "trioq", "serve", path, "--drain"],
            stderr=full, check=False, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 0
    assert server.call("HGET", "{t}:stats", "done") == b"1"


# -- as a library --------------------------------------------------------------------------------

EMBEDDED = """
import logging, sys
import structlog, trio, trioq

app = trioq.App()
plain = logging.getLogger("my.app")

@app.job("tell")
async def tell(job: trioq.Job):
    plain.warning("plain")
    structlog.get_logger().warning("bound")

async def main():
    async with trioq.connect("jobqueue.toml") as client, trio.open_nursery() as nursery:
        engine = await nursery.start(trioq.Engine(app, "jobqueue.toml").run)
        await client.enqueue(tell.call())
        while engine.metrics.registry.get_sample_value("trioq_namespace_jobs_done_total") != 1:
            await trio.sleep(0.01)
        engine.drain()

trio.run(main)
assert logging.getLogger().handlers == []
assert logging.getLogger().level == logging.WARNING
assert not structlog.is_configured()
"""


def test_a_program_that_embeds_an_engine_keeps_its_own_logging(
    server: Server, tmp_path: Path
) -> None:
    configured(server, tmp_path, bind="", more='log_format = "json"')
    ended = subprocess.run(
        [sys.executable, "-c", EMBEDDED],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "TRIOQ_PORT": "tcp://10.0.0.1:80"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert one(lines_of(ended.stderr), "engine_started")["namespace"] == "t"
    assert one(lines_of(ended.stderr), "configuration")["advice"].startswith("TRIOQ_PORT: ignored")
    assert "plain" in ended.stderr.splitlines(), "as the standard library does by itself"
    assert "bound" in ended.stdout


# -- events --------------------------------------------------------------------------------------


@attrs.define
class Log:
    """A listener's lines, and its clock."""

    now: float = 0.0
    stream: io.StringIO = attrs.field(factory=io.StringIO)
    tell: LogLines = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tell = LogLines(logger("debug", "json", self.stream), lambda: self.now)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return lines_of(self.stream.getvalue())

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


def parked(n: int, name: str = "thumbnail") -> JobParked:
    return JobParked(f"u{n}", name, "low", "unknown name")


def test_a_storm_is_told_once_and_then_counted() -> None:
    log = Log()
    for n in range(1000):
        log.tell(parked(n))
    log.tell(parked(0, "other"))
    assert [line["job"] for line in log.of("job_parked")] == ["thumbnail", "other"]
    log.now = 31.0
    log.tell(JobReleased("u", "n", "low", 1))
    more = log.of("job_parked")[2:]
    assert [(line["job"], line["more"], line["for_s"]) for line in more] == [
        ("thumbnail", 999, 31.0)
    ]
    log.tell(parked(1001))
    assert log.of("job_parked")[3]["job_id"] == "u1001", "the next storm begins"


def test_the_count_of_a_storm_is_told_before_the_end() -> None:
    log = Log()
    for _ in range(5):
        log.tell(EnqueueRefused("queue 'low' is full"))
    assert len(log.of("enqueue_refused")) == 1
    log.tell(EngineStopping("e", 0, 1.0))
    assert [line.get("more") for line in log.of("enqueue_refused")] == [None, 4]


def test_of_keys_that_were_paused_before_one_of_each_limit_is_told_and_later_ones_all() -> None:
    log = Log()
    for take in ("each:1", "each:2", "each:3", "other:1"):
        log.tell(KeyPaused(take, at_first_look=True))
    for take in ("each:4", "each:5", "each:4"):
        log.tell(KeyPaused(take, at_first_look=False))
    told = ["each:1", "other:1", "each:4", "each:5", "each:4"]
    assert [line["take"] for line in log.of("key_paused")] == told
    log.now = 31.0
    log.tell(KeyResumed("each:1"))
    assert [(line["take"], line["more"]) for line in log.of("key_paused")[5:]] == [("each:3", 2)]


def test_nothing_else_is_left_out() -> None:
    log = Log()
    for n in range(500):
        log.tell(JobFailed(f"u{n}", "n", "low", 1, 0.1, Error("ValueError", "no", "SECRET"), 1.0))
    failed = log.of("job_failed")
    assert [line["job_id"] for line in failed] == [f"u{n}" for n in range(500)]
    assert failed[0]["error"] == "ValueError: no", "without the traceback, which the job keeps"


def test_looking_without_finding_is_no_news() -> None:
    log = Log()
    log.tell(ScanFinished(found=9, enqueued=0, skipped=0, took_s=0.1))
    log.tell(ScanFinished(found=9, enqueued=1, skipped=0, took_s=0.1))
    assert [line["level"] for line in log.lines] == ["debug", "info"]


def test_a_tick_that_fires_is_no_news_and_one_that_was_missed_is() -> None:
    log = Log()
    log.tell(ScheduleTicked("nightly", (("fired", 2),), "u1"))
    log.tell(ScheduleTicked("nightly", (("overlap", 2),)))
    log.tell(
        ScheduleTicked("nightly", (("missed", 90_000), ("missed", 60_000), ("fired", 1500)), "u2")
    )
    log.tell(TickRefused("nightly", "queue 'low' is full"))
    assert [line["level"] for line in log.lines] == ["debug", "info", "warning", "warning"]
    missed, refused = log.lines[2:]
    assert (missed["outcomes"], missed["late_s"]) == ("missed 2, fired 1", 90)
    assert missed["job_id"] == "u2"
    assert "job_id" not in log.lines[1]
    assert (refused["schedule"], refused["why"]) == ("nightly", "queue 'low' is full")


def test_what_is_told_names_the_engine_that_tells_it() -> None:
    log = Log()
    log.tell(EngineStarted("me", 4, ("low",), ()))
    log.tell(RedisAway("step", "no answer", 1.0, 2))
    log.tell(EngineReaped("them", 3, ()))
    assert {line["engine_id"] for line in log.lines} == {"me"}
    assert log.of("engine_reaped")[0]["reaped_engine_id"] == "them"


def test_a_muted_level_costs_no_listening() -> None:
    quiet = LogLines(logger("info", "json", io.StringIO()))
    assert quiet.listener_for(JobStarted) is None
    assert quiet.listener_for(JobFailed) is quiet


# -- fields --------------------------------------------------------------------------------------


@pytest.fixture
def record() -> logging.LogRecord:
    return logging.LogRecord("n", logging.INFO, "p", 1, "message", (), None)


def test_outside_of_a_job_there_are_no_fields(record: logging.LogRecord) -> None:
    assert add_job_fields(None, "info", {"event": "x"}) == {"event": "x"}
    assert JobFields().filter(record)
    assert f"{record.__dict__['job_id']}|{record.__dict__['attempt']}" == "|"


def test_a_line_in_a_span_says_which() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("mine") as span:
        line = add_job_fields(None, "info", {"event": "x"})
    context = span.get_span_context()
    assert line["trace_id"] == trace.format_trace_id(context.trace_id)
    assert line["span_id"] == trace.format_span_id(context.span_id)


def test_what_a_line_says_itself_is_left() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("mine"):
        assert add_job_fields(None, "info", {"event": "x", "trace_id": "own"})["trace_id"] == "own"


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        log = logger("info", "json", stream)
        threads = [
            threading.Thread(target=lambda n=n: [log.info("x" * 3000, n=n) for _ in range(100)])
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        flush()
    written = lines_of((tmp_path / "log").read_text())
    assert len(written) == 600
    assert {line["n"] for line in written} == set(range(6))


def test_a_terminal_gets_text() -> None:
    stream, was_configured = io.StringIO(), structlog.is_configured()
    log = logger("info", "console", stream, namespace="t")
    LogLines(log)(EngineReaped("them", 3, ()))
    text = stream.getvalue()
    assert "engine_reaped" in text
    assert "reaped_engine_id=them" in text
    assert "namespace" in text
    assert structlog.is_configured() is was_configured, "the program's own logging is its own"
