"""What lies between the tests and their servers: nothing, or a network with one habit.

``TRIOQ_TEST_NETWORK`` names it, for the whole run, and the tests pass unchanged:

    direct    nothing (the default)
    twice     every script is executed twice
    lost      the first reply to every request of a script is lost, and the connection with it

``make faults`` runs the suite on each of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tests.faults.proxy import Call, LoseReply, Proxy, Rule, Twice, named
from tests.faults.resp import SCRIPTS
from trioq.errors import StoreUnreachable
from trioq.store.lane import Lane
from trioq.store.scripts import Script

NETWORK = os.environ.get("TRIOQ_TEST_NETWORK", "direct")

#: A second execution of these is harmless but told otherwise, so that who sends them again
#: doesn't learn what the first one did. An engine knows how to live with that; a test that
#: calls the store by itself, on a lane that isn't named as the product names them, doesn't.
TOLD_OTHERWISE = frozenset({"register", "reap", "expire_parked"})


def between(server: str, path: str) -> Proxy | None:
    """The network in front of this server's socket, listening at ``path``."""
    if NETWORK == "direct":
        return None
    proxy = Proxy(server, path)
    proxy.add(HABITS[NETWORK]())
    return proxy.start()


def _answer_matters_not(call: Call) -> bool:
    return call.name in SCRIPTS and (
        call.lane.startswith("trioq:") or call.name not in TOLD_OTHERWISE
    )


HABITS = {
    "twice": lambda: Rule(Twice(), named(), times=None),
    "lost": lambda: Rule(LoseReply(), _answer_matters_not, times=None, spare_repeats=True),
}


class ResendingLane(Lane):
    """Sends a script again when its reply is lost, as the engine and the clients do."""

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Any], **behind: Any) -> Any:
        try:
            return super().run(script, keys, args, **behind)
        except StoreUnreachable as error:
            if not error.sent or script.name in TOLD_OTHERWISE:
                raise
        return super().run(script, keys, args)
