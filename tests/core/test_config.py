"""The configuration's values, and the rules between them."""

from __future__ import annotations

import copy
import json
import math
import pickle
import typing

import attrs
import pytest

from trioq.core.config import (
    Backoff,
    CommandConfig,
    Config,
    LimiterConfig,
    ObservabilityConfig,
    ProducerConfig,
    QueueConfig,
    ReaperConfig,
    RedisConfig,
    Secret,
    WorkerConfig,
    check,
    faults,
)
from trioq.core.config.keys import Section, entries
from trioq.core.config.kinds import Wrong
from trioq.core.config.numbers import CountOrAuto, Duration, Growth, Memory, Number, Size, Whole
from trioq.core.config.redis_url import split
from trioq.core.config.rules import dotted
from trioq.core.config.texts import Template, placeholders
from trioq.errors import ConfigError

MINUTE = 60.0


def fault_lines(config: Config) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check(config)
    return caught.value.faults


def only_path(config: Config) -> str:
    (fault,) = faults(config)
    return dotted(fault.path)


def producer_with(**queues: tuple[str, ...]) -> Config:
    return Config(producer=ProducerConfig(queues_by_extension=queues))


def test_a_config_made_of_nothing_but_defaults_is_valid() -> None:
    check(Config())
    assert Config().queue_names == ("high", "low")
    assert Config().redis.embedded == ".trioq"


def test_the_last_listed_queue_is_the_default_one() -> None:
    assert Config().default_queue == "low"
    assert Config(queues=(QueueConfig("a"), QueueConfig("b"))).default_queue == "b"
    assert (
        Config(queues=(QueueConfig("a"), QueueConfig("b")), default_queue="a").default_queue == "a"
    )


def test_where_no_queues_are_known_any_queue_may_be_the_default_one() -> None:
    check(Config(queues=(), default_queue="whatever"))
    assert Config(queues=()).default_queue == "low"


def test_relative_paths_are_seen_from_the_configurations_directory(tmp_path: typing.Any) -> None:
    config = Config(directory=tmp_path)
    assert config.resolve("data") == tmp_path / "data"
    assert str(config.resolve("/data")) == "/data"


def test_every_field_says_what_it_is_for_and_its_default_is_of_its_kind() -> None:
    def look(section: type) -> None:
        for entry in entries(section).values():
            assert entry.doc.endswith(".")
            if isinstance(entry.kind, Section):
                look(entry.kind.of)
            elif entry.default not in (None, attrs.NOTHING):
                assert list(entry.kind.problems(entry.default, entry.default)) == []
            elif entry.required:
                entry.kind.read(entry.example)

    look(Config)


def test_values_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Config().worker.count = 3  # type: ignore[misc]


# --- combinations ---------------------------------------------------------------------


def test_a_lease_holds_at_least_four_heartbeats() -> None:
    check(Config(worker=WorkerConfig(lease_s=4, heartbeat_interval_s=1)))
    (line,) = fault_lines(Config(worker=WorkerConfig(lease_s=3.9, heartbeat_interval_s=1)))
    assert line == ("worker.lease: expected at least 4 × worker.heartbeat_interval, 4s, got 3900ms")


def test_a_reaper_looks_at_least_three_times_in_a_lease() -> None:
    check(Config(worker=WorkerConfig(lease_s=6), reaper=ReaperConfig(interval_s=2)))
    late = Config(worker=WorkerConfig(lease_s=6), reaper=ReaperConfig(interval_s=2.01))
    (line,) = fault_lines(late)
    assert line == "reaper.interval: expected at most a third of worker.lease, 2s, got 2010ms"


def test_bounds_hold_although_floats_are_inexact() -> None:
    # 0.1 > 0.3 / 3, and 4 × 0.05 may come out above 0.2.
    worker = WorkerConfig(lease_s=0.3, heartbeat_interval_s=0.075)
    check(Config(worker=worker, reaper=ReaperConfig(interval_s=0.1)))


def test_a_backoff_begins_below_its_cap() -> None:
    check(Config(worker=WorkerConfig(backoff=Backoff(2.0, 2.0))))
    assert (
        only_path(Config(worker=WorkerConfig(backoff=Backoff(3.0, 2.0)))) == "worker.backoff.base"
    )


def test_a_queue_is_listed_once() -> None:
    queues = (QueueConfig("a"), QueueConfig("b"), QueueConfig("a"))
    assert fault_lines(Config(queues=queues)) == ('queues[2].name: "a" is already queues[0]',)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        (Config(default_queue="x"), "default_queue"),
        (Config(producer=ProducerConfig(default_queue="x")), "producer.default_queue"),
        (producer_with(x=(".pdf",)), "producer.queues_by_extension.x"),
        (
            Config(commands={"c": CommandConfig(argv=("true",), queue="x")}),
            "commands.c.queue",
        ),
    ],
)
def test_a_queue_that_is_referred_to_is_listed(config: Config, path: str) -> None:
    (line,) = fault_lines(config)
    assert line.startswith(path + ': expected one of the queues ("high", "low"), got ')


def test_an_extension_has_one_queue_in_whatever_case() -> None:
    check(producer_with(high=(".pdf",), low=(".txt",)))
    assert fault_lines(producer_with(high=(".pdf", ".zip"), low=(".PDF",))) == (
        'producer.queues_by_extension.low[0]: ".PDF" is already '
        "producer.queues_by_extension.high[0]; an extension has one queue",
    )


def test_a_command_cannot_have_the_name_of_a_built_in_handler() -> None:
    command = CommandConfig(argv=("true",))
    assert only_path(Config(commands={"fingerprint": command})) == "commands.fingerprint"
    assert only_path(Config(commands={"a b": command})) == 'commands."a b"'


def test_a_payload_cannot_choose_the_program() -> None:
    command = CommandConfig(argv=("{program}", "{path}"))
    assert only_path(Config(commands={"run": command})) == "commands.run.argv[0]"


def test_tls_files_are_for_rediss_only_and_a_certificate_has_a_key() -> None:
    def redis(url: str, **files: str) -> Config:
        return Config(redis=RedisConfig(url=url, **files))

    check(redis("rediss://h", tls_ca="ca"))
    check(redis("rediss://h", tls_ca="ca", tls_cert="c", tls_key="k"))
    assert only_path(redis("redis://h", tls_ca="ca")) == "redis.tls_ca"
    assert only_path(redis("rediss://h", tls_cert="c")) == "redis.tls_cert"
    assert only_path(redis("rediss://h", tls_key="k")) == "redis.tls_key"


def test_a_rate_is_none_or_one_that_a_server_can_count() -> None:
    check(Config(limiter=LimiterConfig(rate=0)))
    assert only_path(Config(limiter=LimiterConfig(rate=1e-300))) == "limiter.rate"


def test_values_are_judged_before_combinations() -> None:
    worker = WorkerConfig(count=0, lease_s="soon", timeout_s=math.nan)  # type: ignore[arg-type]
    paths = [line.partition(":")[0] for line in fault_lines(Config(worker=worker))]
    assert paths == ["worker.count", "worker.timeout", "worker.lease"]


def test_a_url_made_by_hand_holds_no_password() -> None:
    config = Config(redis=RedisConfig(url="redis://:canary@h"))
    (line,) = fault_lines(config)
    assert line.startswith("redis.url: ")
    assert "canary" not in line + repr(config)


# --- how values are written -----------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("1.5s", 1.5),
        ("0.1ms", 0.0001),
        (7, 7.0),
        (0.25, 0.25),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_text_with_a_unit_or_a_number_of_seconds(raw: object, seconds: float) -> None:
    value = Duration().read(raw)
    assert value == seconds
    assert isinstance(value, float)


@pytest.mark.parametrize(
    "raw",
    ["", "5", "-5s", "5 s", "5S", "5min", "s", "1e3s", "٣s", "4000d", "9" * 400 + "s"],
)
def test_text_that_is_not_a_duration_is_refused(raw: str) -> None:
    with pytest.raises(Wrong, match="expected a duration"):
        Duration().read(raw)


@pytest.mark.parametrize(
    "raw",
    [True, None, [], {}, -1, -0.1, math.nan, math.inf, -math.inf, pytest.param(10**400, id="huge")],
)
def test_what_is_not_a_duration_is_refused(raw: object) -> None:
    with pytest.raises(Wrong, match="expected a duration"):
        Duration().read(raw)


@pytest.mark.parametrize(
    ("raw", "count"), [("1MiB", 2**20), ("64kB", 64000), ("1.5KiB", 1536), (10, 10), ("3B", 3)]
)
def test_a_size_is_text_with_a_unit_or_a_number_of_bytes(raw: object, count: int) -> None:
    assert Size().read(raw) == count


@pytest.mark.parametrize("raw", ["1mb", "1 MiB", "-1kB", "0.5B", "1.3kiB", 1.0, True, -1, ""])
def test_what_is_not_a_size_is_refused(raw: object) -> None:
    with pytest.raises(Wrong, match="expected a size"):
        Size().read(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [(7, 7), ("1MiB", 2**20), ("+1kB", Growth(1000)), ("+0.5KiB", Growth(512))],
)
def test_memory_is_a_size_or_a_growth(raw: object, value: object) -> None:
    kind = Memory(at_least=1)
    assert kind.read(raw) == value
    assert kind.read(kind.write(value)) == value


def test_memory_in_a_variable_is_no_number_with_a_sign() -> None:
    kind = Memory(at_least=1)
    assert kind.read(kind.from_text("500")) == 500
    assert kind.read(kind.from_text("+500B")) == Growth(500)
    with pytest.raises(Wrong):
        kind.read(kind.from_text("+500"))


def test_a_count_may_be_left_to_the_machine() -> None:
    kind = CountOrAuto(at_least=1, at_most=9)
    for text, value in (("auto", "auto"), ("3", 3)):
        assert kind.read(kind.from_text(text)) == kind.write(value) == value
    for text in ("0", "10", "Auto", ""):
        with pytest.raises(Wrong):
            kind.read(kind.from_text(text))


def test_a_bool_is_not_a_number() -> None:
    for kind in (Whole(), Number(), Duration(), Size()):
        with pytest.raises(Wrong):
            kind.read(True)


def test_a_float_is_not_a_whole_number() -> None:
    with pytest.raises(Wrong, match="expected a whole number"):
        Whole().read(3.0)


def test_a_template_names_fields_and_nothing_else() -> None:
    assert placeholders("a{x}b{{c}}{y_1}") == ("x", "y_1")
    for good in ("", "plain", "{path}", "{{", "{path}.{ext}", "}}"):
        Template().read(good)
    for bad in (
        "{",
        "}",
        "{}",
        "{0}",
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>9}",
        "{a b}",
        "{a{b}}",
        "\0",
    ):
        with pytest.raises(Wrong):
            Template().read(bad)


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("127.0.0.1:8620", ("127.0.0.1", 8620)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("", None),
    ],
)
def test_an_address_is_host_and_port_or_nothing(bind: str, address: object) -> None:
    config = Config(observability=ObservabilityConfig(bind=bind))
    check(config)
    assert config.observability.address == address


@pytest.mark.parametrize("bind", ["9090", ":9090", "host", "host:", "h:65536", "::1:80", "a b:1"])
def test_what_is_not_an_address_is_refused(bind: str) -> None:
    assert only_path(Config(observability=ObservabilityConfig(bind=bind))) == "observability.bind"


# --- secrets and URLs -----------------------------------------------------------------


def test_a_secret_shows_itself_to_nobody_who_does_not_ask() -> None:
    secret = Secret("canary")
    config = Config(redis=RedisConfig(password=secret))
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", f"{secret:}", repr(config)]
    shown.append(str(attrs.asdict(config)))
    assert not any("canary" in text for text in shown)
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    assert secret.reveal() == "canary"


def test_secrets_compare_and_copy_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert copy.deepcopy(Secret("a")) == pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")


def test_the_environment_of_a_command_is_not_shown() -> None:
    command = CommandConfig(argv=("true",), env={"TOKEN": "canary"})
    assert "TOKEN" in repr(command)
    assert "canary" not in repr(command)


def test_a_url_is_taken_apart_and_percent_decoded() -> None:
    redis = RedisConfig.from_url("rediss://me:p%40s%2Fs+%25@example.com:6380/3", read_timeout_s=1.0)
    assert redis.url == "rediss://example.com:6380"
    assert redis.username == "me"
    assert redis.password == Secret("p@s/s+%")
    assert redis.db == 3
    assert redis.read_timeout_s == 1.0


@pytest.mark.parametrize(
    ("url", "kept", "username", "password", "db"),
    [
        ("redis://h", "redis://h", None, None, None),
        ("redis://h/", "redis://h", None, None, None),
        ("REDIS://h:1/0", "redis://h:1", None, None, 0),
        ("redis://:pw@h", "redis://h", None, "pw", None),
        ("redis://me@h", "redis://h", "me", None, None),
        ("redis://a:b:c@[::1]:7/2", "redis://[::1]:7", "a", "b:c", 2),
        ("redis://h?db=4", "redis://h", None, None, 4),
        ("unix:///run/r.sock", "unix:///run/r.sock", None, None, None),
        ("unix://u:p@/run/r.sock?db=1", "unix:///run/r.sock", "u", "p", 1),
        ("embedded:.trioq", "embedded:.trioq", None, None, None),
        ("embedded:/var/lib/a@b#c", "embedded:/var/lib/a@b#c", None, None, None),
    ],
)
def test_what_a_url_says(
    url: str, kept: str, username: str | None, password: str | None, db: int | None
) -> None:
    parts = split(url)
    assert (parts.url, parts.username, parts.password, parts.db) == (kept, username, password, db)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begins with"),
        ("localhost:6379", "begins with"),
        ("http://canary@h", "got http:"),
        ("redis+sentinel://h/s", "not supported yet"),
        ("redis+cluster://h", "not supported yet"),
        ("redis:h", "expected redis://"),
        ("redis://", "a host"),
        ("redis://:canary@", "a host"),
        ("redis://:canary", "port"),
        ("redis://h:0", "port"),
        ("redis://h:65536", "port"),
        ("redis://h:canary/0", "port"),
        ("redis://[::1", "host"),
        ("redis://h/canary", "database"),
        ("redis://h/-1", "database"),
        ("redis://h/1?db=1", "database"),
        ("redis://h?password=canary", r"\[redis\]"),
        ("redis://:ca#nary@h", "%23"),
        ("redis://:ca/nary@h", "%2F"),
        ("redis://:ca?nary@h", "%3F"),
        ("redis://:%ff@h", "UTF-8"),
        ("redis://h\n", "control"),
        ("redis://a b", "blanks"),
        ("unix://run/r.sock", "absolute"),
        ("unix:///", "absolute"),
        ("embedded:", "DIRECTORY"),
        ("embedded://x", "DIRECTORY"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_shown(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        split(url)
    assert "canary" not in str(caught.value)
    assert "nary@" not in str(caught.value)


def test_what_happens_in_a_full_queue_needs_a_length() -> None:
    queues = (QueueConfig("high", when_full="reject"), QueueConfig("low", max_length=1))
    with pytest.raises(ConfigError) as caught:
        check(Config(queues=queues))
    assert caught.value.faults == (
        "queues[0].when_full: needs a max_length: a queue without one is never full",
    )
