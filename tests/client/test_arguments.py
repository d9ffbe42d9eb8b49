"""What people hand to ``enqueue``: taken and run, or refused with the argument's name."""

from __future__ import annotations

import datetime
import enum
import itertools
import sys
import time
import uuid
from contextlib import closing
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import trioq
from tests.engine.rig import Rig, rig_on
from tests.support import Server
from trioq.client.jobs import Drafts
from trioq.core.config import Config, QueueConfig
from trioq.core.formats import payload, record
from trioq.core.outcome import Succeeded
from trioq.engine.handlers import Function, Timebox, invoke
from trioq.engine.runs.rules import Rules
from trioq.errors import PayloadRejected, QueueUnknown

CONFIG = """
namespace = "t"
default_queue = "low"
{app}
[redis]
url = "{url}"
[[queues]]
name = "low"
[[queues]]
name = "high"
[commands.convert]
argv = ["true"]
queue = "high"
[observability]
bind = ""
"""

app = trioq.App()
ran: list[Any] = []


@app.job("greet")
async def greet(name: str = "") -> None:
    ran.append(name)


@app.job("count")
def count(name: str = "") -> int:
    ran.append(name)
    return 3


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Path:
    return configured(server, tmp_path)


def configured(server: Server, tmp_path: Path, app: str = "") -> Path:
    file = tmp_path / "jobqueue.toml"
    file.write_text(CONFIG.format(url=server.url, app=app))
    return file


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    assert isinstance(value, dict)
    return value


def in_lists(depth: int) -> dict[str, Any]:
    value: list[Any] = []
    for _ in range(depth - 2):
        value = [value]
    return {"a": value}


def circle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = value
    return value


# -- what is taken is run ----------------------------------------------------------------------

TAKEN: list[dict[str, Any]] = [
    {"delay": datetime.timedelta(milliseconds=3)},
    {"delay": Decimal("0.003")},
    {"delay": Fraction(3, 1000)},
    {"id": uuid.UUID(int=7)},
    {"id": "ä:✓ \n"},
    {"timeout": 5},
    {"timeout": Decimal("2.5")},
    {"timeout": datetime.timedelta(days=365 * 100)},
    {"timeout": 100 * 365 * 86400},
    {"max_attempts": 2**53},
    {"deadline": datetime.datetime(5000, 1, 1, tzinfo=datetime.UTC)},
    {"deadline": datetime.timedelta(days=365 * 30)},
    {"deadline": "1h", "expires": "30m"},
    {"deadline": None, "expires": Decimal("60.5"), "delay": 0.003},
    {"id": "soon", "debounce": datetime.timedelta(milliseconds=3), "max_wait": "3ms"},
    {"id": "later", "cooldown": "1h", "id_retention": Decimal("0.5"), "on_conflict": "existing"},
    {"id": "free", "id_retention": 0, "id_dead": "free", "on_conflict": "raise"},
    {"at": datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=-3)))},
    {"at": datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC), "delay": 0},
    {"payload": nested(100)},
    {"payload": in_lists(100)},
    {"payload": {"a": 10**4000}},
    {"payload": {"a": "\ud800"}},
    {"payload": {"a": "{[" * 500}},
]


@pytest.mark.trio
async def test_whatever_is_taken_runs(config: Path, server: Server) -> None:
    with rig_on(server) as rig:

        @rig.app.job("any")
        async def anything(**fields: Any) -> None:
            done.append(fields)

        done: list[Any] = []
        async with trioq.connect(config) as client:
            for options in TAKEN:
                await client.enqueue("any", **{"payload": {}, **options})
        async with rig.running():
            await rig.until(lambda: len(done) == len(TAKEN))
        assert rig.stats().dead == 0
        assert nested(100) in done


class Word(str, enum.Enum):  # noqa: UP042  another text than its str()
    NAME, QUEUE, ID = "greet", "high", "one"


def test_a_member_of_an_enumeration_is_the_text_that_it_is(config: Path, rig: Rig) -> None:
    with trioq.connect_sync(config) as client:
        first = client.enqueue(Word.NAME, queue=Word.QUEUE, id=Word.ID)
        second = client.enqueue("greet", queue="high", id="one")
    assert (second.uid, second.is_new) == (first.uid, False)
    assert rig.key("LLEN", "ready:high") == 1


def test_a_uuid_is_the_id_that_its_text_is(config: Path) -> None:
    with trioq.connect_sync(config) as client:
        first = client.enqueue("greet", id=uuid.UUID(int=7))
        second = client.enqueue("greet", id=str(uuid.UUID(int=7)))
    assert (second.uid, second.is_new) == (first.uid, False)


ANY_NUMBER = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.decimals()
    | st.timedeltas()
    | st.sampled_from([10**400, -(10**400), 2**53 + 1, Decimal("sNaN"), Decimal("1e999")])
)
ANY_MOMENT = (
    ANY_NUMBER
    | st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=False)
    | st.sampled_from(["1h", "soon", "", "999999999999999d"])
)
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=300)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT | st.integers(), inner),
)


def drafts() -> Drafts:
    return Drafts(Config(namespace="t", queues=(QueueConfig("low"),)), knows_queues=False)


@given(
    what=ANY_TEXT,
    fields=st.none() | st.dictionaries(ANY_TEXT | st.integers(), ANY_VALUE) | ANY_VALUE,
    options=st.fixed_dictionaries(
        {},
        optional={
            "queue": st.none() | ANY_TEXT | st.sampled_from(["low"]),
            "delay": ANY_NUMBER,
            "at": st.none() | ANY_MOMENT,
            "id": st.none() | ANY_TEXT | st.uuids() | st.integers(),
            "max_attempts": st.none() | ANY_NUMBER,
            "timeout": st.none() | ANY_NUMBER,
            "deadline": st.none() | ANY_MOMENT,
            "expires": st.none() | ANY_MOMENT,
        },
    ),
)
def test_whatever_a_client_takes_an_engine_can_run(
    what: str, fields: Any, options: dict[str, Any]
) -> None:
    try:
        job = drafts().draft(what, fields, **options)
    except (PayloadRejected, QueueUnknown, TypeError):
        return
    assert isinstance(job.delay_ms, int)
    assert isinstance(job.at_ms, int)
    stored = record.decode(job.uid, job.stored)
    read = stored.record
    given = payload.decode(job.big if stored.payload_is_big else read.payload)
    ran: list[Any] = []

    async def handler(**fields: Any) -> None:
        ran.append(fields)

    function = Function(read.name, handler)
    rules = Rules(trioq.Retry(), 60.0, {}, 1)
    retry, timeout_s = (
        rules.retry_of(function, stored.record),
        rules.timeout_of(function, stored.record),
    )
    job_seen = trioq.Job(
        read.uid, read.name, read.queue, given, 1, retry.max_attempts, read.id,
        enqueued_ms=read.enqueued_ms,
    )  # fmt: skip

    async def run() -> None:
        with closing(Timebox()) as timebox:
            outcome = await invoke(
                function, job_seen, timeout_s=timeout_s, timebox=timebox,
                threads=trio.CapacityLimiter(1),
            )  # fmt: skip
        # A timeout of nanoseconds may be over before the handler is.
        assert isinstance(outcome, Succeeded) or timeout_s < 0.1

    trio.run(run)
    assert ran == [given]


# -- what isn't, is told by name ---------------------------------------------------------------

NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"what": greet}, TypeError, r"not the handler 'greet' itself: greet\.call\(…\)"),
    ({"what": 5}, TypeError, r"takes handler\.call\(…\) or a handler's name, not a int"),
    ({"what": None}, TypeError, r"handler\.call\(…\)"),
    ({"payload": "abc"}, TypeError, "payload is a dict with the handler's arguments by name"),
    ({"payload": [1]}, TypeError, "payload is a dict .* not a list"),
    ({"payload": {"a": [1, {"at": NOW}]}}, PayloadRejected, r"payload\.a\[1\]\.at: .*datetime"),
    ({"payload": {"a b": {1}}}, PayloadRejected, r"JSON: payload\['a b'\]: .*set"),
    ({"payload": {"a": {"n": float("nan")}}}, PayloadRejected, r"payload\.a\.n is NaN"),
    ({"payload": circle()}, PayloadRejected, r"JSON: payload\.a\.a: Circular"),
    ({"payload": {"a": nested(100)}}, PayloadRejected, "nested deeper than 100 levels"),
    ({"payload": nested(985)}, PayloadRejected, "nested deeper than 100 levels"),
    ({"payload": in_lists(101)}, PayloadRejected, "nested deeper than 100 levels"),
    ({"delay": "5m"}, TypeError, "delay is '5m': expected seconds, or a timedelta"),
    ({"delay": True}, TypeError, "delay is True"),
    ({"delay": NOW}, TypeError, "delay is a time in seconds or a timedelta, not a datetime"),
    ({"delay": datetime.timedelta(-1)}, PayloadRejected, "delay is -86400.0: expected"),
    ({"delay": Decimal("sNaN")}, PayloadRejected, "delay is inf: expected"),
    ({"delay": 10**400}, PayloadRejected, "delay is inf: expected a time in seconds, from 0 to"),
    ({"timeout": 10**400}, PayloadRejected, "timeout is inf: expected a time in seconds, above 0"),
    ({"timeout": "1s"}, TypeError, "timeout is '1s'"),
    ({"timeout": True}, TypeError, "timeout is True"),
    ({"max_attempts": 2.5}, TypeError, "max_attempts is 2.5: expected a whole number"),
    ({"max_attempts": True}, TypeError, "max_attempts is True: expected a whole number"),
    ({"max_attempts": 0}, PayloadRejected, "max_attempts is 0: expected"),
    ({"max_attempts": 10**400}, PayloadRejected, "max_attempts is a number of 1329 bits"),
    ({"deadline": datetime.datetime(2030, 1, 1)}, TypeError, r"deadline is 2030-01-01 00:00:00, in"
        r" no time zone: expected an aware datetime, such as datetime\.now\(UTC\) \+"),
    ({"deadline": NOW.date()}, TypeError, "deadline is a date: expected an aware datetime; or"),
    ({"deadline": True}, TypeError, "deadline is True: expected an aware datetime"),
    ({"deadline": time.time() + 60}, PayloadRejected, r"deadline is \d+\.\d+: .* at most 30 years"),
    ({"deadline": "tomorrow"}, PayloadRejected, "deadline is 'tomorrow': .* such as \"1h\""),
    ({"deadline": 0}, PayloadRejected, "deadline is 0.0: expected .*above 0"),
    ({"deadline": NOW.replace(year=1969)}, PayloadRejected, "deadline is 1969-.*: expected a"),
    ({"deadline": NOW.replace(year=9999)}, PayloadRejected, "deadline is 9999-.* the year 5138"),
    ({"deadline": 60, "delay": 60}, PayloadRejected, "its delay of 60 s ends after its deadline"),
    ({"expires": NOW.replace(tzinfo=None)}, TypeError, "expires is 2030-.*, in no time zone"),
    ({"expires": -1}, PayloadRejected, "expires is -1.0: expected"),
    ({"expires": 60, "delay": 61}, PayloadRejected, "its delay of 61 s ends after it has expired"),
    ({"at": NOW.replace(tzinfo=None)}, TypeError, r"^at is 2030-.*, in no time zone: expected an"
        r" aware datetime, such as datetime\.now\(UTC\) \+ timedelta\(hours=1\)$"),
    ({"at": 60}, TypeError, "at is 60: expected an aware datetime; delay takes a time from now"),
    ({"at": NOW.date()}, TypeError, "at is a date: expected an aware datetime"),
    ({"at": NOW, "delay": 60}, TypeError, "at and delay both say when .*: expected one of them"),
    ({"at": NOW.replace(year=9999)}, PayloadRejected, "at is 9999-.* the year 5138"),
    ({"at": NOW, "expires": 60}, PayloadRejected, "it is due at 2030-01-01 00:00:00.00:00, after"
        " it has expired: it would never be run"),
    ({"on_conflict": "replace", "cooldown": 5, "id_dead": "free"}, TypeError,
     "^on_conflict, cooldown, id_dead: expected an id beside it, for it is about jobs"),
    ({"id_retention": 0}, TypeError, "^id_retention: expected an id beside it"),
    ({"max_wait": 5, "id": "x"}, TypeError, "^max_wait: expected debounce beside it$"),
    ({"debounce": 2, "delay": 1, "on_conflict": "replace"}, TypeError,
     "^on_conflict, debounce: expected an id .*; debounce and delay both say when the job is due;"
     " debounce and on_conflict both say what happens to a job that waits: debounce means 'again'"),
    ({"debounce": 2, "at": NOW, "id": "x"}, TypeError, "^debounce and at both say when the job"),
    ({"debounce": 5, "max_wait": "4s", "id": "x"}, PayloadRejected,
     "max_wait is 4 s: expected at least the 5 s of debounce"),
    ({"debounce": 0, "id": "x"}, PayloadRejected, "debounce is 0.0: expected a time, such as"),
    ({"cooldown": "soon", "id": "x"}, PayloadRejected, "cooldown is 'soon': expected a time"),
    ({"id_retention": -1, "id": "x"}, PayloadRejected, "id_retention is -1.0: .* from 0 to a cent"),
    ({"id_retention": NOW, "id": "x"}, TypeError, "id_retention is a time in seconds or a timedel"),
    ({"on_conflict": "agian", "id": "x"}, PayloadRejected, "on_conflict is 'agian': expected"
     " 'existing', 'raise', 'replace', 'again', 'supersede'; did you mean 'again'"),
    ({"on_conflict": True, "id": "x"}, TypeError, "on_conflict is True: expected 'existing', "),
    ({"id_dead": "keep", "id": "x"}, PayloadRejected, "id_dead is 'keep': expected 'block'"),
    ({"ttl": 60}, TypeError, "no argument 'ttl': did you mean 'expires'"),
    ({"id": 5}, TypeError, 'id is a text or a UUID, not an object of type int: "5" is one'),
    ({"id": b"5"}, TypeError, "id is a text or a UUID"),
    ({"id": "\ud800"}, PayloadRejected, "id is '.ud800': expected a text"),
    ({"queue": 5}, TypeError, "queue is 5"),
    ({"retry": 3}, TypeError, "no argument 'retry': did you mean 'max_attempts'"),
    ({"countdown": 3}, TypeError, "no argument 'countdown': did you mean 'delay'"),
    ({"name": "Ada"}, TypeError, "no argument 'name': a handler's arguments go into handler"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "said"), REFUSED, ids=itertools.count())
def test_what_cannot_be_is_told_by_the_arguments_name(
    config: Path, rig: Rig, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with trioq.connect_sync(config) as client, pytest.raises(error, match=said):
        client.enqueue(**{"what": "greet", **options})
    assert rig.key("EXISTS", "jobs") == 0


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ("greet", "not a str"), (b"greet", "not a bytes"), ({"greet": {}}, "not a dict"),
        (None, "not a NoneType"), (5, "not a int"), (greet.call("Ada"), "not a single call"),
        (greet, "not a Handler"),
    ],
)  # fmt: skip
@pytest.mark.trio
async def test_what_is_not_many_calls_is_told_and_nothing_is_queued(
    config: Path, rig: Rig, calls: Any, said: str
) -> None:
    wanted = rf"enqueue_many takes calls, .*, {said}"
    async with trioq.connect(config) as client:
        with pytest.raises(TypeError, match=wanted):
            await client.enqueue_many(calls)
    with trioq.connect_sync(config) as sync, pytest.raises(TypeError, match=wanted):
        sync.enqueue_many(calls)
    assert rig.key("EXISTS", "jobs") == 0


@pytest.fixture
def rig(server: Server) -> Any:
    with rig_on(server) as made:
        yield made


@pytest.mark.trio
async def test_a_handler_that_was_called_in_place_is_told_so_and_does_not_run(
    config: Path, rig: Rig
) -> None:
    """No warning of a coroutine that nobody awaited comes later: it would be an error here."""
    ran.clear()
    wanted = r"not the coroutine greet\(\); handler\(…\) without \.call runs it here and now"
    async with trioq.connect(config) as client:
        with pytest.raises(TypeError, match=wanted):
            await client.enqueue(greet("a"))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=wanted):
            await client.enqueue_many([greet("a")])  # type: ignore[list-item]
        assert ran == []
        with pytest.raises(TypeError, match=r"not a int; handler\(…\) without \.call runs it here"):
            await client.enqueue(count("b"))  # type: ignore[arg-type]
    assert rig.key("EXISTS", "jobs") == 0


# -- a name's queue ----------------------------------------------------------------------------

names = itertools.count()


def app_in(tmp_path: Path, body: str) -> str:
    """A module of its own, that says when it is imported; the line for the configuration."""
    module = f"named_{next(names)}"
    (tmp_path / f"{module}.py").write_text(body)
    return f'app = "{module}:app"'


APP = """
import trioq
app = trioq.App()

@app.job("send_mail", queue="high")
async def send_mail(to: str) -> None: ...

@app.job("plain")
async def plain() -> None: ...
"""


@pytest.mark.trio
async def test_a_job_that_is_enqueued_by_name_goes_to_its_handlers_queue(
    server: Server, tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    config = configured(server, tmp_path, app_in(tmp_path, APP))
    async with trioq.connect(config) as client:
        mails = [await client.enqueue("send_mail", {"to": "Ada"})]
        (more,) = await client.enqueue_many([trioq.Call("send_mail", {"to": "Ada"}, "high")])
        others = [
            await client.enqueue("plain"),
            await client.enqueue("unknown"),
            await client.enqueue("send_mail", {"to": "Ada"}, queue="low"),
        ]
        converted = await client.enqueue("convert")
    with trioq.connect_sync(config) as sync:
        mails.append(sync.enqueue("send_mail", {"to": "Ada"}))
    high = {uid.decode() for uid in rig.key("LRANGE", "ready:high", 0, -1)}
    low = {uid.decode() for uid in rig.key("LRANGE", "ready:low", 0, -1)}
    assert high == {*(mail.uid for mail in mails), more.uid, converted.uid}
    assert low == {other.uid for other in others}


def test_the_app_is_imported_only_to_know_a_names_queue(
    server: Server, tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    config = configured(server, tmp_path, app_in(tmp_path, "raise SystemError('imported')"))
    with trioq.connect_sync(config) as client:
        client.enqueue(greet.call("Ada"))
        client.enqueue("convert")
        client.enqueue("send_mail", queue="high")
        with pytest.warns(RuntimeWarning, match="imported; jobs that are enqueued by name go to"):
            client.enqueue("send_mail")
        client.enqueue("send_mail")  # told once
    assert rig.key("LLEN", "ready:low") == 3
