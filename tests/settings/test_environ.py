"""The environment wins over the file, key by key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.settings.reading import fault_lines, leaves, only_line, read
from trioq.core.config import Config, QueueConfig, Secret
from trioq.settings import from_url, warnings
from trioq.settings.environ import all_variables, variable_of
from trioq.settings.meanings import WORDS


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


def test_of_two_commands_the_one_with_the_longer_name_is_meant() -> None:
    text = '[commands.make]\nargv = ["a"]\n[commands.make__pdf]\nargv = ["b"]'
    commands = read(text, {"TRIOQ_COMMANDS__MAKE__PDF__TIMEOUT": "5s"}).commands
    assert {name: command.timeout_s for name, command in commands.items()} == {
        "make": None, "make__pdf": 5.0,
    }  # fmt: skip


def test_a_key_of_another_queue_in_a_list_is_answered_with_ours() -> None:
    (line,) = fault_lines('queues = [{ name = "a" }, { name = "b", priority = 1 }]')
    assert line.endswith("queues[1].priority: unknown key; did you mean weight?")


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
        ("XYZZY__X", "4", "unknown variable"),
        ("__", "4", "unknown variable"),
        ("REDIS_URL", "4", "unknown variable; did you mean TRIOQ_REDIS__URL?"),
        ("REDIS__PORT", "6379", "unknown variable; did you mean TRIOQ_REDIS__URL?"),
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
    assert only_line("", {"TRIOQ_A__\n\x1b[2J": "1"}).startswith("'TRIOQ_A__\\n\\x1b[2J': unknown")


def test_variables_of_others_and_of_the_tests_are_let_alone() -> None:
    environ = {"TRIOQ_TEST_REDIS": "x", "TRIOQ_FAILPOINT": "x", "WORKER_COUNT": "3"}
    assert read("", {**environ, "PATH": "/bin"}) == read()


def test_every_key_has_a_variable() -> None:
    paths = [(name, path) for name, path in leaves(Config, ()) if "queues" not in path[:1]]
    assert {variable_of(path) for _, path in paths} <= set(all_variables())
    assert "TRIOQ_COMMANDS__<NAME>__PERMANENT_EXIT_CODES" in set(all_variables())
    assert len(set(all_variables())) == len(list(all_variables()))


#: What a pod gets for Services named ``trioq`` and ``trioq--x``, with a named port.
OF_SERVICES = {
    "TRIOQ_SERVICE_HOST": "10.0.0.1",
    "TRIOQ_SERVICE_PORT": "6379",
    "TRIOQ_SERVICE_PORT_REDIS": "6379",
    "TRIOQ_PORT": "tcp://10.0.0.1:6379",
    "TRIOQ_PORT_6379_TCP": "tcp://10.0.0.1:6379",
    "TRIOQ_PORT_6379_TCP_PROTO": "tcp",
    "TRIOQ_PORT_6379_TCP_PORT": "6379",
    "TRIOQ_PORT_6379_TCP_ADDR": "10.0.0.1",
    "TRIOQ_REDIS_PORT": "tcp://10.0.0.1:6379",
    "TRIOQ__X_SERVICE_HOST": "10.0.0.1",
    "TRIOQ__X_PORT": "tcp://10.0.0.1:6379",
}


def test_what_kubernetes_sets_for_a_service_is_a_warning_in_one_line() -> None:
    (note,) = warnings(read("", OF_SERVICES))
    assert note.startswith("TRIOQ_PORT and 10 more: ignored")
    assert "enableServiceLinks: false" in note
    assert warnings(from_url("redis://127.0.0.1", environ=OF_SERVICES)) == [note]


def test_a_variable_that_may_be_somebody_elses_is_a_warning_with_what_may_be_meant() -> None:
    (note,) = warnings(read("", {"TRIOQ_NAMESPCE": "x"}))
    assert note == "TRIOQ_NAMESPCE: ignored, no key is named so; did you mean TRIOQ_NAMESPACE?"
    assert warnings(read("", {"TRIOQ_XYZZY": "1.2"})) == [
        "TRIOQ_XYZZY: ignored, no key is named so"
    ]


@pytest.mark.parametrize("text", ['"5s"', "'5s'"])
def test_quotes_within_a_variable_are_named(text: str) -> None:
    line = only_line("", {"TRIOQ_WORKER__LEASE": text})
    assert line.startswith("TRIOQ_WORKER__LEASE: worker.lease: expected a duration")
    assert line.endswith("; the quotes are part of the text here: write it without them")


def test_quotes_that_fit_are_asked_about_and_what_they_hold_is_not_shown() -> None:
    (note, _) = warnings(read("", {"TRIOQ_REDIS__PASSWORD": '"geheim"'}))
    assert "TRIOQ_REDIS__PASSWORD" in note
    assert "quote" in note
    assert "geheim" not in note


def test_a_failpoint_that_no_test_has_armed_is_a_warning() -> None:
    assert warnings(read("", {"TRIOQ_FAILPOINT": "x", "TRIOQ_TEST_FAILPOINTS": "1"})) == []
    (note,) = warnings(read("", {"TRIOQ_FAILPOINT": "x"}))
    assert note.startswith("TRIOQ_FAILPOINT: ignored")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("worker.concurrency", "count"),
        ("worker.max_retries", "max_attempts, which counts the first run too"),
        ("worker.job_timeout", "timeout"),
        ("worker.processes", "serve.processes"),
        ("worker.max_tasks_per_child", "serve.max_jobs"),
        ("serve.max_memory_per_child", "max_rss"),
        ("worker.visibility_timeout", "lease"),
        ("worker.retry_delay", "worker.backoff.base"),
        ("worker.rate", "limiter.rate"),
        ("redis.host", "url"),
        ("redis.ssl", "url, with rediss:// in it"),
        ("redis.socket_timeout", "read_timeout"),
        ("observability.port", "bind"),
        ("commands.x.cmd", "argv"),
        ("concurrency", "worker.count"),
        ("processes", "serve.processes"),
        ("broker_url", "redis.url"),
        ("log_level", "observability.log_level"),
    ],
)
def test_a_key_of_another_queue_is_answered_with_ours(path: str, hint: str) -> None:
    (line, *_) = fault_lines(f"{path} = 1")
    assert line.endswith(f"{path}: unknown key; did you mean {hint}?")
    key = hint.partition(",")[0]
    absolute = key if "." in key else ".".join([*path.split(".")[:-1], key])
    variable = "TRIOQ_" + path.upper().replace(".", "__")
    if "." in path:
        (told, *_) = fault_lines("", {variable: "1"})
    else:
        (told, *_) = warnings(read("", {variable: "1"}))
    assert "did you mean TRIOQ_" + absolute.upper().replace(".", "__") in told


def test_every_hint_by_meaning_leads_to_a_key_and_from_none() -> None:
    known = {path for _, path in leaves(Config, ())}
    for section, words in WORDS.items():
        at = (*section.split("."),) if section else ()
        named = ("commands", "limits", "schedules", "web.users", "web.tokens")
        at = (*at, "<NAME>") if section in named else at
        for theirs, ours in words.items():
            key = ours.partition(",")[0]
            assert (tuple(key.split(".")) if "." in key else (*at, key)) in known, ours
            for word in theirs.split():
                assert (*at, word) not in known, word
