"""What is wrong between a configuration's limits and turns, and the handlers that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import attrs

from trioq.core.config.keys import entries
from trioq.core.config.kinds import Path
from trioq.core.config.rules import Fault, faults, meant_or_known
from trioq.core.config.sections import Config, LimitConfig
from trioq.core.flow import Flow, Plan, flow
from trioq.core.limits import TAKES_MAX
from trioq.engine.handlers.fielded import fields_of, may_have
from trioq.engine.handlers.invoke import Handler

APP: Path = ("app",)


def limit_faults(config: Config, handlers: Mapping[str, Handler]) -> Iterator[Fault]:
    """All of it.

    Args:
      config: What is wrong in itself is told elsewhere, and passed over here.
      handlers: All that there are: a limit that binds others binds nobody.
    """
    told = _sound(config)
    yield from _unknown(config, handlers)
    yield from _differing(told, handlers)
    yield from _without_key(config, handlers)
    yield from _too_many(told, handlers)
    for index, queue in enumerate(config.queues):
        if queue.fair is not None and (hint := _lacking(queue.fair, handlers.values())):
            where: Path = ("queues", index, "fair")
            yield Fault(where, f"no handler's payload has a field {queue.fair!r}{hint}")


def _sound(config: Config) -> Flow:
    """What those limits say that are right in themselves."""
    wrong = {fault.path[1] for fault in faults(config) if fault.path[0] == "limits"}
    right = {name: limit for name, limit in config.limits.items() if name not in wrong}
    return flow(attrs.evolve(config, limits=right))


def _unknown(config: Config, handlers: Mapping[str, Handler]) -> Iterator[Fault]:
    for limit, each in config.limits.items():
        for index, name in enumerate(each.jobs):
            if name not in handlers:
                yield Fault(
                    ("limits", limit, "jobs", index),
                    f"no handler is called {name!r}{meant_or_known(name, handlers)}",
                    (("commands", name),),
                )


def _differing(told: Flow, handlers: Mapping[str, Handler]) -> Iterator[Fault]:
    """Limits of one name that can't be one; the first that was met is what the others differ
    from."""
    first = {bound.limit.name: (bound.limit, bound.where) for bound in told.bound}
    for handler in handlers.values():
        for limit in handler.limits:
            where = f"the handler {handler.name!r}"
            other, there = first.setdefault(limit.name, (limit, where))
            if not limit.agrees(other):
                yield Fault(
                    APP,
                    f"{where} says of the limit {limit.name!r}: {limit.words}; and {there}:"
                    f" {other.words}: let them say the same",
                    tuple(("limits", limit.name, key) for key in entries(LimitConfig)),
                )


def _without_key(config: Config, handlers: Mapping[str, Handler]) -> Iterator[Fault]:
    for handler in handlers.values():
        for limit in handler.limits:
            if hint := _lacking(limit.key, [handler]):
                whose = f"the limit {limit.name!r} of {handler.name!r}"
                yield Fault(APP, f"{whose}: its payload has no field {limit.key!r}{hint}")
    for name, each in config.limits.items():
        where: Path = ("limits", name, "key")
        for job in each.jobs:
            if job in handlers and (hint := _lacking(each.key, [handlers[job]])):
                yield Fault(where, f"the payload of {job!r} has no field {each.key!r}{hint}")
        # Any job may go to any queue, so there one handler that has it is enough.
        if each.queue is not None and (hint := _lacking(each.key, handlers.values())):
            yield Fault(where, f"no handler's payload has a field {each.key!r}{hint}")


def _too_many(told: Flow, handlers: Mapping[str, Handler]) -> Iterator[Fault]:
    queues = [None, *dict.fromkeys(bound.queue for bound in told.bound if bound.queue is not None)]
    for handler in handlers.values():
        plans = [(q, told.plan(handler.name, q or "", handler.limits)) for q in queues]
        queue, names = max(((q, _taken(plan)) for q, plan in plans), key=lambda each: len(each[1]))
        if len(names) > TAKES_MAX:
            there = "" if queue is None else f" in {queue}"
            count = f"{len(names)}, {TAKES_MAX} at most"
            yield Fault(
                APP if len(handler.limits) > TAKES_MAX else ("limits",),
                f"jobs of {handler.name!r}{there} take of {count}: {', '.join(names)}",
            )


def _taken(plan: Plan) -> list[str]:
    """The names, once where configuration and handler say the same of one."""
    return [name for name, _ in dict.fromkeys((each.name, each.key) for each in plan.limits)]


def _lacking(field: str | None, handlers: Collection[Handler]) -> str:
    """What to say where none of their payloads can have this field: what may be meant."""
    if field is None or any(may_have(handler, field) for handler in handlers):
        return ""
    known = dict.fromkeys(each for handler in handlers for each in fields_of(handler))
    as_deep = [each for each in known if each.count(".") >= field.count(".")]
    return meant_or_known(field, as_deep or known) or "; it has none"
