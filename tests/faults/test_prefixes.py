"""Every moment at which a server can have died, or a replica can have been promoted.

A workload that uses every script is written to an append-only file. Each prefix of it that
ends between two units, a command or a whole transaction, is a data set that somebody may find
one day: every one of them must be sound, and what is in it can all be done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dump import dump
from tests.faults.resp import Frames, arguments
from tests.invariants import assert_sound
from tests.store.drive import Driver
from tests.store.test_refusals import NOW_MS, OPERATIONS, build
from tests.support import Server, wait_until
from trioq.core.calls import Admit
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"

pytestmark = [pytest.mark.direct, pytest.mark.timeout(900 if LONG else 300)]

#: Comes before the run ends that it is about.
TAKEN = "take the id of a run"
#: Others do the same to the same engine and the same run.
LEFT_OUT = ("reap", "take the id of a run that shall end")


@pytest.fixture
def workload(own_server: Server) -> tuple[Path, list[bytes]]:
    """The directory of the file, and its units."""
    clock = [NOW_MS]
    store = own_server.store("t", StoreOptions(clock_ms=lambda: clock[0]))
    world = build(store, clock)
    for name in (TAKEN, *(name for name in OPERATIONS if name not in (TAKEN, *LEFT_OUT))):
        OPERATIONS[name](world)
    assert_sound(dump(store))
    store.lane.close()
    own_server.kill()
    (piece,) = (own_server.directory / "appendonlydir").glob("*.incr.aof")
    return piece, list(units(piece.read_bytes()))


def units(text: bytes) -> Iterator[bytes]:
    """A command, or all from MULTI to EXEC: what the server loads whole or not at all."""
    unit, is_open = b"", False
    for frame in Frames().feed(text):
        word = arguments(frame)[0].upper()
        unit += frame
        is_open = (is_open or word == b"MULTI") and word != b"EXEC"
        if not is_open:
            yield unit
            unit = b""
    assert unit == b""


def test_every_prefix_of_the_append_only_file_is_sound(
    workload: tuple[Path, list[bytes]], store: RedisStore
) -> None:
    """Replayed unit by unit, on another server."""
    _, all_units = workload
    assert len(all_units) > 40
    for unit in all_units:
        commands = [tuple(arguments(frame)) for frame in Frames().feed(unit)]
        store.lane.pipeline(commands)
        assert_sound(dump(store))
    assert dump(store).stats["done"] > 0, "it was the workload"


def test_what_a_prefix_holds_can_all_be_done(
    workload: tuple[Path, list[bytes]], own_server: Server
) -> None:
    """Loaded by a server, whose engines are all dead."""
    piece, all_units = workload
    ends = range(1, len(all_units) + 1, 1 if LONG else max(1, len(all_units) // 12))
    for end in ends:
        piece.write_bytes(b"".join(all_units[:end]) + all_units[-1][:7])  # and a torn one
        own_server.start()
        store = own_server.store("t")
        before = dump(store)
        assert_sound(before)
        do_all(store)
        after = dump(store)
        assert_sound(after)
        assert after.jobs.keys() == after.dead.keys() | set(later(store))
        assert before.jobs.keys() >= after.jobs.keys()
        store.lane.close()
        own_server.kill()


def do_all(store: RedisStore) -> None:
    """What engines do that find this data set."""
    for engine, beats in store.observe().items():
        store.reap(engine, beats, 99)
    for n, queue in enumerate(dump(store).paused, 1):
        store.pause("operator", n, queue, False)
    store.set_limits({"slow": LimitSettings()}, 9)  # it admits a start an hour
    engine = Driver(store, ("high", "low", "other", "limited", "crowded", "roomy"))

    def nothing_left() -> bool:
        doors = dump(store).doors
        admits = tuple(Admit(queue, name, 99) for queue, name in doors)
        claims = engine.step(99, admits=admits)
        engine.step(0, *(Ack(claim.uid, engine.n) for claim in claims))
        now = dump(store)
        return now.jobs.keys() == now.dead.keys() | set(later(store))

    wait_until(nothing_left)
    store.sign_off(engine.engine)


def later(store: RedisStore) -> Iterator[str]:
    """Jobs that aren't due for a long while yet."""
    seconds, _ = store.lane.call("TIME")
    for queue in dump(store).queues.values():
        for uid, due_ms in queue.scheduled.items():
            if due_ms > (int(seconds) + 10) * 1000:
                yield uid
