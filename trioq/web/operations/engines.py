"""What is done to engines."""

from __future__ import annotations

from typing import Annotated, Any

import attrs

from trioq.web.operations.operation import Acting, Operation
from trioq.web.problems import Problem
from trioq.web.who.roles import Role


@attrs.frozen(kw_only=True)
class Drain:
    """Which, and why."""

    engine: Annotated[str, "Its id, or its name."]
    reason: Annotated[str, "Why, for its log."] = ""


def _drain(acting: Acting, what: Drain) -> dict[str, Any]:
    found = acting.admin.drain_engine(what.engine, what.reason, by=acting.user.name)
    if found is None:
        raise Problem(404, "No such engine", f"no engine {what.engine[:200]!r} lives")
    return {"engine": found, "asked": True, "done": "it was asked to drain, and ends then"}


OPERATIONS = (
    Operation(
        name="engines.drain",
        role=Role.admin,
        does="Have an engine drain: it claims no more, finishes what it runs, and ends.",
        takes=Drain,
        run=_drain,
        is_grave=True,
    ),
)
