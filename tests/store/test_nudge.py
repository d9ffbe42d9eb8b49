"""Waits at the server end when they should, whenever its own clock would end them."""

from __future__ import annotations

import pytest

from tests.store.conftest import Fake
from tests.support import Server, wait_until
from trioq.errors import StoreUnreachable
from trioq.store.nudge import AGAIN_S, NUDGE, blocks_s

WAIT_S = 0.005
NOTHING = b"*-1\r\n"


@pytest.mark.parametrize("nudges", [0, 1, 2, len(AGAIN_S) + 1])
def test_a_wait_that_has_not_ended_is_nudged_until_it_has(fake: Fake, nudges: int) -> None:
    peer = fake([*[b""] * nudges, NOTHING + b":7\r\n"])
    lane = peer.lane()
    commands = [("BLPOP", "k", "1"), ("LLEN", "k")]
    assert lane.pipeline(commands, wait_s=60.0 if nudges == 0 else WAIT_S) == [None, 7]
    assert peer.received[1:] == [NUDGE] * nudges
    lane.close()


def test_a_server_that_does_not_hear_the_nudges_has_its_timeout_and_no_more(fake: Fake) -> None:
    peer = fake([b""] * 100)
    lane = peer.lane(socket_timeout=0.05)
    with pytest.raises(StoreUnreachable):
        lane.pipeline([("BLPOP", "k", "1")], wait_s=WAIT_S)
    wait_until(lambda: peer.ended)
    assert peer.received[1:] == [NUDGE] * (len(AGAIN_S) + 1)
    lane.close()


def test_a_server_is_nudged_when_the_wait_is_over_for_it_too() -> None:
    for wait_s in (0.005, 0.1234, 1.0):
        assert 0.001 < wait_s - blocks_s(wait_s) < 0.004
    assert blocks_s(0.0) > 0, "without end"


def test_a_server_does_not_answer_a_nudge(server: Server) -> None:
    lane = server.lane()
    for n in range(10):
        waited = [("BLPOP", "nobody:bell", blocks_s(WAIT_S)), ("ECHO", str(n))]
        assert lane.pipeline(waited, wait_s=WAIT_S) == [None, str(n).encode()]
    assert lane.call("ECHO", "and then") == b"and then"
    assert lane.generation == 1
    lane.close()
