"""Lines before full queues, searched to the end, and held to the scripts."""

from __future__ import annotations

import random
from contextlib import suppress

import attrs
import pytest

from props.conftest import IS_LONG
from props.protocol.line import (
    SOUND,
    VARIANTS,
    Answer,
    Place,
    Request,
    Setup,
    State,
    beginning,
    moves,
    search,
)
from props.protocol.searched import all_is_found, nothing_is_found
from tests.dump import dump
from tests.store.drive import Driver
from tests.support import Server, new_job
from trioq.core.calls import Enqueuer, MustWait, NewJob
from trioq.errors import StoreError
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

NOW_MS = 1_764_000_000_000


test_first_come_are_first_served_once_and_nobody_waits_for_ever = nothing_is_found(search, SOUND)
test_the_search_finds_what_is_wrong_with = all_is_found(search, VARIANTS)


@attrs.define
class Beside:
    """Does at a server what is done in a state. Its clock stands still: what time does to a place
    is written into it."""

    store: RedisStore
    jobs: list[list[NewJob]]
    engine: Driver
    numbers: list[int]
    """The last ones that the server knows of each."""

    @classmethod
    def of(cls, store: RedisStore, setup: Setup) -> Beside:
        store.enqueue("before", 1, [new_job() for _ in range(setup.there)])
        jobs = [[new_job() for _ in range(count)] for count in setup.wants]
        return cls(store, jobs, Driver(store, ("low",)), [0] * len(jobs))

    def execute(self, request: Request) -> Answer | None:
        """The server's answer, if the client waits for one."""
        who, jobs, client = request.who, self.jobs[request.who], f"client-{request.who}"
        if request.verb == "step aside":
            self.store.step_aside("low", [jobs[0].uid])
            return None
        if request.verb == "ask":
            (end,) = self.store.wait_for(client, [(jobs[0].uid, None)])
            return Answer(who, "live" if end.state == "live" else "room")
        number = self.numbers[who] + request.number
        self.numbers[who] = max(number, self.numbers[who])
        try:
            self.store.enqueue(client, number, jobs, who=Enqueuer(client, request.nth))
        except MustWait as full:
            return Answer(who, "wait", full.nth)
        return Answer(who, "ok")

    def seen(self) -> tuple[int, int, tuple[tuple[int, int, bool], ...]]:
        """How many jobs are there, how many have lined up, and the line: nth, who, is told."""
        found = dump(self.store)
        who = {jobs[0].uid: who for who, jobs in enumerate(self.jobs)}
        rows = [line.split() for line in found.line.get("low", ())]
        line = tuple((int(row[1]), who[row[0]], row[3] == "0") for row in rows)
        waiting = found.queues["low"].ready if "low" in found.queues else ()
        return len(waiting), found.stats.get("lined_up", 0), line

    def let_time_be(self, line: tuple[Place, ...]) -> None:
        """Who is silent in the state hasn't asked for long, and all others have just asked."""
        key = self.store.keys.fixed("enqueuers")
        for place in line:
            uid = self.jobs[place.who][0].uid
            nth, _, tried, rest = self.store.lane.call("HGET", key, uid).split(b" ", 3)
            till = b"1" if place.is_silent else b"%d" % (2 * NOW_MS)
            tried = b"0" if tried == b"0" else b"1"
            self.store.lane.call("HSET", key, uid, b" ".join([nth, till, tried, rest]))


def state_of(state: State) -> tuple[int, int, tuple[tuple[int, int, bool], ...]]:
    """What of a state can be seen at a server."""
    line = tuple((place.nth, place.who, place.is_told) for place in state.line)
    return state.there, state.lined_up, line


@pytest.mark.parametrize("seed", range(100 if IS_LONG else 20))
def test_the_scripts_do_what_the_search_says(shared_server: Server, seed: int) -> None:
    choose = random.Random(seed)
    most = choose.randint(1, 3)
    setup = Setup(
        tuple(choose.randint(1, most) for _ in range(4)), most, most, claims=8, resends=4, lost=3,
        deaths=1, leaves=1, silences=2,
    )  # fmt: skip
    shared_server.call("FLUSHALL")
    options = StoreOptions(
        clock_ms=lambda: NOW_MS, max_lengths={"low": most}, when_full={"low": "wait"}
    )
    store = shared_server.store(options=options)
    beside, state = Beside.of(store, setup), beginning(setup)
    for _ in range(200):
        possible = list(moves(state, setup))
        if not possible:
            break
        move = choose.choice(possible)
        executed = [each for each in state.net if move.text == f"the server: {each}"]
        for request in executed:
            assert isinstance(request, Request)
            if request.is_live:
                assert beside.execute(request) in move.state.net, move.text
            else:
                with suppress(StoreError):
                    beside.execute(request)
        if move.text == "a job is claimed":
            assert len(beside.engine.step(1)) == 1
        state = move.state
        assert beside.seen() == state_of(state), move.text
        beside.let_time_be(state.line)
    store.lane.close()
