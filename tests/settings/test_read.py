"""A configuration's file: what arrives, and every fault of it at once."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from tests.settings.reading import fault_lines, only_line, read
from trioq.core.config import Config, ProducerConfig, QueueConfig, Secret, check
from trioq.errors import ConfigError
from trioq.settings import from_url, load

# -- the file ----------------------------------------------------------------------------------


def test_an_empty_file_is_the_defaults() -> None:
    assert read() == Config(directory=pathlib.Path("/srv"))


def test_every_value_arrives_under_its_name() -> None:
    config = read(
        """
        namespace = "mine"
        app = "my.jobs:app"
        max_payload = "64kB"
        [redis]
        url = "rediss://cache.example"
        tls_ca = "ca.pem"
        [[queues]]
        name = "fast"
        weight = 3
        timeout = "10s"
        [[queues]]
        name = "slow"
        max_length = 5
        [worker]
        count = 4
        backoff = { cap = "1m" }
        [producer]
        scan_dir = "in"
        queues_by_extension = { fast = [".pdf"] }
        [commands.convert]
        argv = ["convert", "{path}"]
        permanent_exit_codes = [2, 3]
        env = { LANG = "C" }
        """
    )
    assert (config.namespace, config.app, config.max_payload_bytes) == (
        "mine",
        "my.jobs:app",
        64000,
    )
    assert config.redis.url == "rediss://cache.example"
    assert config.queues == (
        QueueConfig("fast", weight=3.0, timeout_s=10.0),
        QueueConfig("slow", max_length=5),
    )
    assert config.default_queue == "slow"
    assert (config.worker.count, config.worker.backoff.base_s, config.worker.backoff.cap_s) == (
        4,
        0.5,
        60.0,
    )
    assert config.producer == ProducerConfig(scan_dir="in", queues_by_extension={"fast": (".pdf",)})
    command = config.commands["convert"]
    assert (command.name, command.argv) == ("convert", ("convert", "{path}"))
    assert (command.permanent_exit_codes, command.env) == ((2, 3), {"LANG": "C"})


def test_without_its_section_there_is_no_producer() -> None:
    assert read().producer is None
    assert read("[producer]").producer == ProducerConfig()


def test_configured_queues_replace_the_default_ones() -> None:
    assert read('[[queues]]\nname = "only"').queue_names == ("only",)


def test_names_keep_their_case() -> None:
    # The predecessor lower-cased the names of queues but not the references to them.
    config = read('default_queue = "High"\n[[queues]]\nname = "High"')
    assert config.default_queue == "High"


def test_a_text_that_may_be_absent_is_unset_by_an_empty_one() -> None:
    config = read('app = ""\n[redis]\nusername = ""\npassword = ""')
    assert (config.app, config.redis.username, config.redis.password) == (None, None, None)


@pytest.mark.parametrize(
    "text", ['limits.a = {rate = 1, jobs = ["x"], key = ""}', 'queues = [{name = "a", fair = ""}]']
)
def test_what_is_meant_for_each_value_is_not_made_one_for_all_by_an_empty_text(text: str) -> None:
    assert "expected a field of the payload, such as" in only_line(text)


def test_nor_by_an_empty_variable() -> None:
    text, empty = "limits.a = {rate = 1, jobs = ['x'], key = 't'}", {"TRIOQ_LIMITS__A__KEY": ""}
    assert only_line(text, empty).startswith("TRIOQ_LIMITS__A__KEY: limits.a.key: expected a field")


def test_load_remembers_the_file_and_its_directory(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text('[redis]\nurl = "embedded:data"')
    config = load(file, environ={})
    assert (config.path, config.directory) == (file, tmp_path)
    assert config.resolve(config.redis.embedded or "") == tmp_path / "data"


def test_a_relative_configuration_survives_a_change_of_directory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "q.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    config = load("q.toml", environ={})
    monkeypatch.chdir("/")
    assert config.resolve("data") == tmp_path / "data"


def test_a_byte_order_mark_is_not_a_fault(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "q.toml"
    file.write_bytes(b'\xef\xbb\xbfnamespace = "x"')
    assert load(file, environ={}).namespace == "x"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "q.toml: no such file"),
        (b"namespace = \n", "q.toml: not TOML: line 1, column 13: Invalid value"),
        (b'a = "x"\nb = "\xff"', "q.toml: not UTF-8 in line 2"),
        (b"a = " + b"[" * 100_000, "q.toml: not TOML: "),
        (b"a = " + b"9" * 5000, "q.toml: not TOML: "),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        pathlib.Path("q.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load("q.toml", environ={})
    (found,) = caught.value.faults
    assert found.startswith(line)
    assert len(found) < 200


def test_where_a_file_was_looked_for_is_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^q.toml: no such file in {tmp_path}$"):
        load("q.toml", environ={})
    with pytest.raises(ConfigError, match=f"^{tmp_path}/q.toml: no such file$"):
        load(tmp_path / "q.toml", environ={})


def test_a_directory_is_not_a_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path, environ={})
    with pytest.raises(ConfigError, match="can't be read"):
        load("nul\0", environ={})


# -- faults ------------------------------------------------------------------------------------


def test_all_faults_come_at_once_each_with_its_path() -> None:
    lines = fault_lines(
        """
        namespce = "x"
        default_queue = "nowhere"
        [redis]
        url = "ftp://h"
        [[queues]]
        name = "a"
        weight = "heavy"
        [[queues]]
        name = "a"
        [worker]
        count = 'four'
        timeout = true
        backoff = { base = "1m" }
        [circuit_breaker]
        failure_threshold = 1.5
        [breakers.a]
        jobs = ["x", ""]
        window = "soon"
        [breakers.b]
        jobs = ["y", "x", "y"]
        [commands.x]
        argv = ["a", "{", 3]
        [reaper]
        interval = "1h"
        """
    )
    assert {line.split(": ")[1] for line in lines} == {
        "namespce",
        "default_queue",
        "redis.url",
        "queues[0].weight",
        "queues[1].name",
        "worker.count",
        "worker.timeout",
        "worker.backoff.base",
        "circuit_breaker.failure_threshold",
        "breakers.a.jobs[1]",
        "breakers.a.window",
        "breakers.b.jobs[2]",
        "commands.x.argv[1]",
        "commands.x.argv[2]",
        "reaper.interval",
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "worker.count = 'four'",
            "worker.count: expected a whole number from 1 to 1000, got 'four'",
        ),
        ("worker.count = true", "worker.count: expected a whole number from 1 to 1000, got true"),
        ("worker.cuont = 4", 'worker.cuont: unknown key; did you mean "count"?'),
        ("worker.Count = 4", 'worker.Count: unknown key; did you mean "count"?'),
        ("reaper.zzz = 4", "reaper.zzz: unknown key; known here: interval"),
        ("worker = 4", "worker: expected a table, got a number"),
        ("queues = []", "queues: expected a list of at least one table, got an empty list"),
        ("queues = 'a'", "queues: expected a list of at least one table, got text"),
        ("queues = ['a']", "queues[0]: expected a table, got text"),
        ("[queues]\nname = 'a'", "queues: expected a list of at least one table, got a table"),
        ("commands = 3", "commands: expected a table, got a number"),
        ("commands.x = 3", "commands.x: expected a table, got a number"),
        ("commands.x.name = 'y'\ncommands.x.argv = ['a']", "commands.x.name: unknown key; "),
        ("commands.x = {}", "commands.x.argv: missing; expected a list of at least 1"),
        ("commands.x.argv = []", "commands.x.argv: expected a list of at least 1"),
        ("commands.x.argv = 'ls'", "commands.x.argv: expected a list of at least 1"),
        ("commands.x.argv = ['a', '{b']", "commands.x.argv[1]: expected text with placeholders"),
        ("queues = [{}]", "queues[0].name: missing; expected a name"),
        ("queues = [{name = 'a b'}]", "queues[0].name: expected a name"),
        ("path = 'x'", "path: unknown key"),
        ("directory = 'x'", "directory: unknown key"),
        ("producer.queues_by_extension = {high = ['pdf']}", "producer.queues_by_extension.high[0]"),
        ("observability.log_level = 'INFO'", "observability.log_level: expected one of debug, "),
        ("redis.db = -1", "redis.db: expected a whole number from 0"),
        ("redis.url = 'redis+sentinel://h'", "redis.url: redis+sentinel:// is not supported yet"),
        ("limiter.rate = 1979-05-27", "limiter.rate: expected a number from 0 to 10000000, got a"),
        ("limiter.rate = inf", "limiter.rate: expected a number from 0 to 10000000, got inf"),
        ("queues = [{name = 'a', rate = '5/y'}]", "queues[0].rate: expected a rate from 0.0001 to"),
        ("queues = [{name = 'a', rate = 0}]", "queues[0].rate: expected a rate from 0.0001 to"),
        ("queues = [{name = 'a', concurrency = 0}]", "queues[0].concurrency: expected a whole"),
        (
            "limits.a.jobs = ['x']",
            "limits.a: limits nothing; expected a rate, a concurrency, or both",
        ),
        (
            "limits.a.rate = -1\nlimits.a.jobs = ['x']",
            "limits.a.rate: expected a rate from 0.0001 to 1000000, such as 100 (in a second),",
        ),
        ("limits.a.rate = '0/s'\nlimits.a.jobs = ['x']", "limits.a.rate: expected a rate"),
        ("limits.a = {rate = 1, burst = 0, jobs = ['x']}", "limits.a.burst: expected a whole"),
        (
            "limits.a = {concurrency = 1, burst = 2, jobs = ['x']}",
            "limits.a.burst: only used with a rate",
        ),
        (
            "limits.a.rate = 1",
            "limits.a: expected jobs or a queue that it is for, neither is given",
        ),
        (
            "limits.a = {rate = 1, jobs = ['x'], queue = 'low'}",
            "limits.a: expected jobs or a queue that it is for, both are given",
        ),
        (
            "limits.a = {rate = 1, queue = 'lwo'}",
            'limits.a.queue: expected one of the queues ("high", "low"), got \'lwo\'; did you mean'
            ' "low"?',
        ),
        ("limits.'a b' = {rate = 1, queue = 'low'}", 'limits."a b": expected a name'),
        ("limits.a = {rate = 1, queue = 'low', max = 3}", "limits.a.max: unknown key; did you"),
        (
            "queues = [{name = 'a', rate = 1}]\nlimits.a = {rate = 2, queue = 'a'}",
            "queues[0].rate: the limit of a queue has its name, and limits.a is another one",
        ),
        ("worker.timeout = 0", "worker.timeout: expected a duration above 0s"),
        ("worker.max_attempts = 0", "worker.max_attempts: expected a whole number from 1"),
        (
            "serve.processes = 'all'",
            "serve.processes: expected a whole number from 1 to 1000 or \"auto\", got 'all'",
        ),
        ("serve.processes = 0", "serve.processes: expected a whole number from 1 to 1000 or"),
        ("serve.processes = true", "serve.processes: expected a whole number"),
        ("serve.max_jobs = 0", "serve.max_jobs: expected a whole number from 1"),
        ("serve.max_age = '0s'", "serve.max_age: expected a duration above 0s"),
        ("serve.max_rss = '+much'", "serve.max_rss: expected a size from 1B to "),
        ("serve.max_rss = '++1MB'", "serve.max_rss: expected a size from 1B to "),
        ("serve.max_rss = '+0B'", "serve.max_rss: expected a size from 1B to "),
    ],
)
def test_a_fault_says_where_what_and_what_would_be_right(text: str, line: str) -> None:
    assert only_line(text).startswith(f"jobqueue.toml: {line}")


def test_a_combination_with_a_wrong_value_is_not_reported_as_well() -> None:
    assert len(fault_lines('worker.heartbeat_interval = "5s"\nworker.lease = "never"')) == 1
    # The typo means the lease, so the default of 5 s isn't held against the heartbeat.
    assert len(fault_lines('worker.heartbeat_interval = "5s"\nworker.leese = "30s"')) == 1
    assert len(fault_lines('default_queue = "b"\nqueues = [{name = "a b"}]')) == 1


def test_all_faults_of_limits_come_at_once() -> None:
    lines = fault_lines(
        """
        limits.empty.jobs = ["x"]
        limits.of_nobody.rate = 1
        limits.elsewhere = { rate = "5/m", queue = "nowhere" }
        limits."a b" = { rate = "5/m", queue = "low" }
        """
    )
    assert [line.split(": ")[1] for line in lines] == [
        'limits."a b"',
        "limits.elsewhere.queue",
        "limits.empty",
        "limits.of_nobody",
    ]


@pytest.mark.parametrize(
    ("written", "per_s"),
    [("100", 100.0), ("'100/s'", 100.0), ("'5/m'", 5 / 60), ("'1000/h'", 1000 / 3600)],
)
def test_a_rate_has_a_unit_or_is_one_for_a_second(written: str, per_s: float) -> None:
    config = read(f"limits.a = {{ rate = {written}, jobs = ['x'] }}")
    assert config.limits["a"].rate == per_s


def test_a_fault_in_one_queue_does_not_move_the_others() -> None:
    lines = fault_lines('queues = [3, {name = "a"}, {}, {name = "a"}]')
    assert [line.split(": ")[1] for line in lines] == [
        "queues[0]",
        "queues[2].name",
        "queues[3].name",
    ]


# -- from_url ----------------------------------------------------------------------------------


def test_from_url_knows_no_queues() -> None:
    config = from_url("redis://me:pw@h/1", namespace="mine", environ={})
    assert config.queues == ()
    assert (config.namespace, config.redis.url, config.redis.db) == ("mine", "redis://h", 1)
    assert (config.redis.username, config.redis.password) == ("me", Secret("pw"))
    assert config.directory == pathlib.Path.cwd()
    check(config)


def test_what_the_call_says_wins_over_the_environment() -> None:
    environ = {
        "TRIOQ_REDIS__URL": "redis://:old@other/4",
        "TRIOQ_NAMESPACE": "theirs",
        "TRIOQ_REDIS__PASSWORD": "pw",
        "TRIOQ_DEFAULT_QUEUE": "anything",
    }
    config = from_url("redis://h", namespace="mine", environ={**environ})
    assert (config.namespace, config.redis.url, config.redis.db) == ("mine", "redis://h", 0)
    assert (config.redis.password, config.default_queue) == (Secret("pw"), "anything")
    assert set(config.environment) == {"redis.password", "default_queue"}
    assert from_url("redis://h", environ=environ).namespace == "theirs"


def test_from_url_reports_like_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        from_url("redis://:canary@", namespace="a b", environ={})
    assert [line.split(": ")[:2] for line in caught.value.faults] == [
        ["connect", "namespace"],
        ["connect", "redis.url"],
    ]


@pytest.mark.parametrize("path", [None, 5, b"jobqueue.toml", {"namespace": "t"}])
def test_what_is_no_path_is_told_as_that(path: Any) -> None:
    with pytest.raises(TypeError, match=r"a configuration is the path of its file, .* not a "):
        load(path)
