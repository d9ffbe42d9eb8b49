"""What can be seen of an engine from outside, as a value. Metrics and health checks ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from trioq.core.breaker import State
from trioq.store.inspect import Glance, Sample


@attrs.frozen
class Seen:
    """What one look saw, and when, by the engine's clock."""

    at: float
    glance: Glance
    stuck_s: float
    """How long the engine has claimed nothing although it could."""
    sample: Sample | None
    """The whole namespace, if it was this engine's turn to count."""
    ends: float
    """From when on this is too old to be shown."""


NOTHING: Mapping[str, int] = MappingProxyType({})


@attrs.frozen
class ShutBreaker:
    """A breaker that isn't closed, as the engine has it."""

    name: str
    jobs: tuple[str, ...]
    state: State
    since: float
    """By trio's clock."""
    reopens_at: float | None
    failures: int
    runs: int
    shared: bool
    on: Mapping[str, tuple[str, ...]]
    """Handler → the classes of which alone errors count, where it names some."""


@attrs.frozen
class Status:
    """An engine at one moment."""

    at: float
    """By the engine's clock."""
    name: str
    """The process's."""
    engine: str | None
    """The boot's, once it is registered; None also after the server has forgotten it."""
    roles: frozenset[str]
    draining: bool
    redis_away: bool
    """Whether calls go unanswered."""
    has_lease: bool
    """Whether enough is left of the lease to claim by it."""
    workers: int
    running: int
    waiting: int
    """Jobs that are claimed and that no worker has begun with."""
    breakers: Mapping[str, State]
    """Of all names that ever ran here."""
    lag_s: float
    """The longest that the loop was late in the last seconds."""
    seen: Seen | None
    """What the sampler saw last; None while Redis doesn't answer."""
    abandoned: Mapping[str, int] = NOTHING
    """Handlers that go on though their jobs were cancelled, by name; those in threads aside."""
    shut: tuple[ShutBreaker, ...] = ()
    """Breakers that aren't closed, each once."""
    shared: frozenset[str] = frozenset()
    """The names whose breaker all engines share."""
    asyncio_lag_s: float | None = None
    """The same of the loop in which handlers of asyncio run; None: there is none beside the
    engine's own, or not yet."""
    entering: str = ""
    """The lifespan that is being entered, before which no job is run; empty: none."""
    want: str | None = None
    """What the engine itself has too little of, so that it claims less; None: nothing."""

    @property
    def fresh(self) -> Seen | None:
        """What the sampler saw, if that isn't too old to be shown."""
        return self.seen if self.seen and self.at < self.seen.ends else None
