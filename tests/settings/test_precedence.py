"""Where a setting stands in several places, which one holds: as one table, in a real engine.

Option of the call, then the handler's (decorator or ``[commands.NAME]``), then its queue's, then
``[worker]``'s; and of the places of a key: environment, file, default.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import attrs
import pytest
import trio

import trioq
from tests.settings.observed.place import Place

from tests.support import Server, trioq as command_line  # isort: skip
from trioq.core.events import JobDied, JobFailed

#: Place → timeout in seconds; the first that is given holds, be it the longest or the shortest.
TIMEOUTS = {"call": 0.13, "handler": 0.11, "queue": 0.14, "worker": 0.12}
ATTEMPTS = {"call": 2, "handler": 1, "worker": 3}

KINDS = ("function", "command")


@attrs.frozen
class Given:
    """Where a job's setting is given, besides ``[worker]``."""

    kind: str
    call: bool
    handler: bool
    queue: bool

    def expected(self, values: dict[str, float]) -> float:
        places = [p for p in values if p == "worker" or getattr(self, p)]
        return values[places[0]]

    @property
    def name(self) -> str:
        return f"{self.kind}-{'own' if self.handler else 'plain'}"


WHETHER = (False, True)
ALL = [Given(*each) for each in itertools.product(KINDS, WHETHER, WHETHER, WHETHER)]


@pytest.fixture
def place(server: Server, tmp_path: Path) -> Place:
    return Place(server, tmp_path, "namespace", "t")


@pytest.mark.trio
async def test_of_several_timeouts_the_nearest_to_the_job_holds(place: Place) -> None:
    place.configure(
        worker={"timeout": TIMEOUTS["worker"], "max_attempts": 1, "count": 32},
        queues=[{"name": "high", "timeout": TIMEOUTS["queue"]}, {"name": "low"}],
        commands={
            "command-plain": {"argv": ["sleep", "60"]},
            "command-own": {"argv": ["sleep", "60"], "timeout": TIMEOUTS["handler"]},
        },
    )

    @place.app.job("function-plain")
    async def plain() -> None:
        await trio.sleep_forever()

    place.app.job("function-own", timeout=TIMEOUTS["handler"])(plain.registered.function)
    wanted = {}
    with place.client() as client:
        for given in ALL:
            handle = client.enqueue(
                given.name,
                {},
                queue="high" if given.queue else "low",
                timeout=TIMEOUTS["call"] if given.call else None,
            )
            wanted[handle.uid] = f"took longer than {given.expected(TIMEOUTS):g} s"
    async with place.running():
        died = await place.reported(JobDied, len(ALL))
    assert {event.uid: event.error.message for event in died} == wanted


@pytest.mark.trio
async def test_of_several_numbers_of_attempts_the_nearest_to_the_job_holds(place: Place) -> None:
    place.configure(
        worker={
            "max_attempts": ATTEMPTS["worker"],
            "backoff": {"base": 0.003, "cap": 1, "jitter": 0},
        },
        circuit_breaker={"min_samples": 1000},
        commands={
            "command-plain": {"argv": ["false"]},
            "command-own": {"argv": ["false"], "max_attempts": ATTEMPTS["handler"]},
        },
    )

    @place.app.job("function-plain")
    async def plain() -> None:
        raise ValueError("no")

    own = trioq.Retry(max_attempts=ATTEMPTS["handler"], base=0.005, cap=1, jitter=0)
    place.app.job("function-own", retry=own)(plain.registered.function)
    given_of, wanted = {}, {}
    with place.client() as client:
        for given in ALL:
            attempts = ATTEMPTS["call"] if given.call else None
            handle = client.enqueue(given.name, {}, max_attempts=attempts)
            given_of[handle.uid] = given
            wanted[handle.uid] = given.expected(dict(ATTEMPTS))
    async with place.running():
        died = await place.reported(JobDied, len(ALL))
    assert {event.uid: event.attempt for event in died} == wanted
    for failed in place.of(JobFailed):
        # A command has no waits of its own; a decorator's are above [worker]'s.
        base = 0.005 if given_of[failed.uid].name == "function-own" else 0.003
        assert failed.again_in_s == base * 2 ** (failed.attempt - 1), given_of[failed.uid]


@pytest.mark.trio
async def test_an_option_of_the_call_leaves_the_handlers_waits_alone(place: Place) -> None:
    place.configure(worker={"max_attempts": 1})

    @place.app.job("fails", retry=trioq.Retry(max_attempts=1, base=0.005, cap=0.005, jitter=0))
    async def fails() -> None:
        raise ValueError("no")

    place.enqueue("fails", max_attempts=2)
    async with place.running():
        (died,) = await place.reported(JobDied)
    assert died.attempt == 2
    assert [failed.again_in_s for failed in place.of(JobFailed)] == [0.005]


@pytest.mark.parametrize(
    ("what", "queue", "expected"),
    [
        ("plain", None, "b"),
        ("plain", "c", "c"),
        ("function", None, "a"),
        ("function", "c", "c"),
        ("command", None, "a"),
        ("command", "c", "c"),
    ],
)
@pytest.mark.parametrize("way", ["client", "calls", "command line"])
def test_of_several_queues_the_nearest_to_the_job_holds(
    place: Place, what: str, queue: str | None, expected: str, way: str
) -> None:
    (place.directory / "handlers_with_queues.py").write_text(
        "import trioq\napp = trioq.App()\n"
        "@app.job('function', queue='a')\ndef function(): ...\n"
        "@app.job('plain')\ndef plain(): ...\n"
    )
    place.configure(
        app="handlers_with_queues:app",
        queues=[{"name": name} for name in "abcd"],
        default_queue="b",
        commands={"command": {"argv": ["true"], "queue": "a"}},
    )
    if way == "command line":
        option = ["--queue", queue] if queue else []
        ended = command_line("enqueue", place.path, what, *option, cwd=place.directory)
        assert ended.returncode == 0, ended.stderr
    else:
        own = {"function": "a"}.get(what)
        call = trioq.Call(what, {}, own) if what != "command" else what
        with place.client() as client:
            if way == "calls" and isinstance(call, trioq.Call):
                client.enqueue_many([call], queue=queue)
            else:
                client.enqueue(call, queue=queue)
    with place.admin() as admin:
        ready = {name: q.ready for name, q in admin.stats().queues.items() if q.ready}
    assert ready == {expected: 1}


@pytest.mark.trio
@pytest.mark.parametrize(
    ("environment", "file", "expected"),
    [("120ms", "110ms", 0.12), (None, "110ms", 0.11), ("120ms", None, 0.12)],
)
async def test_the_environment_is_above_the_file(
    place: Place,
    environment: str | None,
    file: str | None,
    expected: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if environment is not None:
        monkeypatch.setenv("TRIOQ_WORKER__TIMEOUT", environment)
    place.configure(worker={"timeout": file} if file else {})

    @place.app.job("endless")
    async def endless() -> None:
        await trio.sleep_forever()

    place.enqueue("endless")
    async with place.running():
        (failed,) = await place.reported(JobFailed)
    assert failed.error.message == f"took longer than {expected:g} s"


def test_where_nothing_is_said_the_default_holds(place: Place) -> None:
    place.configure()
    with place.client() as client:
        client.enqueue("any", {})
    with place.admin() as admin:
        assert admin.stats().queues["low"].ready == 1, "the last queue"
