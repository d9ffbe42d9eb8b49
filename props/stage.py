"""An app whose handlers play acts, as ``async def`` or as ``def``.

What a handler does depends on nothing but its job, and it notes what it could see: two engines that
mean the same have it see the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Any, Protocol

import attrs

import trioq
from trioq.app import App

MARK: ContextVar[int] = ContextVar("mark")
"""Set by handlers, each of which must find it as it is outside of all."""


class Part(Protocol):
    """One handler's run."""

    @property
    def n(self) -> int:
        """Of its job."""

    @property
    def run(self) -> int:
        """How often this job has been run by now."""

    @property
    def seen(self) -> list[Any]:
        """What it notes."""


Acting = Callable[..., Any]


def in_the_loop(function: Acting) -> Acting:
    """An ``async def`` handler, of one that returns what is to be awaited."""

    @wraps(function)
    async def awaiting(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return awaiting


def in_a_thread(function: Acting) -> Acting:
    """A ``def`` handler."""
    return function


@attrs.frozen
class Role:
    """A payload's field that becomes an object."""

    n: int
    what: str = "returns nothing"

    def __attrs_post_init__(self) -> None:
        MARK.set(-1)
        if self.what == "refuses":
            raise SystemExit("no Exception")


#: What these return is kept, also where their jobs don't ask for it.
KEEPING = ("lean", "typed")

#: By name: how a payload of the job ``n`` that is to play ``what`` looks.
PAYLOADS: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "plain": lambda n, what: {"n": n, "what": what},
    "lean": lambda n, what: {"n": n, "what": what, "more": [1, {"x": None}]},
    "told": lambda n, what: {"n": n} if what == "returns nothing" else {"n": n, "what": what},
    "typed": lambda n, what: {"role": {"n": n, "what": what}},
    "careful": lambda n, what: {"n": n, "what": what},
}


@attrs.define
class Stage:
    """Handlers that do as their payloads say.

    Args:
      part: Of the job ``n``, its run, and what it notes.
      acts: By name.
      where: Makes handlers of functions.
      timeout_s: Theirs.
    """

    part: Callable[[int, int, list[Any]], Part]
    acts: Mapping[str, Callable[[Any], Any]]
    where: Callable[[Acting], Acting]
    timeout_s: float
    app: App = attrs.field(factory=App)
    seen: dict[int, list[Any]] = attrs.field(factory=lambda: defaultdict[int, list[Any]](list))
    """By job."""
    runs: Counter[int] = attrs.field(factory=Counter[int])

    def __attrs_post_init__(self) -> None:
        def plain(n: int, what: str) -> Any:
            return self.play(n, what)

        def lean(**fields: Any) -> Any:
            return self.play(fields["n"], fields["what"])

        def told(job: trioq.Job, n: int, what: str = "returns nothing") -> Any:
            self.seen[n].append((job.name, job.attempt, job == trioq.current_job()))
            return self.play(n, what)

        def typed(role: Role) -> Any:
            return self.play(role.n, role.what)

        def careful(n: int, what: str) -> Any:
            return self.play(n, what)

        again = trioq.Retry(max_attempts=2, base=1.0, cap=1.0, jitter=0.0)
        for function in (plain, lean, told, typed, careful):
            name = function.__name__
            on_loss: Any = "cancel" if name == "careful" else "continue"
            register = self.app.job(
                name,
                timeout=self.timeout_s,
                retry=again,
                on_lease_loss=on_loss,
                result="1h" if name in KEEPING else None,
                raises=[ValueError, trioq.GiveUp],
            )
            register(self.where(function))

    def play(self, n: int, what: str) -> Any:
        """What the act returns: of one in the loop, what is to be awaited."""
        self.runs[n] += 1
        part = self.part(n, self.runs[n], self.seen[n])
        part.seen.append(MARK.get(None))
        return self.acts[what](part)
