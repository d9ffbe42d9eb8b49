"""Calls with one caller's id, searched to the end, and held to the scripts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from props.protocol.ids import SOUND, VARIANTS, Act, Setup, State, beginning, search, ways
from tests.store.drive import Driver, Sender
from tests.store.world import Clock
from tests.support import Server, new_job
from trioq.core.calls import Replacing, Taking, Unwanted
from trioq.core.limits import take_of_id
from trioq.core.settlements import Ack, DeadLetter, RetryAt
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

ID, LINE = "x", b'{"attempt":1}'
TAKES = (take_of_id(ID),)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server().start()
    yield server
    server.close()


@pytest.mark.parametrize("name", SOUND)
def test_no_promise_is_broken_in_any_state(name: str) -> None:
    states, found = search(SOUND[name])
    assert found is None
    assert states > 900


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    setup, promise = VARIANTS[name]
    _, found = search(setup)
    assert found is not None
    assert found.promise == promise


@attrs.define
class Beside:
    """The real server beside the searched one. Each job has a queue of its own, so that it can be
    claimed by itself, and each claim an engine of its own."""

    store: RedisStore
    sender: Sender
    uids: list[str] = attrs.field(factory=list[str])
    engines: dict[tuple[int, int], Driver] = attrs.field(factory=dict[tuple[int, int], Driver])
    """Who has made each claim: of which job, and as which of it."""

    def execute(self, act: Act, state: State) -> None:
        """Let the scripts do what the search has done, and answer what it has said."""
        at, store = act.job, self.store
        queue, claim = f"q{at}", (at, state.jobs[at].claim if at < len(state.jobs) else 0)
        match act.what:
            case "enqueue" | "take":
                self._bring(act)
            case "replace":
                job = new_job(queue, id=ID, uid=self.uids[at], takes=TAKES)
                replacing = Replacing(job, supersedes=True)
                replaced = store.replace(*self.sender.next(), replacing)
                word, *more = act.answer.split()
                assert replaced.word == word
                if word == "replaced" and more:
                    assert replaced.after == self.uids[int(more[0])]
                if replaced.word == "running":
                    assert (replaced.boot, replaced.step) == (self.engines[claim].engine, 1)
            case "claim":
                engine = self.engines[at, claim[1] + 1] = Driver(store, (queue,))
                assert engine.claim().uid == self.uids[at]
            case "cancel":
                unwanted = Unwanted(self.uids[at], queue, "noop")
                was = "asked" if state.jobs[at].where == "runs" else "cancelled"
                assert store.cancel(*self.sender.next(), [unwanted]) == [was]
            case "revive":
                revived = store.revive(*self.sender.next(), [(self.uids[at], queue)])
                assert revived.refused == ((self.uids[at],) if act.answer == "refused" else ())
            case "reap":
                boot = self.engines[claim].engine
                store.reap(boot, store.observe()[boot], 99)
            case ended:
                uid = self.uids[at]
                ends = {
                    "done": Ack(uid, 1), "retry": RetryAt(uid, 1, 0, 1, LINE),
                    "dead": DeadLetter(uid, 1, 1, "failures", LINE),
                }  # fmt: skip
                self.engines[claim].step(0, ends[ended])

    def _bring(self, act: Act) -> None:
        assert act.request is not None
        job = new_job(f"q{len(self.uids)}", id=ID, takes=TAKES)
        taking, seen = None, act.job
        if act.what == "take":
            how: Any = act.request.what
            by = self.engines.get((seen, act.request.claim))
            taking = Taking(self.uids[seen], how, by.engine if by else "", 1)
        enqueued = self.store.enqueue(*self.sender.next(), [job], taking=taking)
        if act.answer == "existing":
            assert enqueued.existing[0].uid == self.uids[act.job]
        assert enqueued.moved == (act.answer == "moved")
        if act.answer == "ok":
            self.uids.append(job.uid)

    def agrees(self, state: State) -> None:
        """The server holds what the search says."""
        call, keys = self.store.lane.call, self.store.keys
        holder = call("HGET", keys.fixed("ids"), ID)
        assert holder == (None if state.holder < 0 else self.uids[state.holder].encode())
        records = {uid.decode() for uid in call("HKEYS", keys.fixed("jobs"))}
        dead = {uid.decode() for uid in call("ZRANGE", keys.fixed("dead"), 0, -1)}
        took = {uid.decode() for uid in call("HKEYS", keys.fixed("took"))}
        for at, job in enumerate(state.jobs):
            assert (self.uids[at] in records) == (job.where in ("waits", "runs", "dead"))
            assert (self.uids[at] in dead) == (job.where == "dead")
            assert (self.uids[at] in took) == job.holds

    def nobody_claims_who_waits_for_another(self, state: State) -> None:
        """From then on those lie where who waits for a limit does."""
        is_held = any(job.holds for job in state.jobs)
        for at, job in enumerate(state.jobs):
            if job.where == "waits" and job.takes and is_held:
                assert not Driver(self.store, (f"q{at}",)).step(1)


@pytest.mark.parametrize("seed", range(12))
def test_the_scripts_do_what_the_search_says(server: Server, seed: int) -> None:
    """A random walk through the states, with the real server beside it."""
    choose = random.Random(seed)
    modes = tuple(choose.choice(["again", "again", "supersede", "replace"]) for _ in range(9))
    setup = Setup(
        modes, fails=3, reaps=2, deaths=2, cancels=2, revivals=2, leaves=2,
        id_dead=choose.choice(["block", "free"]),
    )  # fmt: skip
    server.call("FLUSHALL")
    store = server.store("t", StoreOptions(clock_ms=Clock(), id_retention_ms=0))
    beside, state = Beside(store, Sender(store)), beginning(setup)
    for _ in range(120):
        possible = list(ways(state, setup))
        if not possible:
            break
        (way,) = choose.choices(possible, [3 if move.free else 1 for move, _ in possible])
        move, act = way
        if act is not None:
            beside.execute(act, state)
        state = move.state
        beside.agrees(state)
        if choose.random() < 0.3:
            beside.nobody_claims_who_waits_for_another(state)
    store.lane.close()
