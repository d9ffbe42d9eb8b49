"""Reading, writing and describing configurations."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import tomli

from trioq.core.config import Config, ProducerConfig, QueueConfig, Secret, check
from trioq.core.config.keys import Section, entries
from trioq.errors import ConfigError
from trioq.settings import as_toml, from_url, load, parse, reference, schema, warnings
from trioq.settings.environ import all_variables, variable_of

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "jobqueue.toml"


def read(text: str = "", environ: Mapping[str, str] | None = None) -> Config:
    return parse(text, name="jobqueue.toml", directory="/srv", environ=environ or {})


def fault_lines(text: str = "", environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    return caught.value.faults


def only_line(text: str = "", environ: Mapping[str, str] | None = None) -> str:
    (line,) = fault_lines(text, environ)
    return line


# --- the file -------------------------------------------------------------------------


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


def test_a_directory_is_not_a_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path, environ={})
    with pytest.raises(ConfigError, match="can't be read"):
        load("nul\0", environ={})


# --- faults ---------------------------------------------------------------------------


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
        ("worker.timeout = 0", "worker.timeout: expected a duration above 0s"),
        ("worker.max_attempts = 0", "worker.max_attempts: expected a whole number from 1"),
    ],
)
def test_a_fault_says_where_what_and_what_would_be_right(text: str, line: str) -> None:
    assert only_line(text).startswith(f"jobqueue.toml: {line}")


def test_a_combination_with_a_wrong_value_is_not_reported_as_well() -> None:
    assert len(fault_lines('worker.heartbeat_interval = "5s"\nworker.lease = "never"')) == 1
    # The typo means the lease, so the default of 5 s isn't held against the heartbeat.
    assert len(fault_lines('worker.heartbeat_interval = "5s"\nworker.leese = "30s"')) == 1
    assert len(fault_lines('default_queue = "b"\nqueues = [{name = "a b"}]')) == 1


def test_a_fault_in_one_queue_does_not_move_the_others() -> None:
    lines = fault_lines('queues = [3, {name = "a"}, {}, {name = "a"}]')
    assert [line.split(": ")[1] for line in lines] == [
        "queues[0]",
        "queues[2].name",
        "queues[3].name",
    ]


# --- the environment ------------------------------------------------------------------


def test_the_environment_wins_over_the_file() -> None:
    config = read("worker.count = 2", {"TRIOQ_WORKER__COUNT": "32"})
    assert config.worker.count == 32
    assert config.environment == {"worker.count": "TRIOQ_WORKER__COUNT"}


def test_keys_without_a_default_can_be_set_from_the_environment() -> None:
    # The predecessor ignored these: the password among them.
    config = read(
        "",
        {
            "TRIOQ_REDIS__PASSWORD": "s3cret",
            "TRIOQ_REDIS__USERNAME": "42",
            "TRIOQ_REDIS__DB": "3",
            "TRIOQ_APP": "a:b",
            "TRIOQ_OBSERVABILITY__TRACING__ENDPOINT": "http://otel:4318",
        },
    )
    assert config.redis.password == Secret("s3cret")
    assert (config.redis.username, config.redis.db, config.app) == ("42", 3, "a:b")
    assert config.observability.tracing.endpoint == "http://otel:4318"


@pytest.mark.parametrize(
    ("variable", "text", "look", "value"),
    [
        ("NAMESPACE", "123", lambda c: c.namespace, "123"),
        ("WORKER__TIMEOUT", "90", lambda c: c.worker.timeout_s, 90.0),
        ("WORKER__TIMEOUT", "1.5m", lambda c: c.worker.timeout_s, 90.0),
        ("WORKER__BACKOFF__JITTER", "1e-1", lambda c: c.worker.backoff.jitter, 0.1),
        ("WORKER__BACKOFF", '{cap="1m"}', lambda c: c.worker.backoff.cap_s, 60.0),
        ("MAX_PAYLOAD", "2048", lambda c: c.max_payload_bytes, 2048),
        ("PRODUCER__WATCH", "False", lambda c: c.producer.watch, False),
        ("PRODUCER__WATCH", "1", lambda c: c.producer.watch, True),
        ("PRODUCER__INCLUDE_GLOBS", '["a", "b"]', lambda c: c.producer.include_globs, ("a", "b")),
        (
            "PRODUCER__QUEUES_BY_EXTENSION",
            '{high=[".pdf"]}',
            lambda c: c.producer.queues_by_extension,
            {"high": (".pdf",)},
        ),
        ("QUEUES", '[{name="high"}]', lambda c: c.queues, (QueueConfig("high"),)),
        ("COMMANDS__CONVERT__ARGV", '["a"]', lambda c: c.commands["convert"].argv, ("a",)),
        ("COMMANDS", '{x={argv=["a"]}}', lambda c: c.commands["x"].name, "x"),
        ("COMMANDS__X", '{argv=["a"]}', lambda c: c.commands["x"].argv, ("a",)),
        ("OBSERVABILITY__BIND", "", lambda c: c.observability.bind, ""),
        ("APP", "", lambda c: c.app, None),
    ],
)
def test_values_of_every_kind_come_from_the_environment(
    variable: str, text: str, look: Any, value: object
) -> None:
    assert look(read("", {f"TRIOQ_{variable}": text})) == value


def test_a_variable_means_the_command_of_the_file() -> None:
    text = '[commands.make-pdf]\nargv = ["a"]\n[commands.My_Cmd]\nargv = ["b"]'
    environ = {"TRIOQ_COMMANDS__MAKE_PDF__TIMEOUT": "5s", "TRIOQ_COMMANDS__MY_CMD__QUEUE": "high"}
    commands = read(text, environ).commands
    assert set(commands) == {"make-pdf", "My_Cmd"}
    assert commands["make-pdf"].timeout_s == 5.0
    assert commands["My_Cmd"].queue == "high"


def test_a_variable_of_one_key_wins_over_one_of_its_section() -> None:
    environ = {"TRIOQ_WORKER": '{count=3, lease="9s"}', "TRIOQ_WORKER__COUNT": "4"}
    worker = read('worker.lease = "7s"\nworker.grace = "1s"', environ).worker
    assert (worker.count, worker.lease_s, worker.grace_s) == (4, 9.0, 1.0)


def test_a_table_with_free_keys_is_replaced_as_a_whole() -> None:
    text = '[producer.queues_by_extension]\nhigh = [".pdf"]'
    environ = {"TRIOQ_PRODUCER__QUEUES_BY_EXTENSION": '{low=[".txt"]}'}
    producer = read(text, environ).producer
    assert producer is not None
    assert producer.queues_by_extension == {"low": (".txt",)}


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        (
            "WORKER__COUNT",
            "four",
            "worker.count: expected a whole number from 1 to 1000, got 'four'",
        ),
        ("WORKER__COUNT", "", "worker.count: expected a whole number from 1 to 1000, got ''"),
        ("PRODUCER__WATCH", "maybe", "producer.watch: expected true or false, got 'maybe'"),
        ("WORKER__CUONT", "4", "unknown variable; did you mean TRIOQ_WORKER__COUNT?"),
        ("WORKER_COUNT", "4", "unknown variable; did you mean TRIOQ_WORKER__COUNT?"),
        ("Worker__Count", "4", "unknown variable; did you mean TRIOQ_WORKER__COUNT?"),
        ("XYZZY", "4", "unknown variable"),
        ("", "4", "unknown variable"),
        ("COMMANDS__X__ARG", "4", "unknown variable; did you mean TRIOQ_COMMANDS__X__ARGV?"),
        ("QUEUES", "[{", "queues: not a TOML value: "),
        ("QUEUES", "[]\nx = 1", "queues: not a TOML value: expected one value"),
        ("QUEUES", "[" * 100_000, "queues: not a TOML value: "),
        ("QUEUES", '[{nam="a"}]', 'queues[0].nam: unknown key; did you mean "name"?'),
        ("NAMESPACE", "a\udcffb", "namespace: expected a name"),
        ("WORKER", "4", "worker: expected a table, got a number"),
    ],
)
def test_a_fault_names_its_variable(variable: str, text: str, line: str) -> None:
    name = f"TRIOQ_{variable}"
    assert fault_lines("", {name: text})[0].startswith(f"{name}: {line}")


def test_a_combination_names_the_variable_that_has_a_part_in_it() -> None:
    line = only_line('worker.lease = "8s"', {"TRIOQ_WORKER__HEARTBEAT_INTERVAL": "3s"})
    assert line == (
        "jobqueue.toml: worker.lease: expected at least 4 × worker.heartbeat_interval, 12s, got 8s "
        "(worker.heartbeat_interval is from TRIOQ_WORKER__HEARTBEAT_INTERVAL)"
    )


def test_a_line_stays_a_line_whatever_the_names_are() -> None:
    assert only_line('"a\\nb" = 1').startswith('jobqueue.toml: "a\\nb": unknown key')
    assert only_line("", {"TRIOQ_A\n\x1b[2J": "1"}).startswith("'TRIOQ_A\\n\\x1b[2J': unknown")


def test_variables_of_others_and_of_the_tests_are_let_alone() -> None:
    environ = {"TRIOQ_TEST_REDIS": "x", "TRIOQ_FAILPOINT": "x", "WORKER_COUNT": "3"}
    assert read("", {**environ, "PATH": "/bin"}) == read()


def test_every_key_has_a_variable() -> None:
    paths = [(name, path) for name, path in _leaves(Config, ()) if "queues" not in path[:1]]
    assert {variable_of(path) for _, path in paths} <= set(all_variables())
    assert "TRIOQ_COMMANDS__<NAME>__PERMANENT_EXIT_CODES" in set(all_variables())
    assert len(set(all_variables())) == len(list(all_variables()))


def _leaves(section: type, path: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for entry in entries(section).values():
        here = (*path, entry.key)
        if isinstance(entry.kind, Section):
            named = ("<NAME>",) if entry.kind.shape == "named" else ()
            found += _leaves(entry.kind.of, (*here, *named))
        else:
            found.append((entry.key, here))
    return found


# --- secrets --------------------------------------------------------------------------


def test_a_password_moves_out_of_the_url() -> None:
    redis = read('redis.url = "redis://me:p%40ss@h:1/2"').redis
    assert (redis.url, redis.username, redis.password, redis.db) == (
        "redis://h:1",
        "me",
        Secret("p@ss"),
        2,
    )


@pytest.mark.parametrize(("key", "value"), [("password", '"x"'), ("username", '"x"'), ("db", "0")])
def test_what_the_url_holds_is_not_given_twice(key: str, value: str) -> None:
    line = only_line(f'redis.url = "redis://me:canary@h:1/2"\nredis.{key} = {value}')
    assert line == f"jobqueue.toml: redis.{key}: stands in redis.url as well; give it once"


def test_within_the_environment_too_it_is_given_once() -> None:
    environ = {"TRIOQ_REDIS__URL": "redis://:canary@h", "TRIOQ_REDIS__PASSWORD": "x"}
    line = only_line("", environ)
    assert line.startswith("TRIOQ_REDIS__PASSWORD: redis.password: stands in redis.url as well")


def test_a_password_from_the_environment_replaces_the_one_of_the_file() -> None:
    text = 'redis.url = "redis://:old@h"'
    assert read(text, {"TRIOQ_REDIS__PASSWORD": "new"}).redis.password == Secret("new")
    text = 'redis.url = "redis://h"\nredis.password = "old"'
    assert read(text, {"TRIOQ_REDIS__URL": "redis://:new@g"}).redis.password == Secret("new")


def test_the_password_in_a_url_is_not_sent_to_another_server() -> None:
    redis = read('redis.url = "redis://me:old@h/5"', {"TRIOQ_REDIS__URL": "redis://g"}).redis
    assert (redis.url, redis.username, redis.password, redis.db) == ("redis://g", None, None, 0)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('redis.url = "redis://:canary@h:x"', {}),
        ('redis.url = "redis://:can/ary@h"', {}),
        ('redis.url = ["redis://:canary@h"]', {}),
        ('redis = "redis://:canary@h"', {}),
        ("redis.password = 8", {}),
        ('redis.password = ["canary"]', {}),
        ('redis.pasword = "canary"', {}),
        ('redis.url = "redis://:canary@h"\nredis.password = "canary"', {}),
        ('redis.password = "canary\\u0000"', {}),
        ('commands.x = { argv = ["a"], env = "canary" }', {}),
        ('commands.x = { argv = ["a"], env = { A = ["canary"] } }', {}),
        ('commands.x = { argv = ["a"], env = { A = "canary\\u0000" } }', {}),
        ('observability.tracing.endpoint = "http://me:canary@h"', {}),
        ("", {"TRIOQ_REDIS__URL": "redis://:canary@"}),
        ("", {"TRIOQ_REDIS": "redis://:canary@h"}),
        ("", {"TRIOQ_REDIS__PASWORD": "canary"}),
        ("", {"TRIOQ_REDIS__PASSWORD": "canary\udcff"}),
    ],
)
def test_no_fault_shows_a_secret(text: str, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    assert "canary" not in repr(caught.value)
    assert "ary@" not in repr(caught.value)
    assert "got 8" not in repr(caught.value)


# --- from_url -------------------------------------------------------------------------


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


# --- writing --------------------------------------------------------------------------


def test_what_is_written_masks_every_secret_and_is_toml() -> None:
    text = 'redis.url = "redis://me:canary@h"\ncommands.x = {argv = ["a"], env = {K = "canary"}}'
    shown = as_toml(read(text))
    assert "canary" not in shown
    assert tomli.loads(shown)["redis"]["password"] == "********"
    assert tomli.loads(shown)["commands"]["x"]["env"] == {"K": "********"}


def test_what_is_written_unmasked_reads_back_equal() -> None:
    config = read('redis.password = "c\\u007f\\n\\"é"\n[producer]\n[commands."a.b"]\nargv = ["x"]')
    assert read(as_toml(config, masked=False)) == config
    assert read(as_toml(Config())) == read()


def test_what_came_from_the_environment_says_so() -> None:
    environ = {
        "TRIOQ_WORKER__COUNT": "3",
        "TRIOQ_QUEUES": '[{name="q"}]',
        "TRIOQ_REDIS__URL": "redis://:pw@h",
    }
    lines = as_toml(read("", environ)).splitlines()
    assert "count = 3  # from TRIOQ_WORKER__COUNT" in lines
    assert "[[queues]]  # from TRIOQ_QUEUES" in lines
    assert 'password = "********"  # from TRIOQ_REDIS__URL' in lines
    assert sum("# from" in line for line in lines) == 4


def test_unknown_queues_are_written_as_unknown() -> None:
    assert "# queues: not known" in as_toml(from_url("redis://h", environ={}))


# --- warnings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("redis://:pw@example.com", True),
        ("redis://:pw@10.0.0.1", True),
        ("redis://:pw@localhost", False),
        ("redis://:pw@127.0.0.9", False),
        ("redis://:pw@[::1]", False),
        ("rediss://:pw@example.com", False),
        ("unix://:pw@/run/r.sock", False),
        ("redis://example.com", False),
    ],
)
def test_a_password_that_travels_in_the_clear_is_warned_about(url: str, *, warned: bool) -> None:
    found = warnings(from_url(url, environ={}))
    assert any("unencrypted" in line for line in found) == warned
    assert not any("pw" in line for line in found)


def test_a_password_in_a_file_that_others_can_read_is_warned_about(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text('redis.url = "unix://:pw@/run/r.sock"')
    file.chmod(0o640)
    (line,) = warnings(load(file, environ={}))
    assert "chmod 600" in line
    assert warnings(load(file, environ={"TRIOQ_REDIS__PASSWORD": "x"})) == []
    file.chmod(0o600)
    assert warnings(load(file, environ={})) == []


def test_a_directory_to_scan_that_is_not_there_is_warned_about(tmp_path: pathlib.Path) -> None:
    config = Config(producer=ProducerConfig(scan_dir="in"), directory=tmp_path)
    assert len(warnings(config)) == 1
    (tmp_path / "in").mkdir()
    assert warnings(config) == []


# --- the sample, the page and the schema ----------------------------------------------


def test_the_sample_is_the_defaults_and_scans_the_docs() -> None:
    config = load(SAMPLE, environ={})
    assert config.producer == ProducerConfig(scan_dir="docs")
    assert attrs.evolve(config, producer=None) == Config(directory=ROOT)
    assert warnings(config) == []


def test_the_sample_shows_every_key_and_says_why() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    keys = [line for line in text.splitlines() if " = " in line]
    assert [line for line in keys if line.rpartition("#")[2].strip() == ""] == []
    named = {line.removeprefix("# ").split(" = ")[0] for line in keys}
    refused = {"concurrency"}  # by this version; queues' rates too, but there is another rate
    assert named == {path[-1] for _, path in _leaves(Config, ())} - refused


def test_what_the_sample_has_commented_out_is_valid_too() -> None:
    lines = [
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in SAMPLE.read_text(encoding="utf-8").splitlines()
    ]
    text = "\n".join(lines).replace('"embedded:.trioq"', '"rediss://h"')
    config = read(text)
    assert config.commands["convert"].permanent_exit_codes == ()
    assert config.queues[0].max_length == 100_000


def test_the_page_about_the_configuration_is_the_one_that_is_drawn() -> None:
    page = ROOT / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "run: python -m trioq.settings docs FILE"
    )


def test_the_page_has_every_key_and_the_file_that_it_is_written_to(tmp_path: pathlib.Path) -> None:
    page = reference()
    assert all(f"| `{key}` |" in page for key, _ in _leaves(Config, ()))
    target = tmp_path / "page.md"
    command = [sys.executable, "-m", "trioq.settings"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "docs", str(target)], check=True, env=environ, cwd=tmp_path)
    assert target.read_text(encoding="utf-8") == page
    shown = subprocess.run(
        [*command, "schema"], check=True, env=environ, cwd=tmp_path, capture_output=True
    )
    assert json.loads(shown.stdout) == schema()


def test_the_schema_has_every_key_and_allows_no_other() -> None:
    described = schema()
    assert described["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert described["additionalProperties"] is False
    assert set(described["properties"]) == set(entries(Config))
    worker = described["properties"]["worker"]
    assert worker["properties"]["count"] == {
        "description": "Handlers that run at a time in one engine.",
        "default": 16,
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
    }
    assert worker["properties"]["timeout"]["default"] == "5m"
    assert described["properties"]["queues"]["items"]["required"] == ["name"]
    json.dumps(described)
