"""Jobs: which are where, and all of one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, get_args

import anyio
import attrs

from trioq.client import shapes
from trioq.client.results import result_json
from trioq.core.query import Query
from trioq.store.inspect import DeadFilter, JobFilter, Listing
from trioq.store.inspect.listing import LIVING
from trioq.store.inspect.shelves import State
from trioq.web.api.question import Nothing, Question
from trioq.web.api.questions.system import check_limit
from trioq.web.desk import Desk
from trioq.web.masks import masked, masked_job, sensitive_of
from trioq.web.operations import Acting
from trioq.web.operations.bulk import Quota
from trioq.web.problems import Problem
from trioq.web.site.pages.jobs import find
from trioq.web.who.roles import User

#: Whoever waits for a result is told within this of its coming.
LOOK_S = 0.25

#: More in one answer nobody asks for.
MOST = 1000

STATES = ", ".join(get_args(State))


@attrs.frozen(kw_only=True)
class SomeJobs:
    """Which jobs."""

    state: Annotated[
        list[State], f"In these states: {STATES}. Default: those that wait or run."
    ] = attrs.field(factory=list[State])
    queue: Annotated[str | None, "Only of this queue."] = None
    name: Annotated[str | None, "Only of this handler."] = None
    q: Annotated[
        str | None,
        "As on the page: `name:` `queue:` `key:` `error:` `id:` and words, with `*` and `-`; may be"
        " empty. Some thousand jobs are looked through, and `next` goes on from there.",
    ] = None
    limit: Annotated[int, "At most so many, 1 to 1000."] = 50
    after: Annotated[
        str, "The `next` of the answer before, to a question with `q`; empty: from the beginning."
    ] = ""
    newest: Annotated[bool, "From the other end: those that came last."] = False


@attrs.frozen(kw_only=True)
class SomeDead:
    """Which of the dead; all of it applies."""

    name: Annotated[str | None, "Those of this handler."] = None
    error: Annotated[str | None, "Those with this text in the reason or last error."] = None
    fingerprint: Annotated[str | None, "Those of a group, as `/dead/groups` has it."] = None
    older_than_s: Annotated[float | None, "Those dead for longer than so many seconds."] = None
    limit: Annotated[int, "At most so many, 1 to 1000."] = 50
    after: Annotated[str, "The `next` of the answer before; empty: from the longest dead."] = ""


@attrs.frozen(kw_only=True)
class OfJob:
    """A job."""

    job: Annotated[str, "Its caller's id, or its uid."]


@attrs.frozen(kw_only=True)
class ResultOfJob:
    """A job."""

    job: Annotated[str, "Its caller's id, or its uid."]
    wait_s: Annotated[float, "Seconds to wait for its end, at most 10."] = 0.0


def _jobs(acting: Acting, what: SomeJobs) -> dict[str, Any]:
    check_limit(what.limit, MOST)
    states = tuple(dict.fromkeys(what.state)) or LIVING
    sensitive = sensitive_of(acting.config)
    if what.q is not None or what.after:
        told = _searched(acting, what, states, sensitive)
    else:
        wanted = JobFilter(name=what.name, queue=what.queue)
        found = acting.admin.jobs(states, wanted, count=what.limit, newest_first=what.newest)
        told = shapes.listing(found)
    return told | {"jobs": [masked_job(job, sensitive) for job in told["jobs"]]}


def _searched(
    acting: Acting, what: SomeJobs, states: Sequence[State], sensitive: frozenset[str]
) -> dict[str, Any]:
    if what.name is not None or what.queue is not None:
        raise ValueError("q goes without name and queue: it has name: and queue: of its own")
    found = find(
        acting.admin, Query.parse(what.q or ""), states, sensitive,
        newest=what.newest, after=what.after, shown=what.limit,
    )  # fmt: skip
    passed_over = found.looked_at - len(found.jobs)
    listing = Listing([*found.jobs], bool(found.next), passed_over)
    return shapes.listing(listing) | {"next": found.next or None}


def _dead(acting: Acting, what: SomeDead) -> dict[str, Any]:
    check_limit(what.limit, MOST)
    wanted = DeadFilter(None, what.name, what.error, what.older_than_s, what.fingerprint)
    quota, found, looked_at, after = Quota(what.limit), list[dict[str, Any]](), 0, what.after
    sensitive, more = sensitive_of(acting.config), True
    while more and not quota.is_over(len(found)):
        size = min(100, what.limit - len(found))
        page = next(acting.admin.dead_pages(wanted, after=after, size=size), None)
        if more := page is not None and page.next != after:
            assert page is not None
            views = acting.admin.dead_views(page.jobs)
            found += [masked_job(view.as_json(), sensitive) for view in views]
            looked_at, after = looked_at + page.looked_at, page.next
    return {"jobs": found, "next": after if more else None, "looked_at": looked_at}


def _groups(acting: Acting, what: Nothing) -> dict[str, Any]:
    return acting.admin.groups().as_json()


def _no_job(acting: Acting, id: str) -> Problem:
    told = acting.admin.explain(id)
    why = told.reasons[0].says if told.reasons else ""
    return Problem(404, "No such job", f"there is no job {id[:200]!r}: {why}")


def _job(acting: Acting, what: OfJob) -> dict[str, Any]:
    told = shapes.story(acting.admin, what.job)
    if told is None:
        raise _no_job(acting, what.job)
    return masked_job(told.as_json(), sensitive_of(acting.config))


def _explain(acting: Acting, what: OfJob) -> dict[str, Any]:
    told = acting.admin.explain(what.job)
    if told.state == "unknown":
        raise _no_job(acting, what.job)
    return told.as_json()


async def _result(desk: Desk, user: User, what: ResultOfJob) -> dict[str, Any]:
    if not 0 <= what.wait_s <= 10:
        raise ValueError(f"wait_s is {what.wait_s}: expected seconds from 0 to 10")
    ends = time.monotonic() + what.wait_s
    while True:  # looks again and again, so that who waits holds nobody up
        told = await desk.ask(lambda admin: _looked(Acting.at(desk, admin, user), what.job))
        left_s = ends - time.monotonic()
        if told["state"] != "live" or left_s <= 0:
            return told
        await anyio.sleep(min(LOOK_S, left_s))


def _looked(acting: Acting, id: str) -> dict[str, Any]:
    told = result_json(acting.client, id, 0)
    if told["uid"] is None:
        raise _no_job(acting, id)
    result = told["result"]
    shown = result if isinstance(result, str) else masked(result, sensitive_of(acting.config))
    return told | {"result": shown}


def _notes(acting: Acting, what: OfJob) -> Any:
    if (view := acting.admin.job(what.job)) is None:
        raise _no_job(acting, what.job)
    told = masked_job({"noted": shapes.notes(view)}, sensitive_of(acting.config))
    return told["noted"]


QUESTIONS = (
    Question(
        "/jobs",
        "Which jobs are where, and what each waits for. State after state, and queue after queue.",
        SomeJobs,
        "Jobs",
        _jobs,
    ),
    Question("/jobs/{job}/explain", "Why a job doesn't run now.", OfJob, "Explanation", _explain),
    Question(
        "/jobs/{job}/result",
        "What its handler returned.",
        ResultOfJob,
        "Result",
        at_desk=_result,
    ),
    Question(
        "/jobs/{job}/notes",
        "How far it is, as its handler has said last, and its log; null: it has said nothing.",
        OfJob,
        "Notes",
        _notes,
    ),
    Question("/jobs/{job}", "The whole story of a job, wherever it is.", OfJob, "Job", _job),
    Question(
        "/dead/groups",
        "The newest of the dead, grouped by handler and by what they died of.",
        Nothing,
        "DeadGroups",
        _groups,
    ),
    Question(
        "/dead",
        "The dead, the longest dead first. Fewer than the limit, or none, may come with a `next`.",
        SomeDead,
        "Dead",
        _dead,
    ),
)
