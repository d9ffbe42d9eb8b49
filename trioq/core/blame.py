"""What an error says: that its job is wrong, or that what the handler depends on is away.

A breaker that counted each bad input would open for the good ones too, and let one job through
in every cooldown. So errors that Python's own operations raise on a value that doesn't fit are
the job's; others count, and so do timeouts. The sorting is that of Polly's ``ShouldHandle`` and
of resilience4j's ``recordExceptions``, with defaults for Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import attrs

from trioq.core.breaker import Settings
from trioq.core.config.kinds import Flag, Kind, is_a
from trioq.core.config.numbers import seconds_of
from trioq.core.config.sections import PART, SAMPLES, SOME_TIME
from trioq.core.config.texts import NAME
from trioq.core.valid import shown

#: Raised where a value isn't what it should be: the job's own fault.
OWN_FAULT: tuple[type[BaseException], ...] = (
    ValueError, TypeError, LookupError, ArithmeticError, AssertionError, AttributeError, NameError,
)  # fmt: skip


def name_of(error: type[BaseException]) -> str:
    """A class as it is written: ``httpx.TransportError``, ``OSError``."""
    module = "" if error.__module__ == "builtins" else f"{error.__module__}."
    return module + error.__qualname__


def in_words(named: Sequence[str]) -> str:
    """What counts for a breaker, as it follows "counts".

    Args:
      named: As in :attr:`Breaker.named`.
    """
    if named:
        return f"timeouts and {', '.join(named)}"
    *some, last = map(name_of, OWN_FAULT)
    return f"timeouts and all errors but {', '.join(some)} and {last}, and what ends a job for good"


def _is(kind: Kind) -> Any:
    return is_a(kind, "the breaker's")


def _or_none(kind: Kind) -> Any:
    return attrs.validators.optional(_is(kind))


def _classes(value: Any) -> Any:
    is_many = isinstance(value, Iterable) and not isinstance(value, str | type)
    return value if value is None else tuple(value) if is_many else (value,)


def _are_errors(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    for kind in value or ():
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"on has {shown(kind)}: expected classes of exceptions")
    if value == ():
        raise ValueError("on is empty: where nothing shall count, breaker=None says so")


@attrs.frozen
class Breaker:
    """The breaker of a handler: what counts for it, and when it opens.

    What isn't given is as ``[circuit_breaker]`` says.

    Args:
      name: What the handler depends on; 1 to 64 letters, digits, ``_``, ``-`` or ``.``. Handlers
          that give the same name share one breaker, and the same settings. Default: the handler
          has one for itself.
      on: Only errors of these classes count, and timeouts. Default: all but ``ValueError``,
          ``TypeError``, ``LookupError``, ``ArithmeticError``, ``AssertionError``,
          ``AttributeError`` and ``NameError``, which say that the job is wrong. Nothing that
          ends a job for good counts.
      failure_threshold: It opens at this part of failures, above 0 and at most 1.
      window: Failures are counted over this time, above 0: seconds, ``"1m"``, a timedelta.
      cooldown: How long it stays open before it lets a probe run, likewise.
      min_samples: Fewer runs than this prove nothing.
      shared: All engines of the namespace have one: what fails in each counts for all, and while
          it is half-open its probes are shared out among them. It needs a name.

    Raises:
      TypeError, ValueError: With the argument, and what it may be.
    """

    name: str | None = attrs.field(default=None, validator=_or_none(NAME))
    on: tuple[type[BaseException], ...] | None = attrs.field(
        default=None, kw_only=True, converter=_classes, validator=_are_errors
    )
    failure_threshold: float | None = attrs.field(
        default=None, kw_only=True, validator=_or_none(PART)
    )
    window: float | str | timedelta | None = attrs.field(
        default=None, kw_only=True, converter=seconds_of, validator=_or_none(SOME_TIME)
    )
    cooldown: float | str | timedelta | None = attrs.field(
        default=None, kw_only=True, converter=seconds_of, validator=_or_none(SOME_TIME)
    )
    min_samples: int | None = attrs.field(default=None, kw_only=True, validator=_or_none(SAMPLES))
    shared: bool = attrs.field(default=False, kw_only=True, validator=_is(Flag()))

    def __attrs_post_init__(self) -> None:
        if self.shared and self.name is None:
            raise ValueError("shared=True needs a name: that of what the engines depend on")

    def counts(self, error: type[BaseException]) -> bool:
        """Whether an error of this class speaks against what the handler depends on."""
        if self.on is None:
            return not issubclass(error, OWN_FAULT)
        return issubclass(error, self.on)

    @property
    def named(self) -> tuple[str, ...]:
        """The classes of which alone errors count, by name; empty: what is counted by default."""
        return tuple(map(name_of, self.on or ()))

    def settings(self, default: Settings) -> Settings:
        """When it opens, with the configuration's for what it doesn't say."""
        given: dict[str, Any] = {
            "failure_threshold": self.failure_threshold,
            "window_s": self.window,
            "cooldown_s": self.cooldown,
            "min_samples": self.min_samples,
        }
        changed = {key: value for key, value in given.items() if value is not None}
        if "window_s" in changed:
            changed["probe_lease_s"] = changed["window_s"]
        return attrs.evolve(default, **changed)

    def agrees(self, other: Breaker) -> bool:
        """Whether both can be one: all that they say of when it opens is the same."""
        return attrs.evolve(self, on=None) == attrs.evolve(other, on=None)


@attrs.frozen
class Errors:
    """What a handler says of the errors that it raises."""

    told: tuple[type[Exception], ...] = ()
    """Of these the arguments are kept, for whoever waits for the job."""
    breaker: Breaker | None = Breaker()
    """None: nothing counts."""
    kept: bool = False
    """Whether its app wants to hear of them, and so of themselves."""

    def counts(self, errors: Iterable[type[BaseException]]) -> bool:
        """Whether one of these speaks against what the handler depends on."""
        breaker = self.breaker
        return breaker is not None and any(map(breaker.counts, errors))


#: Of a handler that says nothing.
PLAIN_ERRORS = Errors()
