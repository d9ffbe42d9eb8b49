"""A job to be: what a registered function's ``call`` makes, and a client enqueues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol

import attrs

from trioq.core.flow import Limit

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
