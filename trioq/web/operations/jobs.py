"""What is done to jobs: enqueue and cancel them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Literal

import attrs

from trioq.client.cancel import CancelOutcome
from trioq.client.cancelling import Cancelled
from trioq.core.arguments import INHERIT
from trioq.core.calls import CANCEL_MAX
from trioq.store.inspect import JobFilter, LivingPage
from trioq.web.operations.bulk import PAGE_MAX, After, Dry, Page, Quota
from trioq.web.operations.operation import Acting, Operation
from trioq.web.operations.pauses import known_queue
from trioq.web.problems import Problem
from trioq.web.who.roles import Role

Time = Annotated[float | str | None, 'Seconds, or a text such as "90s" or "1h".']
Moment = float | str | None


@attrs.frozen(kw_only=True)
class Enqueue:
    """A job."""

    name: Annotated[str, "The name of its handler."]
    payload: Annotated[dict[str, Any], "What it is given: an object."] = attrs.field(
        factory=dict[str, Any]
    )
    queue: Annotated[str | None, "Default: the handler's, else the configuration's."] = None
    delay_s: Annotated[float | None, "Ready after so many seconds."] = None
    at: Annotated[
        datetime | None, "Ready at this moment, with its time zone: 2030-01-31T12:00:00Z."
    ] = None
    deadline: Annotated[
        Moment, "Not done by then, it is cancelled: seconds from now, or a text such as 10m."
    ] = None
    expires: Annotated[Moment, "Not begun by then, it is cancelled: likewise."] = None
    id: Annotated[str | None, "Your own id: a second job with it isn't queued."] = None
    on_conflict: Annotated[
        Literal["existing", "raise", "replace", "again", "supersede"] | None,
        "What is to happen where another job has the id.",
    ] = None
    debounce: Time = None
    max_wait: Time = None
    cooldown: Time = None
    id_retention: Time = None
    fair_key: Annotated[str | int | None, "Whose turn it is."] = None
    weight: Annotated[float | None, "How many turns its key has where another has one."] = None
    max_attempts: Annotated[int | None, "How often it is tried. Default: the handler's."] = None
    timeout_s: Annotated[float | None, "How long an attempt may take, in seconds."] = None
    result: Annotated[Moment, "For how long what its handler returns is kept: seconds, or 1h."] = (
        None
    )


@attrs.frozen(kw_only=True)
class Cancel:
    """A job, and why."""

    job: Annotated[str, "Its id or uid."]
    reason: Annotated[str, "Why, for whoever asks."] = ""


@attrs.frozen(kw_only=True)
class CancelMany:
    """Which jobs, and why: some by their ids, or all to which name and queue apply."""

    jobs: Annotated[list[str], "Their ids or uids, 200 at most."] = attrs.field(factory=list[str])
    name: Annotated[str | None, "All jobs of this handler."] = None
    queue: Annotated[str | None, "All jobs of this queue."] = None
    reason: Annotated[str, "Why, for whoever asks."] = ""
    dry_run: Dry = False
    page: Page = None
    after: After = ""


#: What an enqueue takes as it is told.
PLAIN = (
    "queue", "at", "expires", "id", "on_conflict", "debounce", "max_wait", "cooldown",
    "id_retention", "fair_key", "weight", "max_attempts", "result",
)  # fmt: skip


def _enqueue(acting: Acting, what: Enqueue) -> dict[str, Any]:
    given = {name: getattr(what, name) for name in PLAIN}
    # Whoever asks gets an answer: where there is no room that is told, and not waited for.
    handle = acting.client.enqueue(
        what.name,
        what.payload,
        delay=what.delay_s,
        timeout=what.timeout_s,
        deadline=INHERIT if what.deadline is None else what.deadline,
        full_timeout=0.0,
        **given,
    )
    done = f"queued {handle.uid} in {handle.queue}"
    if not handle.is_new:
        done = f"not queued: {what.id or handle.id} is {handle.uid}, {handle.existing}"
        done = done if handle.happened == "existing" else f"{handle.happened}: {handle.uid}"
    return {
        "id": handle.id or handle.uid,
        "uid": handle.uid,
        "name": what.name,
        "queue": handle.queue,
        "queued": handle.is_new,
        "existing": handle.existing,
        "happened": handle.happened,
        "done": done,
    }


#: What came of a wish, for people.
SAID = {
    CancelOutcome.was_waiting: "it is cancelled",
    CancelOutcome.stopped: "it is stopped",
    CancelOutcome.ignored: "it is cancelled, but its handler didn't end when it was told to",
    CancelOutcome.asked: "it is asked to end, and won't run again",
}
WHY_NOT = {
    CancelOutcome.finished_first: "it is done",
    CancelOutcome.died_first: "it is dead already",
    None: "its record can't be read, so nobody knows its queue",
}


def _as_json(told: Cancelled) -> dict[str, Any]:
    return {"id": told.id, "uid": told.uid, "result": told.result, "outcome": told.outcome}


def _cancel(acting: Acting, what: Cancel) -> dict[str, Any]:
    told = acting.admin.cancel(what.job, what.reason, by=acting.user.name)
    if told.outcome is CancelOutcome.unknown:
        raise Problem(404, "No such job", f"there is no job {what.job[:200]!r}")
    if (why := WHY_NOT.get(told.outcome)) is not None:
        raise Problem(409, "Not cancelled", why)
    return _as_json(told) | {"done": SAID[told.outcome or CancelOutcome.asked]}


def _cancel_many(acting: Acting, what: CancelMany) -> dict[str, Any]:
    quota = Quota(what.page or PAGE_MAX)
    if what.jobs and (what.name is not None or what.queue is not None):
        raise ValueError("jobs can't be combined with name or queue")
    if not (what.jobs or what.name or what.queue):
        raise ValueError("say which: jobs, name or queue")
    if len(what.jobs) > CANCEL_MAX:
        raise ValueError(f"jobs are {len(what.jobs)}: {CANCEL_MAX} at most in one request")
    if what.queue:
        known_queue(acting, what.queue)
    told, after = list[dict[str, Any]](), ""
    wanted = JobFilter(tuple(what.jobs) or None, what.name, what.queue)
    for page in acting.admin.living(wanted, after=what.after):
        told += _would(acting, page) if what.dry_run else _cancel_page(acting, page, what.reason)
        if page.next and quota.is_over(len(told)):
            after = page.next
            break
    counts = Counter(each["result"] for each in told)
    done = ", ".join(f"{count:,} {word}" for word, count in counts.items()) or "nothing was there"
    return {
        "count": sum(counts[word] for word in ("cancelled", "asked", "would cancel", "would stop")),
        "more": bool(after),
        "after": after,
        "jobs": told,
        "done": done + ("; there are more" if after else ""),
    }


def _cancel_page(acting: Acting, page: LivingPage, reason: str) -> list[dict[str, Any]]:
    found = [Cancelled.over(id, view) for id, view in page.others.items()]
    if page.jobs:
        names = {job.uid: job.id for job in page.jobs}
        for some in acting.admin.cancel_many(JobFilter(tuple(names)), reason, by=acting.user.name):
            found += [attrs.evolve(each, id=names.get(each.uid or "", each.id)) for each in some]
    return [_as_json(each) for each in found]


def _would(acting: Acting, page: LivingPage) -> list[dict[str, Any]]:
    running = acting.admin.running([job.uid for job in page.jobs])
    told = [_as_json(Cancelled.over(id, view)) for id, view in page.others.items()]
    for job in page.jobs:
        word = "would stop" if job.uid in running else "would cancel"
        word = word if job.record else "unreadable"
        told.append({"id": job.id, "uid": job.uid, "result": word, "outcome": None})
    return told


@attrs.frozen(kw_only=True)
class Hasten:
    """Which."""

    job: Annotated[str, "Its id, or its uid."]
    tells: Annotated[bool, "Also tell, and don't refuse, where it doesn't wait for a time."] = False


def _hasten(acting: Acting, what: Hasten) -> dict[str, Any]:
    result = acting.admin.hasten(what.job)
    if result != "hastened" and not what.tells:
        if result == "unknown":
            raise Problem(404, "No such job", f"there is no job {what.job[:200]!r}")
        why = f"it doesn't wait for a time: it is {result}"
        raise Problem(409, "Not hastened", why)
    done = "it is due now" if result == "hastened" else f"nothing was done: it is {result}"
    return {"job": what.job, "result": result, "done": done}


OPERATIONS = (
    Operation(
        name="jobs.enqueue",
        role=Role.operate,
        does="Queue a job.",
        takes=Enqueue,
        run=_enqueue,
    ),
    Operation(
        name="jobs.cancel",
        role=Role.operate,
        does="Have a job end, wherever it is: it won't run, or is stopped.",
        takes=Cancel,
        run=_cancel,
    ),
    Operation(
        name="jobs.hasten",
        role=Role.operate,
        does="Have a job that waits for a retry, or for its time, be due now.",
        takes=Hasten,
        run=_hasten,
    ),
    Operation(
        name="jobs.cancel_many",
        role=Role.operate,
        does="Have many jobs end: those that wait won't run, those that run are stopped.",
        takes=CancelMany,
        run=_cancel_many,
    ),
)
