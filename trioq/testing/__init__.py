"""What applications are tested with: one namespace in virtual time, in the test's own process.

    async def test_a_charge_is_made_once(tq):
        await tq.client.enqueue(charge.call(order=7))
        await tq.drain()

The fixture ``tq`` is a :class:`World`. Nothing here is loaded before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trioq.testing.clock import NothingHappens
    from trioq.testing.deaths import JobsDied
    from trioq.testing.draining import Drained, NeverEnds
    from trioq.testing.engines import Running
    from trioq.testing.exploring.explorer import Explored
    from trioq.testing.exploring.functional import explore
    from trioq.testing.exploring.marks import mark
    from trioq.testing.exploring.report import Counterexample, Unsteady
    from trioq.testing.looking import Seen
    from trioq.testing.performing import Verdict
    from trioq.testing.standstill import NothingMoves
    from trioq.testing.world import World

__all__ = [
    "Counterexample",
    "Drained",
    "Explored",
    "JobsDied",
    "NeverEnds",
    "NothingHappens",
    "NothingMoves",
    "Running",
    "Seen",
    "Unsteady",
    "Verdict",
    "World",
    "explore",
    "mark",
]

_HOMES = {
    "Counterexample": "trioq.testing.exploring.report",
    "Drained": "trioq.testing.draining",
    "Explored": "trioq.testing.exploring.explorer",
    "JobsDied": "trioq.testing.deaths",
    "NeverEnds": "trioq.testing.draining",
    "NothingMoves": "trioq.testing.standstill",
    "Seen": "trioq.testing.looking",
    "Unsteady": "trioq.testing.exploring.report",
    "explore": "trioq.testing.exploring.functional",
    "mark": "trioq.testing.exploring.marks",
    "Verdict": "trioq.testing.performing",
    "NothingHappens": "trioq.testing.clock",
    "Running": "trioq.testing.engines",
    "World": "trioq.testing.world",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'trioq.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
