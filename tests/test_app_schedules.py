"""``@app.schedule``: a handler that is run by the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trioq.app import App


@pytest.fixture
def app() -> App:
    return App()


def test_it_stands_above_a_handler_which_stays_one(app: App) -> None:
    @app.schedule("0 3 * * *", tz="Europe/Berlin", payload={"kind": "daily"}, jitter="30s")
    @app.job("report")
    async def report(kind: str) -> None: ...

    (said,) = app.schedules.values()
    assert (said.name, said.job, said.cron, said.tz, said.payload, said.jitter_s) == (
        "report", "report", "0 3 * * *", "Europe/Berlin", {"kind": "daily"}, 30,
    )  # fmt: skip
    assert report.call(kind="x").payload == {"kind": "x"}


def test_several_of_one_handler_have_its_name_and_a_number_or_one_of_their_own(app: App) -> None:
    @app.schedule(at=datetime(2030, 1, 1, tzinfo=UTC))
    @app.schedule(every=timedelta(minutes=5), name="often")
    @app.schedule(every=900)
    @app.schedule("0 3 * * *")
    @app.job
    def report() -> None: ...

    assert {name: said.every_s for name, said in app.schedules.items()} == {
        "report": None, "report-2": 900, "often": 300, "report-3": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ({}, ValueError, "the schedule 'report': expected one of cron, every and at"),
        ({"cron": "0 0 31 2 *"}, ValueError, "cron: '0 0 31 2 *'"),
        ({"at": datetime(2030, 1, 1)}, ValueError, "at: 2030-01-01T00:00:00 names no time zone"),
        ({"every": "soon", "overlap": "x"}, ValueError, "overlap: expected one of"),
        ({"every": 1, "name": "a b"}, ValueError, "name: expected a name of 1 to 64 letters"),
        ({"every": 1, "payload": {"knd": 1}}, ValueError, "report: unexpected: knd"),
    ],
)
def test_what_cannot_be_is_refused(app: App, said: dict[str, Any], error: Any, told: str) -> None:
    @app.job
    def report(kind: str = "") -> None: ...

    with pytest.raises(error) as refused:
        app.schedule(**said)(report)
    assert told in str(refused.value)
    assert dict(app.schedules) == {}


def test_a_name_is_taken_once(app: App) -> None:
    @app.schedule(every=1, name="a")
    @app.job
    def report() -> None: ...

    with pytest.raises(ValueError, match="two schedules are called 'a'"):
        app.schedule(every=2, name="a")(report)


def test_below_a_handler_it_says_where_it_belongs(app: App) -> None:
    with pytest.raises(TypeError, match=r"stands above @app\.job"):
        app.schedule(every=1)(lambda: None)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="say when"):
        app.schedule(lambda: None)  # type: ignore[arg-type]


def test_a_handler_of_another_app_has_its_schedules_there(app: App) -> None:
    other = App()

    @other.job
    def report() -> None: ...

    with pytest.raises(TypeError, match="'report' is no handler of this app"):
        app.schedule(every=1)(report)
    other.schedule(every=1)(report)
    app.include(other)
    assert list(app.schedules) == ["report"]
    another = App()
    another.schedule(every=1)(another.job(report.registered.function))
    with pytest.raises(ValueError, match="two schedules are called 'report'"):
        app.include(another)
