"""``/jobs``: which jobs are where, found by what somebody knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from trioq.client.admin import Admin
from trioq.core.query import FIELDS, Query, QueryInvalid
from trioq.store.inspect import Found, Listed, Stats
from trioq.store.inspect.listing import LIVING
from trioq.store.inspect.shelves import ENDED, State
from trioq.web.masks import masked, sensitive_of
from trioq.web.problems import Problem
from trioq.web.site.page import Page
from trioq.web.site.site import site_of

STATES: tuple[State, ...] = get_args(State)

#: Rows of a page.
SHOWN = 50

#: What a qualifier means, for who asks.
MEANS: Mapping[str, str] = {
    "name": "the handler",
    "queue": "the queue",
    "key": "what the job takes of a limit, or its fair key",
    "error": "a part of the last error, or of the reason",
    "id": "your own id, or the uid",
}


def find(
    admin: Admin,
    query: Query,
    states: Sequence[State],
    sensitive: frozenset[str],
    *,
    newest: bool,
    after: str = "",
    shown: int = SHOWN,
) -> Found:
    """The next that are meant, as many as are ``shown``.

    A masked value isn't looked for: who searched for it would learn it.

    Raises:
      ValueError: No answer has such an ``after``.
    """
    return admin.search(
        query, states, matches=lambda each: query.matches(told(each, sensitive)),
        after=after, limit=shown, newest_first=newest,
    )  # fmt: skip


def told(each: Listed, sensitive: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """What a query looks at of a job."""
    from trioq.core.formats.history import last_error
    from trioq.web.site.words import brief_json

    view, about = each.view, each.view.about
    last = last_error(view.attempts)
    errors = [view.reason or "", f"{last.type}: {last.message}" if last else ""]
    name = about.name if about else ""
    ids = [view.uid, view.callers_id or ""]
    payload = brief_json(masked(view.payload, sensitive))
    return {
        "name": (name,),
        "queue": (about.queue if about else "",),
        "key": each.keys,
        "error": tuple(filter(None, errors)),
        "id": tuple(filter(None, ids)),
        "word": (name, payload, *filter(None, ids)),
    }


async def jobs(request: Request) -> Response:
    """By their states, all that live if none is said; searched by qualifiers."""
    asked = request.query_params
    text, state = asked.get("q", "")[:1000].strip(), asked.get("state", "")
    states: tuple[State, ...] = tuple(each for each in STATES if each == state) or LIVING
    # Of what has ended, the last come first: those are looked for.
    newest = asked.get("newest", "1" if states[0] in (*ENDED, "dead") else "") == "1"
    faults, query, after = list[str](), Query(), asked.get("after", "")[:300]
    try:
        query = Query.parse(text)
    except QueryInvalid as error:
        faults = error.faults
    sensitive = sensitive_of(request.state.config)

    def look(admin: Admin) -> tuple[Stats, Found]:
        counted = admin.stats()
        if faults:
            return counted, Found([])
        return counted, find(admin, query, states, sensitive, newest=newest, after=after)

    try:
        counted, found = await request.state.desk.ask(look)
    except ValueError as error:
        raise Problem(422, "Wrong fields", f"after: {error}") from None
    return site_of(request).render(
        request, "jobs.html", title="Jobs", text=text, faults=faults, found=found, newest=newest,
        state=state if state in STATES else "", counts=counts(counted), qualifiers=FIELDS,
        means=MEANS, query=query, sensitive=sensitive, after=after,
    )  # fmt: skip


def counts(stats: Stats) -> Mapping[str, int]:
    """How many jobs are in each state; of those that have ended, how many ever were."""
    queues = list(stats.queues.values())
    found: dict[str, Any] = {
        state: sum(getattr(queue, state) for queue in queues)
        for state in ("ready", "limited", "scheduled", "parked")
    }
    return {
        "running": stats.running,
        **found,
        "dead": stats.dead,
        "done": stats.counters.get("done", 0),
        "cancelled": stats.counters.get("cancelled", 0),
    }


PAGES = [Page("/jobs", jobs, "Jobs")]
