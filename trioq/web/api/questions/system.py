"""How the whole system is: counts, queues, engines, what is wrong."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import attrs

from trioq.client import shapes
from trioq.core.config.rules import did_you_mean
from trioq.web.api.question import Nothing, Question
from trioq.web.desk import Desk
from trioq.web.masks import masked_job, sensitive_of
from trioq.web.operations import OPERATIONS, Acting
from trioq.web.operations.pauses import known_queue
from trioq.web.problems import Problem
from trioq.web.who.roles import User


@attrs.frozen(kw_only=True)
class OfQueue:
    """A queue."""

    queue: Annotated[str, "The name of the queue."]


@attrs.frozen(kw_only=True)
class NextOfQueue:
    """A queue."""

    queue: Annotated[str, "The name of the queue."]
    limit: Annotated[int, "At most so many, 1 to 1000."] = 10


@attrs.frozen(kw_only=True)
class OfEngine:
    """An engine."""

    engine: Annotated[str, "Its id, or its name."]


def _about(acting: Acting, what: Nothing) -> dict[str, Any]:
    config, user = acting.config, acting.user
    worker = config.worker
    return {
        "trioq": version("trioq"),
        "namespace": config.namespace,
        "server": acting.server,
        "now_ms": acting.admin.now_ms(),
        "user": user.name,
        "role": user.role.name,
        "operations": [name for name, row in OPERATIONS.items() if user.may(row.role)],
        "queues": list(config.queue_names),
        "breakers": sorted(config.breakers),
        "limits": {name: limit.key for name, limit in config.limits.items()},
        "worker": {
            "keep_done": worker.keep_done,
            "id_retention_s": worker.id_retention_s,
            "heartbeat_interval_s": worker.heartbeat_interval_s,
            "unknown_name_after_s": worker.unknown_name_after_s,
        },
    }


def _stats(acting: Acting, what: Nothing) -> dict[str, Any]:
    return shapes.stats(acting.admin)


def _keys(acting: Acting, what: Nothing) -> dict[str, Any]:
    return shapes.keys(acting.admin)


def _queues(acting: Acting, what: Nothing) -> dict[str, Any]:
    told: dict[str, Any] = acting.admin.stats().as_json()["queues"]
    return told


def _queue(acting: Acting, what: OfQueue) -> dict[str, Any]:
    name = known_queue(acting, what.queue)
    reasons, counted, doors = acting.admin.explain_queue(name)
    there = counted.queues.get(name)
    told = (attrs.asdict(there) if there else {}) | shapes.queue(name, there, reasons, doors)
    return told | {"rooms": [attrs.asdict(room) for room in acting.admin.rooms(name)]}


def _next(acting: Acting, what: NextOfQueue) -> list[dict[str, Any]]:
    check_limit(what.limit, 1000)
    found = acting.admin.peek(known_queue(acting, what.queue), what.limit)
    sensitive = sensitive_of(acting.config)
    return [masked_job(view.as_json(), sensitive) for view in found]


def check_limit(limit: int, most: int) -> None:
    """Refuse what is no number of things that may be asked for.

    Raises:
      ValueError: With what would be right.
    """
    if not 1 <= limit <= most:
        raise ValueError(f"limit is {limit}: expected a number from 1 to {most}")


def _engines(acting: Acting, what: Nothing) -> list[dict[str, Any]]:
    return shapes.engines(acting.admin)


def _engine(acting: Acting, what: OfEngine) -> dict[str, Any]:
    if found := shapes.engines(acting.admin, [what.engine]):
        return found[-1]
    names = [engine.name for engine in acting.admin.stats().engines]
    hint = did_you_mean(what.engine, names) if names else ": none lives"
    raise Problem(404, "No such engine", f"there is no engine {what.engine[:200]!r}{hint}")


@attrs.frozen(kw_only=True)
class Hours:
    """How far back."""

    hours: Annotated[float, "Hours, 24 at most."] = 1.0


def _minutes(acting: Acting, what: Hours) -> list[dict[str, Any]]:
    if not 0 < what.hours <= 24:
        raise ValueError(f"hours is {what.hours}: expected a number up to 24")
    return [minute.as_json() for minute in acting.admin.minutes(what.hours)]


def _pauses(acting: Acting, what: Nothing) -> list[dict[str, Any]]:
    return acting.admin.pauses().as_json()


async def _doctor(desk: Desk, user: User, what: Nothing) -> dict[str, Any]:
    found = await desk.findings()
    order = ("ok", "warning", "fault")
    worst = max((each.verdict for each in found), key=order.index, default="ok")
    return {"verdict": worst, "findings": [attrs.asdict(each) for each in found]}


def _operations(acting: Acting, what: Nothing) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "role": row.role.name,
            "does": row.does,
            "grave": row.is_grave,
            "allowed": acting.user.may(row.role),
        }
        for name, row in OPERATIONS.items()
    ]


QUESTIONS = (
    Question("/", "What is served here, to whom, and what they may do.", Nothing, "About", _about),
    Question("/operations", "What can be done.", Nothing, "Operation[]", _operations),
    Question("/stats", "How many jobs are where.", Nothing, "Stats", _stats),
    Question("/keys", "How large each key is in Redis.", Nothing, "Keys", _keys),
    Question("/queues", "What is in each queue.", Nothing, "Queues", _queues),
    Question(
        "/queues/{queue}/next", "The jobs that would be claimed next.", NextOfQueue, "Job[]", _next
    ),
    Question("/queues/{queue}", "A queue, and why it doesn't move.", OfQueue, "Queue", _queue),
    Question(
        "/engines", "The engines that live, and what each holds.", Nothing, "Engine[]", _engines
    ),
    Question("/engines/{engine}", "One of them.", OfEngine, "Engine", _engine),
    Question(
        "/minutes",
        "What happened in each of the last minutes; of those in which no engine counted, nothing is"
        " known.",
        Hours,
        "Minute[]",
        _minutes,
    ),
    Question(
        "/pauses", "What is paused: by whom, since when and why.", Nothing, "Pause[]", _pauses
    ),
    Question(
        "/doctor",
        "What is wrong. It watches engines for a few heartbeats, and what it said is said again for"
        " ten seconds.",
        Nothing,
        "Doctor",
        at_desk=_doctor,
    ),
)
