"""``[schedules.NAME]``: what makes jobs by the clock, and all that can be wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import trioq
from tests.settings.reading import fault_lines, only_line, read
from trioq.core.config.schedules import schedule_of, when_of
from trioq.core.schedules.when import Every, Once
from trioq.errors import ConfigError


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("", "schedules.a: expected one of cron, every and at, got none of them"),
        ("every = 1, at = 2030-01-01T00:00:00Z", "schedules.a: expected one of cron, every and at"),
        ("cron = '* * * *'", "schedules.a.cron: '* * * *': expected five or six fields"),
        ("cron = '61 * * * *'", "schedules.a.cron: '61 * * * *': bad minute"),
        ("cron = '0 0 29 2 8-1'", "schedules.a.cron: '0 0 29 2 8-1': bad day-of-week"),
        ("cron = '0 0 31 2 *'", "schedules.a.cron: '0 0 31 2 *': it never fires, as none of its"),
        ("cron = '0 0 * 13 *'", "schedules.a.cron: '0 0 * 13 *': bad month"),
        *(
            (
                f"cron = '0 3 * * *', tz = '{zone}'",
                'schedules.a.tz: expected a time zone of the IANA list, such as "Europe/Berlin" or'
                f" \"UTC\", got '{zone}'{close}",
            )
            for zone, close in (
                ("localtime", ""),
                ("posix/Europe/Berlin", '; did you mean "Eu'),
                ("right/UTC", ""),
                ("posixrules", ""),
                ("Factory", ""),
            )
        ),
        (f"cron = '{'1,' * 200}1 * * * *'", "schedules.a.cron: longer than 256 characters"),
        ("cron = 5", "schedules.a.cron: expected a cron expression, such as"),
        (
            "cron = '0 3 * * *', tz = 'Europe/Berln'",
            'schedules.a.tz: expected a time zone of the IANA list, such as "Europe/Berlin" or'
            ' "UTC", got \'Europe/Berln\'; did you mean "Europe/Berlin"?',
        ),
        ("cron = '0 3 * * *', tz = '../etc'", "schedules.a.tz: expected a time zone"),
        ("every = '1h', tz = 'UTC'", "schedules.a.tz: only used with cron"),
        ("every = '0s'", "schedules.a.every: expected a duration from 100ms to 3650d"),
        ("at = 2030-01-01T00:00:00", "schedules.a.at: 2030-01-01T00:00:00 names no time zone"),
        ("at = '2030-01-01 00:00'", "schedules.a.at: 2030-01-01T00:00:00 names no time zone"),
        ("at = 2030-01-01", "schedules.a.at: expected a date and a time with its offset"),
        ("at = 'tomorrow'", "schedules.a.at: expected a date and a time with its offset"),
        (
            "cron = '* * * * *', anchor = 2030-01-01T00:00:00Z",
            "schedules.a.anchor: only used with every",
        ),
        ("every = 1, payload = {a = nan}", "schedules.a.payload.a: it is NaN or infinite, which"),
        ("every = 1, payload = 3", "schedules.a.payload: expected a table"),
        ("every = 1, queue = 'lwo'", "schedules.a.queue: expected one of the queues"),
        ("every = 1, misfire = 'none'", "schedules.a.misfire: expected one of skip, last, all"),
        ("every = 1, overlap = 'yes'", "schedules.a.overlap: expected one of allow, skip, queue"),
        ("every = 1, jitter = -1", "schedules.a.jitter: expected a duration from 0s to 1d"),
        ("every = 1, timezone = 'UTC'", "schedules.a.timezone: unknown key; did you mean tz?"),
    ],
)
def test_a_fault_says_where_what_and_what_would_be_right(keys: str, line: str) -> None:
    told = only_line(f"schedules.a = {{job = 'x'{keys and ', '}{keys}}}")
    assert told.startswith(f"jobqueue.toml: {line}")


def test_all_faults_come_at_once() -> None:
    lines = fault_lines(
        """
        max_payload = "10B"
        schedules."a b" = { every = 1, job = "x" }
        schedules.b = { cron = "x", tz = "Mars", misfire = "no" }
        schedules.c = { every = 1, job = "x", payload = { text = "longer than ten bytes" } }
        """
    )
    assert [line.split(": ")[1] for line in lines] == [
        "schedules.b.cron", "schedules.b.tz", "schedules.b.job", "schedules.b.misfire",
        'schedules."a b"', "schedules.c.payload",
    ]  # fmt: skip


def test_what_is_written_is_meant() -> None:
    schedules = read(
        """
        schedules.a = { every = "15m", anchor = 1970-01-01T00:00:07Z, job = "x" }
        schedules.b = { at = "2030-01-01T01:00:00.007+01:00", job = "x" }
        schedules.c = { cron = "0 3 * * *", job = "x", misfire_grace = "2m", jitter = "3s" }
        """
    ).schedules
    assert when_of(schedules["a"]) == Every(900_000, 7000)
    at_ms = round(datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert when_of(schedules["b"]) == Once(at_ms + 7)
    made = [schedule_of(schedules[name], "low", "config", 1000) for name in "ac"]
    assert [(each.grace_ms, each.jitter_ms) for each in made] == [(60_000, 0), (120_000, 3000)]


def test_the_environment_can_set_it() -> None:
    told = {"TRIOQ_SCHEDULES__A__CRON": "0 4 * * *", "TRIOQ_SCHEDULES__A__PAYLOAD": "{k = 1}"}
    (schedule,) = read("schedules.a = { cron = '0 3 * * *', job = 'x' }", told).schedules.values()
    assert (schedule.cron, schedule.payload) == ("0 4 * * *", {"k": 1})


def app() -> trioq.App:
    made = trioq.App()

    @made.job
    def report(kind: str, count: int = 1) -> None: ...

    made.schedule(every="1h", name="of_app", payload={"kind": "x"})(report)
    return made


def test_handlers_are_asked_whether_they_can_take_it(tmp_path: Path) -> None:
    path = tmp_path / "jobqueue.toml"
    path.write_text(
        """
        schedules.unknown = { every = 1, job = "reprot" }
        schedules.misfit = { every = 1, job = "report", payload = { count = "many", knid = "a" } }
        schedules.command = { every = 1, job = "convert" }
        schedules.of_app = { every = 1, job = "report", payload = { kind = "a" } }
        schedules.right = { every = 1, job = "report", payload = { kind = "a" } }
        commands.convert.argv = ["true", "{path}"]
        """
    )
    with pytest.raises(ConfigError) as wrong:
        trioq.Engine(app(), path)
    told = sorted(fault.partition("schedules.")[2] for fault in wrong.value.faults)
    assert told == [
        "command.payload: it doesn't fit 'convert': missing: path",
        "misfit.payload: it doesn't fit 'report': count: expected int, got a string;"
        " unexpected: knid (did you mean kind?); missing: kind",
        "of_app: the app has a schedule of this name, too",
        "unknown.job: no handler is called 'reprot'; did you mean \"report\"?",
    ]


def test_a_queue_that_the_app_says_must_be_configured(tmp_path: Path) -> None:
    made = trioq.App()

    @made.schedule("0 3 * * *", queue="lwo")
    @made.job
    def report() -> None: ...

    path = tmp_path / "jobqueue.toml"
    path.write_text("")
    with pytest.raises(ConfigError) as wrong:
        trioq.Engine(made, path)
    (fault,) = wrong.value.faults
    assert "the schedule 'report': no queue 'lwo' is configured; did you mean \"low\"?" in fault
