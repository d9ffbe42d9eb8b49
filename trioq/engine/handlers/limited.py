"""What is wrong between a configuration's limits and turns, and the handlers that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from trioq.core.config.rules import did_you_mean
from trioq.core.flow import Flow, Limit
from trioq.core.limits import TAKES_MAX
from trioq.engine.handlers.fielded import may_have
from trioq.engine.handlers.invoke import Handler


def limit_faults(flow: Flow, handlers: Mapping[str, Handler]) -> Iterator[str]:
    """All of it, a line each.

    Args:
      handlers: All that there are: a limit that binds others binds nobody.
    """
    yield from _unknown(flow, handlers)
    yield from _differing(flow, handlers)
    yield from _without_key(flow, handlers)
    yield from _too_many(flow, handlers)
    for queue, field in flow.fair.items():
        if not any(may_have(handler, field) for handler in handlers.values()):
            yield f"queues: {queue!r} is fair by {field!r}: no handler's payload has such a field"


def _unknown(flow: Flow, handlers: Mapping[str, Handler]) -> Iterator[str]:
    for bound in flow.bound:
        for index, name in enumerate(bound.jobs):
            if name not in handlers:
                close = did_you_mean(name, handlers)
                yield f"{bound.where}.jobs[{index}]: no handler is called {name!r}{close}"


def _differing(flow: Flow, handlers: Mapping[str, Handler]) -> Iterator[str]:
    """Limits of one name that can't be one; the first that was met is what the others differ
    from."""
    first = {bound.limit.name: (bound.limit, bound.where) for bound in flow.bound}
    for handler in handlers.values():
        for limit in handler.limits:
            where = f"the handler {handler.name!r}"
            other, there = first.setdefault(limit.name, (limit, where))
            if not limit.agrees(other):
                yield (
                    f"app: {where} says of the limit {limit.name!r}: {limit.words}; and {there}:"
                    f" {other.words}"
                )


def _without_key(flow: Flow, handlers: Mapping[str, Handler]) -> Iterator[str]:
    for handler in handlers.values():
        for limit in handler.limits:
            if not _fits(limit, [handler]):
                whose = f"the limit {limit.name!r} of {handler.name!r}"
                yield f"app: {whose}: its payload has no field {limit.key!r}"
    for bound in flow.bound:
        if bound.queue is None:
            for name in bound.jobs:
                if name in handlers and not _fits(bound.limit, [handlers[name]]):
                    field = bound.limit.key
                    yield f"{bound.where}.key: the payload of {name!r} has no field {field!r}"
    # Any job may go to any queue, so there one handler that has it is enough.
    for bound in flow.bound:
        if bound.queue is not None and not _fits(bound.limit, handlers.values()):
            yield f"{bound.where}.key: no handler's payload has a field {bound.limit.key!r}"


def _too_many(flow: Flow, handlers: Mapping[str, Handler]) -> Iterator[str]:
    queues = [None, *dict.fromkeys(bound.queue for bound in flow.bound if bound.queue is not None)]
    for handler in handlers.values():
        plans = [(q, flow.plan(handler.name, q or "", handler.limits).limits) for q in queues]
        queue, limits = max(plans, key=lambda plan: len(plan[1]))
        if len(limits) > TAKES_MAX:
            there = "" if queue is None else f" in {queue}"
            count = f"{len(limits)}, {TAKES_MAX} at most"
            yield f"limits: jobs of {handler.name!r}{there} take of {count}"


def _fits(limit: Limit, handlers: Iterable[Handler]) -> bool:
    """Whether payloads of one of these may have what the limit asks for."""
    return limit.key is None or any(may_have(handler, limit.key) for handler in handlers)
