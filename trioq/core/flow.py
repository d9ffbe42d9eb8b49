"""What limits jobs, and what a job takes of that; and whose turn it is.

A limit is known by its name; one with a key has a limit for each value that payloads have in
that field. What a job takes of one is written ``NAME`` or ``NAME:VALUE``, the value as JSON:
a *take* (:mod:`trioq.core.limits`). Pure: the client works takes out when it enqueues, the
server counts them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from trioq.core.config.kinds import Kind, is_a
from trioq.core.config.numbers import SECONDS
from trioq.core.config.sections import BURST, RATE, SLOTS, Config
from trioq.core.config.texts import FIELD, NAME
from trioq.core.fair import ASKS_NOTHING, Asked, FairKey, fair_key
from trioq.core.limiter import interval_us
from trioq.core.limits import KeyValue, LimitSettings, take_of

#: A value whose JSON is longer is told from others by its hash.
VALUE_MAX = 200


def _is(kind: Kind) -> Any:
    return is_a(kind, "the limit's")


def _per_second(rate: Any) -> Any:
    return RATE.parse(rate)


def _or_none(kind: Kind) -> Any:
    return attrs.validators.optional(_is(kind))


@attrs.frozen
class Limit:
    """How often jobs may start, and how many may run at a time, over all engines.

    Handlers that give limits of one name share it. Where several limits bind a job, it starts
    when all of them let it; until then it holds none of them.

    Args:
      name: What it is called; 1 to 64 letters, digits, ``_``, ``-`` or ``.``.
      rate: Jobs started per second, or ``"5/m"``, ``"1000/h"``.
      burst: Jobs that may start at once after a quiet time.
      concurrency: Jobs running at a time.
      key: A field of the payload, ``"customer.id"`` for one within another: each of its values
          has a limit of its own. A job whose payload lacks it, or has null there, isn't bound.

    Raises:
      ValueError: With what is wrong, and what would be right.
    """

    name: str = attrs.field(validator=_is(NAME))
    rate: float | str | None = attrs.field(
        default=None, kw_only=True, converter=_per_second, validator=_or_none(RATE)
    )
    burst: int = attrs.field(default=1, kw_only=True, validator=_is(BURST))
    concurrency: int | None = attrs.field(default=None, kw_only=True, validator=_or_none(SLOTS))
    key: str | None = attrs.field(default=None, kw_only=True, validator=_or_none(FIELD))

    def __attrs_post_init__(self) -> None:
        if self.rate is None and self.concurrency is None:
            raise ValueError(
                f"the limit {self.name!r} limits nothing: expected a rate, a concurrency, or both"
            )
        if self.rate is None and self.burst != 1:
            raise ValueError(f"the limit {self.name!r} has a burst, which needs a rate")

    @property
    def settings(self) -> LimitSettings:
        """As the server counts it."""
        interval = 0 if self.rate is None else interval_us(float(self.rate))
        return LimitSettings(interval, self.burst, self.concurrency or 0, self.key is not None)

    @property
    def words(self) -> str:
        """What it allows, in words."""
        return allows(self.settings) + ("" if self.key is None else f", for each {self.key}")

    def agrees(self, other: Limit) -> bool:
        """Whether both can be one. Payloads may have the key's value in different fields."""
        alike = attrs.evolve(self, key=None) == attrs.evolve(other, key=None)
        return alike and (self.key is None) == (other.key is None)


def allows(settings: LimitSettings) -> str:
    """What a limit allows, in words."""
    said = []
    if settings.interval_us:
        at_once = f", {settings.burst:,} at once" if settings.burst > 1 else ""
        said.append(f"{rate_of(settings.interval_us)} started{at_once}")
    if settings.concurrency:
        said.append(f"{settings.concurrency:,} running")
    return " and ".join(said) or "any"


def rate_of(between_us: int) -> str:
    """A rate as it is written, of the time between two starts: ``100/s``, ``5/m``."""
    for unit in "smhd":
        count = round(1_000_000 * SECONDS[unit] / between_us)
        if count and interval_us(count / float(SECONDS[unit])) == between_us:
            return f"{count}/{unit}"
    return f"{1_000_000 / between_us:.6g}/s"


@attrs.frozen
class Plan:
    """What is so for the jobs of one handler in one queue."""

    limits: tuple[Limit, ...] = ()
    fair: str | None = None
    """The field of the payload that they take turns by."""
    weights: Mapping[KeyValue, float] = attrs.field(factory=dict)
    """Of their keys, texts and others as JSON; any other weighs 1."""

    def takes(self, payload: Mapping[str, Any]) -> tuple[str, ...]:
        """What a job with this payload takes, those of a key last; none twice."""
        if not self.limits:
            return ()
        return tuple(dict.fromkeys(filter(None, (take(limit, payload) for limit in self.limits))))

    def turn(self, payload: Mapping[str, Any], asked: Asked = ASKS_NOTHING) -> FairKey | None:
        """Whose turn a job with this payload is; None: it has no value there.

        Raises:
          ValueError: A key that was asked for can't be one, or a weight.
          TypeError: A weight was asked for where there is no key to have it.
        """
        key: KeyValue = asked.key
        if key is None:
            if self.fair is None:
                if asked.weight is not None:
                    raise TypeError("a weight needs a fair_key, or a queue that is fair")
                return None
            if (key := value_at(payload, self.fair)) is None:
                return None
        return fair_key(key, self._weight(key) if asked.weight is None else asked.weight)

    def _weight(self, key: KeyValue) -> float:
        if not self.weights:
            return 1.0
        return self.weights.get(key if isinstance(key, str) else json.dumps(key), 1.0)

    @property
    def reads(self) -> bool:
        """Whether it depends on the payload."""
        return self.fair is not None or any(limit.key is not None for limit in self.limits)


#: Of jobs that nothing limits.
NO_PLAN = Plan()


@attrs.frozen
class Bound:
    """A limit, and whose jobs it is for: those of these handlers, or of a queue."""

    limit: Limit
    jobs: tuple[str, ...] = ()
    queue: str | None = None
    where: str = ""
    """In the configuration, for messages."""

    def binds(self, name: str, queue: str) -> bool:
        """Whether a job of this name in this queue takes of it."""
        return name in self.jobs or queue == self.queue


@attrs.frozen
class Flow:
    """What the configuration says of limits."""

    bound: tuple[Bound, ...]
    fair: Mapping[str, str]
    """Queue → the field that its jobs take turns by."""
    weights: Mapping[str, Mapping[KeyValue, float]]
    """Queue → the weights of its fair keys."""

    def plan(self, name: str, queue: str, own: Iterable[Limit] = ()) -> Plan:
        """For the jobs of one handler in one queue.

        Args:
          own: The limits that the handler itself asks for.
        """
        limits = [each.limit for each in self.bound if each.binds(name, queue)]
        limits += own
        limits.sort(key=lambda limit: limit.key is not None)
        fair, weights = self.fair.get(queue), self.weights.get(queue, {})
        if not limits and fair is None and not weights:
            return NO_PLAN
        return Plan(tuple(limits), fair, weights)

    def settings(self, own: Iterable[Limit] = ()) -> Mapping[str, LimitSettings]:
        """What the server is told of all limits, by name.

        Args:
          own: Those that handlers ask for themselves.
        """
        limits = [*own, *(each.limit for each in self.bound)]
        return {limit.name: limit.settings for limit in limits}


def flow(config: Config) -> Flow:
    """What a configuration that has been checked says of limits."""
    bound = [
        Bound(_short(queue), queue=queue.name, where=f"queues[{index}]")
        for index, queue in enumerate(config.queues)
        if queue.rate is not None or queue.concurrency is not None
    ]
    for name, each in config.limits.items():
        limit = Limit(
            name, rate=each.rate, burst=each.burst, concurrency=each.concurrency, key=each.key
        )
        bound.append(Bound(limit, each.jobs, each.queue, f"limits.{name}"))
    fair = {queue.name: queue.fair for queue in config.queues if queue.fair is not None}
    weights = {
        queue.name: {told_apart(key): weight for key, weight in queue.fair_weights.items()}
        for queue in config.queues
        if queue.fair_weights
    }
    return Flow(tuple(bound), fair, weights)


def _short(queue: Any) -> Limit:
    """``[[queues]] rate`` and ``concurrency``: a limit that has the queue's name."""
    return Limit(queue.name, rate=queue.rate, concurrency=queue.concurrency)


def take(limit: Limit, payload: Mapping[str, Any]) -> str | None:
    """What a job takes of a limit; None: its payload has no value there."""
    if limit.key is None:
        return limit.name
    value = value_at(payload, limit.key)
    return None if value is None else take_of(limit.name, value)


def value_at(payload: Mapping[str, Any], path: str) -> KeyValue:
    """The value in a field, as jobs are told apart by it; None: there is none, or null."""
    value: Any = payload
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return told_apart(value)


def told_apart(value: Any) -> KeyValue:
    """A value of a payload as it is told from others: lists and tables as text, in one order,
    and what is long by its hash."""
    if isinstance(value, dict | list | tuple):
        # Once through JSON, where all keys are texts.
        whole = json.loads(json.dumps(value))
        value = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    if len(text := json.dumps(value)) > VALUE_MAX:
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return value  # type: ignore[no-any-return]
