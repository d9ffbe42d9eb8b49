"""A job to be: what a registered function's ``call`` makes, and a client enqueues."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Never, Protocol
from uuid import UUID

import attrs

from trioq.core.arguments import INHERIT, Inherit, Keep, Seconds, When, queue_name, refuse_unknown
from trioq.core.call_options import NO_CALL_OPTIONS, CallOptions, check, over
from trioq.core.flow import Limit
from trioq.core.same import IdDead, OnConflict

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    R_co = TypeVar("R_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)


class Expected(Protocol):
    """What a handler's function says of how its jobs end, for who waits for one."""

    @property
    def result_s(self) -> float | None:
        """For how many seconds results are kept; None: they aren't."""

    @property
    def returns(self) -> Any:
        """The declared return type; ``Any`` takes JSON as it is."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What its jobs take of, over all engines."""

    @property
    def id_from(self) -> tuple[str, ...]:
        """The fields of a payload that its jobs' ids are made of; none: they have none."""

    @property
    def raises(self) -> Sequence[type[Exception]]:
        """Errors that are raised again as themselves where a job died of one."""


@attrs.frozen
class Call(Generic[R_co]):
    """A handler's name and the arguments of one run, to be enqueued; ``R_co``: what it returns."""

    name: str
    payload: dict[str, Any]
    queue: str | None = None
    """The handler's own; None: the configuration's default."""
    expected: Expected | None = attrs.field(default=None, eq=False, repr=False)
    """None: nobody here knows the handler."""
    options: CallOptions = NO_CALL_OPTIONS
    """What :meth:`with_options` has said, by the names that these have there."""

    def with_options(
        self,
        *,
        queue: str | None = None,
        delay: Seconds | None = None,
        at: datetime | None = None,
        id: str | UUID | None = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        result: Keep | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        on_conflict: OnConflict | None = None,
        debounce: Keep | None = None,
        max_wait: Keep | None = None,
        cooldown: Keep | None = None,
        id_retention: Keep | None = None,
        id_dead: IdDead | None = None,
        **unknown: Never,
    ) -> Call[R_co]:
        """The same call, with options of its own for each of many, or for whoever enqueues it.

        What the enqueue says itself goes before this, and what is said later before what was said
        earlier. A time from now counts from the enqueue. ``delay``, ``at`` and ``debounce`` all
        say when it is due: one takes the place of another that was said before.

        Args:
          All: As of :meth:`trioq.Client.enqueue`. ``enqueue_many`` queues nothing where one asks
              for more than to be answered with the job that has its id: for another
              ``on_conflict`` than ``existing``, for ``debounce``, or for ``id_dead="free"``.

        Raises:
          TypeError: Arguments are of the wrong kind or contradict each other; all are named.
          PayloadRejected: No job can have these; all are named.
        """
        refuse_unknown(unknown, "with_options")
        given = {
            "delay": delay, "at": at, "id": id, "max_attempts": max_attempts,
            "timeout": timeout, "result": result, "deadline": deadline, "expires": expires,
            "fair_key": fair_key, "weight": weight, "on_conflict": on_conflict,
            "debounce": debounce, "max_wait": max_wait, "cooldown": cooldown,
            "id_retention": id_retention, "id_dead": id_dead,
        }  # fmt: skip
        options = over(self.options, given)
        check(options if queue is None else options | {"queue": queue})
        return attrs.evolve(self, queue=queue_name(queue) or self.queue, options=options)
