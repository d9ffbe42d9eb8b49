# ruff: noqa: RUF009  key() makes an attrs.field; nothing is shared between instances.
"""The sections of a configuration, with their defaults."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from trioq.core.calls import WhenFull
from trioq.core.config.keys import Section, about, key
from trioq.core.config.kinds import Flag, ListOf, TableOf, Text
from trioq.core.config.numbers import (
    YEAR_S,
    CountOrAuto,
    Duration,
    Frequency,
    Growth,
    Memory,
    Number,
    Size,
    Whole,
)
from trioq.core.config.redis import RedisConfig
from trioq.core.config.texts import (
    ADDRESS,
    ENDPOINT,
    ERROR,
    EXTENSION,
    FAIR_KEY,
    FIELD,
    GLOBS,
    HANDLER,
    NAME,
    OBJECTS,
    PATH,
    QUEUE,
    VARIABLE,
    Template,
)
from trioq.core.config.times import CronText, Json, Moment, Zone
from trioq.core.config.web import WebConfig
from trioq.core.fair import HEAVIEST, LIGHTEST
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Overlap

SOME_TIME = Duration(above=0)
EVERY = Duration(at_least=0.1)
"""Ticks that are closer are a loop, not a schedule."""
UNLIMITED = 10_000_000
SLOWEST = 0.0001
"""Jobs per second: less than ten a day is a schedule, not a rate."""

RATE = Frequency(at_least=SLOWEST, at_most=1_000_000)
"""Permits are counted in whole microseconds."""

BURST = Whole(at_least=1, at_most=100_000)
SLOTS = Whole(at_least=1, at_most=UNLIMITED)
PART = Number(above=0, at_most=1)
SAMPLES = Whole(at_least=1, at_most=UNLIMITED)


@attrs.frozen
class QueueConfig:
    """A queue. Queues are listed in order of priority."""

    name: str = attrs.field(metadata=about(NAME, "What jobs and listings call it.", "high"))
    weight: float | None = key(
        Number(above=0, at_most=UNLIMITED),
        "Its share of the claims. Where no queue has one, priority is strict; where some have, the "
        "others weigh 1.",
        None,
    )
    max_wait_s: float | None = key(
        SOME_TIME,
        "While its next job waits for longer, one of every four claims goes to this queue first; "
        "where queues have weights, for as many jobs as its weight gives it at a time, and they "
        "count as its share.",
        None,
    )
    rate: float | None = key(RATE, "Its jobs started per second, over all engines.", None)
    concurrency: int | None = key(SLOTS, "Its jobs running at a time, over all engines.", None)
    fair: str | None = key(
        FIELD, "Its jobs take turns by this field of their payloads; absent: first come.", None
    )
    fair_weights: Mapping[str, float] = key(
        TableOf(FAIR_KEY, Number(at_least=LIGHTEST, at_most=HEAVIEST)),
        "Fair key → how many turns it has where another has one, of jobs enqueued from now on.",
        attrs.Factory(dict),
    )
    max_length: int | None = key(
        Whole(at_least=1, at_most=10**9),
        "How many jobs may wait in it, ready, refused by a limit or scheduled.",
        None,
    )
    when_full: WhenFull | None = key(
        Text(choices=("reject", "wait", "drop_oldest")),
        "What happens to jobs for which there is no room: they are refused, or whoever enqueues "
        "them waits, or the oldest ones die for them with the reason `dropped`. "
        "Absent: `reject`.",
        None,
    )
    timeout_s: float | None = key(
        SOME_TIME, "How long a job of this queue may run; absent: `worker.timeout`.", None
    )


@attrs.frozen(kw_only=True)
class LimitConfig:
    """How often jobs may start, and how many may run at a time, over all engines."""

    name: str = ""
    """Its key in ``[limits]``."""
    jobs: tuple[str, ...] = key(ListOf(HANDLER), "Which handlers' jobs it is for.", ())
    queue: str | None = key(QUEUE, "Or all jobs of this queue.", None)
    rate: float | None = key(RATE, "Jobs started per second; absent: any.", None)
    burst: int = key(BURST, "Jobs that may start at once after a quiet time.", 1)
    concurrency: int | None = key(SLOTS, "Jobs running at a time; absent: any.", None)
    key: str | None = attrs.field(
        default=None,
        metadata=about(FIELD, "A field of the payload: each of its values has a limit of its own."),
    )


@attrs.frozen
class Backoff:
    """How long a failed job waits: base, doubled with each failure, up to cap."""

    base_s: float = key(Duration(), "The wait after the first failure.", 0.5)
    cap_s: float = key(Duration(), "The longest wait.", 10.0)
    jitter: float = key(
        Number(at_most=1), "The part of a wait that is random, so that retries spread.", 0.5
    )


@attrs.frozen(kw_only=True)
class WorkerConfig:
    """How jobs are run."""

    count: int = key(
        Whole(at_least=1, at_most=1000), "Handlers that run at a time in one engine.", 16
    )
    max_attempts: int = key(
        Whole(at_least=1, at_most=UNLIMITED), "Attempts until a job is dead: 1 run, 3 retries.", 4
    )
    backoff: Backoff = key(Section(Backoff), "How long a failed job waits.", Backoff())
    timeout_s: float = key(SOME_TIME, "How long a handler may run.", 300.0)
    grace_s: float = key(
        Duration(), "How long running handlers have when the engine is told to stop.", 10.0
    )
    cancel_grace_s: float = key(
        Duration(),
        "How long a handler has to end when its job is cancelled; and a command, or a handler's "
        "process, between SIGTERM and SIGKILL, for whatever reason it is to end.",
        5.0,
    )
    heartbeat_interval_s: float = key(SOME_TIME, "How often an engine says that it lives.", 1.0)
    lease_s: float = key(
        SOME_TIME,
        "An engine silent for this long has lost its jobs. At least 4 × `heartbeat_interval`.",
        5.0,
    )
    loop_stall_s: float = key(
        SOME_TIME, "A handler that blocks the loop for this long costs the engine its lease.", 30.0
    )
    max_reaps: int = key(
        Whole(at_least=1, at_most=UNLIMITED),
        "A job that has killed its engine this often is dead.",
        3,
    )
    unknown_name_after_s: float = key(
        Duration(), "A job whose name no engine knows waits this long, then it is dead.", 3600.0
    )
    id_retention_s: float = key(
        Duration(), "A caller's id is remembered for this long after its job has ended.", 86400.0
    )
    keep_done: int = key(
        Whole(at_most=UNLIMITED), "Summaries of finished jobs that are kept, at least.", 1000
    )
    max_result_bytes: int = key(
        Size(at_least=2, at_most=2**28),
        "What a handler returned isn't kept if it is larger; its job is done all the same.",
        64_000,
    )
    runners: int | None = key(
        Whole(at_least=1, at_most=1000),
        'Processes for handlers with `isolation="process"`; absent: as many as there are cores.',
        None,
    )
    runner_jobs: int | None = key(
        Whole(at_least=1, at_most=UNLIMITED),
        "Such a process is replaced after so many jobs; absent: never.",
        None,
    )
    runner_memory_bytes: int | None = key(
        Size(at_least=64 * 2**20, at_most=2**50),
        "Address space that such a process may have (RLIMIT_AS), and each that it starts; absent: "
        "any.",
        None,
    )


@attrs.frozen(kw_only=True)
class ServeConfig:
    """How many processes `trioq serve` keeps running, and when it replaces one by a fresh one."""

    processes: int | str = key(
        CountOrAuto(at_least=1, at_most=1000),
        "Engines, each a process with `worker.count` workers; `auto`: one for each core.",
        1,
    )
    max_jobs: int | None = key(
        Whole(at_least=1, at_most=10**12),
        "One that has run so many is replaced, a fifth sooner or later; absent: never for this.",
        None,
    )
    max_age_s: float | None = key(SOME_TIME, "One that is so old is replaced, likewise.", None)
    max_rss: int | Growth | None = key(
        Memory(at_least=1, at_most=2**50),
        "One with so much memory is replaced, likewise; `+500MB`: with so much more than at its "
        "start.",
        None,
    )


@attrs.frozen(kw_only=True)
class ProducerConfig:
    """Turns the files of a directory into jobs. Without this section nothing is scanned."""

    scan_dir: str = key(PATH, "The directory. It may come into being later.", "./data")
    include_globs: tuple[str, ...] = key(GLOBS, "Files that become jobs.", ("**/*",))
    exclude_globs: tuple[str, ...] = key(
        GLOBS, "Files that don't, also if included.", ("**/*.tmp", "**/.*")
    )
    job: str = key(NAME, "Which handler gets `{path, size, mtime}`.", "fingerprint")
    default_queue: str | None = key(
        QUEUE, "The queue of files with other extensions; absent: the top `default_queue`.", None
    )
    scan_interval_s: float = key(SOME_TIME, "How often the directory is read again.", 10.0)
    watch: bool = key(Flag(), "Go on after the first scan.", True)
    forget_after_s: float = key(
        Duration(),
        "A path whose file has been gone for so long is forgotten; 0: never.",
        30 * 86400.0,
    )
    ignore_ctime: bool = key(
        Flag(),
        "Another size or mtime alone makes a file new, not what happens to its mode or links.",
        False,
    )
    queues_by_extension: Mapping[str, tuple[str, ...]] = key(
        TableOf(QUEUE, ListOf(EXTENSION)),
        "Queue → extensions, in any case; the longest that fits decides.",
        attrs.Factory(dict),
    )


@attrs.frozen(kw_only=True)
class LimiterConfig:
    """What producers may enqueue, over all engines."""

    rate: float = key(Number(at_most=UNLIMITED), "Jobs per second; 0: no limit.", 100.0)
    burst: int = key(
        Whole(at_least=1, at_most=UNLIMITED), "Jobs that may come at once after a quiet time.", 20
    )


@attrs.frozen(kw_only=True)
class BreakerConfig:
    """When handlers of one name fail too often, they are left alone for a while."""

    failure_threshold: float = key(PART, "The breaker opens at this part of failures.", 0.5)
    window_s: float = key(SOME_TIME, "Failures are counted over this time.", 60.0)
    cooldown_s: float = key(SOME_TIME, "How long it stays open before one job is tried.", 30.0)
    min_samples: int = key(SAMPLES, "Fewer runs than this prove nothing.", 20)


@attrs.frozen(kw_only=True)
class NamedBreakerConfig:
    """Something that several handlers depend on: they share a breaker. What isn't given here is as
    the handlers say, and else as `[circuit_breaker]` does."""

    name: str = ""
    """Its key in ``[breakers]``."""
    jobs: tuple[str, ...] = key(
        ListOf(HANDLER),
        "Handlers that depend on it, commands too, besides those that say so themselves.",
        (),
    )
    on: tuple[str, ...] | None = key(
        ListOf(ERROR, at_least=1),
        "Only errors of these classes count, and timeouts; of commands, which have no classes, all "
        "do.",
        None,
    )
    failure_threshold: float | None = key(PART, "It opens at this part of failures.", None)
    window_s: float | None = key(SOME_TIME, "Failures are counted over this time.", None)
    cooldown_s: float | None = key(
        SOME_TIME, "How long it stays open before one job is tried.", None
    )
    min_samples: int | None = key(SAMPLES, "Fewer runs than this prove nothing.", None)
    shared: bool | None = key(
        Flag(), "All engines of the namespace have one breaker for it, and share its probes.", None
    )


@attrs.frozen(kw_only=True)
class ReaperConfig:
    """Takes the jobs of engines that have died."""

    interval_s: float = key(
        SOME_TIME, "How often the others are looked at. At most a third of `worker.lease`.", 1.0
    )


@attrs.frozen(kw_only=True)
class TracingConfig:
    """What becomes of jobs as traces of OpenTelemetry. A program's own set-up comes first."""

    endpoint: str = key(
        ENDPOINT,
        "An OTLP collector, over HTTP; without a path, `/v1/traces` is added. Empty: off.",
        "",
    )
    sample_ratio: float = key(
        Number(at_least=0, at_most=1),
        "The part of the traces begun here that is kept; one begun elsewhere has its own say.",
        1.0,
    )
    relation: Literal["child", "link"] = key(
        Text(choices=("child", "link")),
        "A run is a `child` of its enqueue, in one trace with it, or a trace of its own with a "
        "`link` to it.",
        "child",
    )


@attrs.frozen(kw_only=True)
class ObservabilityConfig:
    """What an engine tells about itself."""

    bind: str = key(
        ADDRESS,
        "Where `/metrics`, `/healthz` and `/readyz` are served; where another engine has the port: "
        "on one of the 20 after it. Port 0: any free one; empty: off.",
        "127.0.0.1:8620",
    )
    log_level: str = key(
        Text(choices=("debug", "info", "warning", "error")), "The least that is logged.", "info"
    )
    log_format: str = key(
        Text(choices=("auto", "console", "json")),
        "`auto`: console on a terminal, else JSON.",
        "auto",
    )
    queue_sample_interval_s: float = key(
        SOME_TIME, "How often the lengths of the queues are measured.", 2.0
    )
    tracing: TracingConfig = key(Section(TracingConfig), "Where traces go.", TracingConfig())

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of ``bind``, or None for off."""
        host, _, port = self.bind.rpartition(":")
        return (host.strip("[]"), int(port)) if self.bind else None


@attrs.frozen(kw_only=True)
class CommandConfig:
    """A handler without Python: a program, run without a shell."""

    name: str = ""
    """Its key in ``[commands]``; what jobs call it."""
    argv: tuple[str, ...] = attrs.field(
        metadata=about(
            ListOf(Template(), at_least=1),
            "The program and its arguments; `{field}` is a field of the payload.",
            ["convert", "{path}", "{path}.png"],
        )
    )
    timeout_s: float | None = key(
        SOME_TIME, "How long it may run; absent: its queue's, or `worker.timeout`.", None
    )
    queue: str | None = key(QUEUE, "Where its jobs go; absent: `default_queue`.", None)
    permanent_exit_codes: tuple[int, ...] = key(
        ListOf(Whole(at_least=1, at_most=255)), "Ends that another attempt wouldn't change.", ()
    )
    cwd: str | None = key(PATH, "Where it runs; absent: this file's directory.", None)
    env: Mapping[str, str] = key(
        # Such values are often keys to something, so nothing shows them.
        TableOf(VARIABLE, Text(pattern="(?s:.*)", secret=True)),
        "Variables that it gets besides the engine's own.",
        attrs.Factory(dict),
        repr=lambda env: repr(sorted(env)),
    )
    max_attempts: int | None = key(
        Whole(at_least=1, at_most=UNLIMITED), "Attempts; absent: `worker.max_attempts`.", None
    )


@attrs.frozen(kw_only=True)
class ScheduleConfig:
    """A rule that makes jobs: by `cron`, by `every`, or `at` one time."""

    name: str = ""
    """Its key in ``[schedules]``."""
    cron: str | None = key(
        CronText(), "Five fields (minute, hour, day, month, weekday), or six, seconds first.", None
    )
    every_s: float | None = key(EVERY, "A tick after each such time, counted from `anchor`.", None)
    at: datetime.datetime | None = key(Moment(), "One tick, at this time.", None)
    tz: str | None = key(Zone(), "Whose clocks `cron` goes by; absent: UTC.", None)
    anchor: datetime.datetime | None = key(
        Moment(), "Where `every` counts from; absent: 1970-01-01T00:00:00Z.", None
    )
    job: str = attrs.field(metadata=about(HANDLER, "Which handler runs.", "fingerprint"))
    queue: str | None = key(
        QUEUE, "Where its jobs go; absent: the handler's queue, or `default_queue`.", None
    )
    payload: Mapping[str, Any] = key(
        TableOf(Text(noun="a field", pattern="(?s:.*)"), Json()),
        "What the handler is given.",
        attrs.Factory(dict),
    )
    misfire: Misfire = key(
        Text(choices=("skip", "last", "all")),
        "Of ticks that no engine was there for: none runs, the last one does, or each of the last "
        "100.",
        "last",
    )
    misfire_grace_s: float = key(
        Duration(at_most=YEAR_S), "A tick that is made so late at most wasn't missed.", 60.0
    )
    overlap: Overlap = key(
        Text(choices=("allow", "skip", "queue_one", "replace")),
        "Where the run before hasn't ended: it runs beside that, not at all, after it (one at "
        "most), or it replaces that.",
        "skip",
    )
    jitter_s: float = key(
        Duration(at_most=86400), "Its jobs are due so much later at most, at random.", 0.0
    )

    @property
    def times(self) -> Mapping[str, Any]:
        """The keys of which one says when."""
        return {"cron": self.cron, "every": self.every_s, "at": self.at}


@attrs.frozen(kw_only=True)
class Config:
    """A whole configuration."""

    namespace: str = key(NAME, "Keeps several systems apart on one Redis.", "jobqueue")
    app: str | tuple[str, ...] | None = key(
        OBJECTS, "Where your own handlers are, if there are any: one app, or several.", None
    )
    queues: tuple[QueueConfig, ...] = key(
        Section(QueueConfig, "list"),
        "The queues, in order of priority.",
        (QueueConfig("high"), QueueConfig("low")),
    )
    """Empty where they aren't known, as for ``connect(url=…)``; then any name will do."""
    default_queue: str = attrs.field(
        metadata=about(QUEUE, "Where jobs go that don't say; absent: the last queue listed.")
    )
    max_payload_bytes: int = key(
        Size(at_least=2, at_most=2**28), "A larger payload is refused.", 2**20
    )
    redis: RedisConfig = key(Section(RedisConfig), "Where the jobs are kept.", RedisConfig())
    worker: WorkerConfig = key(Section(WorkerConfig), "How jobs are run.", WorkerConfig())
    serve: ServeConfig = key(
        Section(ServeConfig), "How many processes `trioq serve` keeps running.", ServeConfig()
    )
    producer: ProducerConfig | None = key(Section(ProducerConfig), "Turns files into jobs.", None)
    limiter: LimiterConfig = key(
        Section(LimiterConfig), "What producers may enqueue.", LimiterConfig()
    )
    circuit_breaker: BreakerConfig = key(
        Section(BreakerConfig), "When failing handlers are left alone.", BreakerConfig()
    )
    breakers: Mapping[str, NamedBreakerConfig] = key(
        Section(NamedBreakerConfig, "named"), "What handlers depend on.", attrs.Factory(dict)
    )
    reaper: ReaperConfig = key(Section(ReaperConfig), "Takes the jobs of the dead.", ReaperConfig())
    observability: ObservabilityConfig = key(
        Section(ObservabilityConfig), "What an engine tells.", ObservabilityConfig()
    )
    web: WebConfig = key(Section(WebConfig), "The page and its API.", WebConfig())
    limits: Mapping[str, LimitConfig] = key(
        Section(LimitConfig, "named"), "What jobs share over all engines.", attrs.Factory(dict)
    )
    commands: Mapping[str, CommandConfig] = key(
        Section(CommandConfig, "named"), "Handlers without Python.", attrs.Factory(dict)
    )
    schedules: Mapping[str, ScheduleConfig] = key(
        Section(ScheduleConfig, "named"), "What makes jobs by the clock.", attrs.Factory(dict)
    )
    path: pathlib.Path | None = attrs.field(default=None, eq=False)
    """The file it was read from."""
    source: str = attrs.field(default="", eq=False)
    """What faults call that file; empty: a program made this."""
    directory: pathlib.Path = pathlib.Path()
    """Relative paths are relative to it."""
    environment: Mapping[str, str] = attrs.field(factory=dict, eq=False)
    """Which variable each key came from that came from one: ``worker.count`` → its name."""
    notes: tuple[str, ...] = attrs.field(default=(), eq=False)
    """What was odd where it was read, but no fault."""

    @default_queue.default
    def _last_queue(self) -> str:
        return self.queues[-1].name if self.queues else "low"

    def resolve(self, path: str | pathlib.Path) -> pathlib.Path:
        """A path of this configuration, seen from the configuration's directory."""
        return self.directory / path

    @property
    def app_name(self) -> str:
        """What it is called by whoever tells of it; empty: there is none."""
        return self.app if isinstance(self.app, str) else ",".join(self.app or ())

    @property
    def queue_names(self) -> tuple[str, ...]:
        """The names of the queues, in order of priority; empty where they aren't known."""
        return tuple(queue.name for queue in self.queues)

    def queue(self, name: str) -> QueueConfig | None:
        """What is configured for a queue, or None if it isn't listed."""
        return next((queue for queue in self.queues if queue.name == name), None)
