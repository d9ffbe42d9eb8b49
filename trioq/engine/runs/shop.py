"""What the workers of an engine share."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import trio

from trioq.core.events import Report
from trioq.engine.appetite import Appetite
from trioq.engine.backlog import Backlog
from trioq.engine.handlers import Handler
from trioq.engine.runs.aside import Aside
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.done import DoneTeller
from trioq.engine.runs.ends import Ends
from trioq.engine.runs.hands import Hands
from trioq.engine.runs.patience import Patience
from trioq.engine.runs.plan import Plans
from trioq.engine.runs.rules import Rules
from trioq.engine.runs.run import Runs
from trioq.engine.runs.settle import Teller
from trioq.engine.runs.spree import Spree
from trioq.engine.runs.turn import Turn
from trioq.engine.tracer import Tracer


@attrs.frozen(kw_only=True)
class Shop:
    """An engine's."""

    backlog: Backlog
    runs: Runs
    handlers: Mapping[str, Handler]
    queues: frozenset[str]
    """Those that this engine claims from."""
    rules: Rules
    grace_s: float
    """What a handler has for its end, when somebody wants that."""
    breakers: Breakers
    appetite: Appetite
    aside: Aside | None
    threads: trio.CapacityLimiter
    teller: Teller
    done_teller: DoneTeller
    turn: Turn
    ends: Ends
    report: Report
    plans: Plans
    hands: Hands
    tracer: Tracer | None

    def spree(self) -> Spree:
        """For one worker."""
        return Spree(self.backlog, self.plans, self.done_teller, self.tracer)

    def patience(self, nursery: trio.Nursery) -> Patience:
        """For one worker, in a nursery of its own."""
        return Patience(
            nursery,
            self.grace_s,
            self.rules,
            self.runs,
            self.breakers,
            self.appetite,
            self.ends,
            self.teller,
        )
