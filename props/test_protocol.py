"""The protocol of engines, clients and server: searched to the end, and held to the scripts."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from props.protocol.moves import moves
from props.protocol.replay import Replay
from props.protocol.search import search
from props.protocol.server import VERBS
from props.protocol.setups import LONG, QUICK, Setup
from props.protocol.variants import VARIANTS
from props.protocol.world import Budget, beginning
from tests.store.world import Clock
from tests.support import Server
from trioq.store.protocol import StoreOptions
from trioq.store.scripts import all_scripts

IS_LONG = os.environ.get("TRIOQ_TEST_PROPS") == "long"
SETUPS = {**QUICK, **(LONG if IS_LONG else {})}

#: Scripts that the search leaves out, and why that can be.
LEFT_OUT = {
    "replace": "moves no job; calls with one id are searched by themselves",
    "revive": "a client's numbered write, as enqueue and cancel are",
    "purge": "the same",
    "purge_dead": "the same",
    "pause": "the same; of a key it is searched, as what somebody does at once",
    "forget_queues": "moves no job",
    "wait_for": "moves no job; what is told is lost or not, and asked for again",
    "step_aside": "moves no job; who waits for room is searched by itself",
    "note": "moves no job",
    "note_files": "moves no job",
    "set_limits": "moves no job: what it opens, whoever frees something opens too",
    "declare_limits": "moves no job; which settings hold is searched by itself",
    "schedule": "moves no job; ticks are searched by themselves",
    "list_schedules": "moves no job",
    "ring_bells": "moves no job",
    "breakers": "moves no job; who may have a probe is searched by itself",
    "reset_breaker": "moves no job",
    "hasten": "moves no job: the next step does, as if its time had come",
    "expire_parked": "moves parked jobs to the dead; no claim and no number is involved",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server().start()
    yield server
    server.close()


@pytest.mark.parametrize("name", SETUPS)
def test_no_promise_is_broken_in_any_state(name: str) -> None:
    result = search(SETUPS[name])
    assert result.complete, f"{result.states} states and no end"
    assert result.findings == ()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    variant = VARIANTS[name]
    result = search(variant.setup, 50_000, until=variant.breaks)
    assert variant.breaks in {finding.promise for finding in result.findings}


def test_the_same_setups_without_the_variant_are_sound() -> None:
    """So that it is the variant that is found, not the setup."""
    for name, variant in VARIANTS.items():
        setup = variant.setup._replace(rules=type(variant.setup.rules)())
        if not setup.copies_survive:
            result = search(setup)
            assert (result.complete, result.findings) == (True, ()), name


def test_every_script_is_searched_or_left_out_for_a_reason() -> None:
    searched = {"register", "beat", "step", "sign_off", "reap", "enqueue", "cancel"}
    assert searched | set(LEFT_OUT) == {script.name for script in all_scripts()}


def test_the_page_says_what_was_tried_instead_and_what_that_breaks() -> None:
    page = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()
    rows = page.partition("| instead | breaks |\n| --- | --- |\n")[2].partition("\n\n")[0]
    tried = [f"| {name} | {variant.breaks} |" for name, variant in VARIANTS.items()]
    assert rows.splitlines() == tried


@pytest.mark.parametrize("seed", range(300 if IS_LONG else 15))
def test_the_scripts_do_what_the_search_says(server: Server, seed: int) -> None:
    """A random walk through the states, with the real server beside it."""
    choose = random.Random(seed)
    verbs = tuple(choose.sample(VERBS, 2))
    limit = choose.choice([0, 0, 1, 2, 3])
    setup = Setup(
        engines=2, queues=choose.randint(1, 2), jobs=choose.randint(2, 7),
        new=choose.randint(0, 2), want=choose.randint(1, 6), verbs=verbs, at_once=False,
        limit=limit, unbound=choose.randint(0, 2) if limit else 0,
        budget=Budget(resends=6, kills=5, reaps=5, beats=5, stops=4, odd=40, cancels=4, pauses=4),
    )  # fmt: skip
    server.call("FLUSHALL")
    clock = Clock()
    options = StoreOptions(clock_ms=clock, pack_max=choose.randint(1, 4))
    store = server.store("t", options)
    replay, world = Replay(store, setup), beginning(setup)
    for _ in range(250):
        possible = list(moves(world, setup))
        if not possible:
            break
        # Mostly no fault, so that engines come to hold something before the next.
        (move,) = choose.choices(possible, [6 if move.free else 1 for move in possible])
        replay.pause(world.server.pause, move.world.server.pause, clock)
        world = move.world
        if move.executes is not None:
            replay.execute(move.executes)
            assert replay.state(world.server) == world.server, str(move)
    store.lane.close()
