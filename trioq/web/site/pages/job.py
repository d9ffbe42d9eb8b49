"""``/jobs/…``: a job's whole story, and what can be done about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
import attrs
from starlette.requests import Request
from starlette.responses import Response

from trioq.client.admin import Admin
from trioq.client.results import result_json
from trioq.client.shapes import Story
from trioq.client.shapes import story as whole_story
from trioq.core.formats.note import Noted
from trioq.store.inspect import Explanation, JobView
from trioq.web.desk import Desk
from trioq.web.masks import masked, sensitive_of
from trioq.web.problems import Problem
from trioq.web.site import words
from trioq.web.site.live import LASTS_S, STREAMS, Stream, event, live_of, streamed
from trioq.web.site.page import Page
from trioq.web.site.site import of_path, site_of
from trioq.web.site.story import story

#: Between two looks at a job whose page is open; at one that has ended, nobody needs to look.
LOOK_S, ENDED_S = 1.0, 15.0

#: Lines of its log that are shown.
LOGGED = 200

#: States in which it can be told why it doesn't run.
WAITS = frozenset({"ready", "scheduled", "parked", "limited"})
ENDED = frozenset({"done", "cancelled"})


@attrs.frozen
class Seen:
    """All that a job's page shows."""

    story: Story
    explained: Explanation | None
    result: Mapping[str, Any] | None


async def job(request: Request) -> Response:
    """The page of a job, by its caller's id or its uid."""
    id, desk = of_path(request.path_params["job"]), request.state.desk

    def look(admin: Admin) -> Seen:
        told = whole_story(admin, id)
        if told is None:
            says = admin.explain(id).reasons[0].says
            raise Problem(404, "No such job", f"there is no job {id[:200]!r}: {says}")
        state = told.view.state
        explained = admin.explain(told.view.uid) if state in WAITS else None
        # Asked without waiting: what is kept, if anything is.
        result = result_json(desk.client, told.view.uid, 0) if state == "done" else None
        return Seen(told, explained, result)

    seen = await desk.ask(look)
    view, sensitive = seen.story.view, sensitive_of(request.state.config)
    about = view.about
    return site_of(request).render(
        request, "job.html", title=view.callers_id or view.uid, view=view, about=about,
        live=streamed("job", job=view.uid), shape=told(view, sensitive)["shape"],
        moments=story(view), noted=noted_of(view),
        explained=seen.explained, take=seen.story.take, door=seen.story.door,
        result=seen.result, payload=masked(view.payload, sensitive),
        is_masked=bool(sensitive), sensitive=sensitive, waits=view.state in WAITS,
        editable=view.record is not None and view.payload_raw is None,
    )  # fmt: skip


def noted_of(view: JobView) -> Noted | None:
    """What its handler has said last, while it ran or when it ended."""
    return view.noted or (view.summary.noted if view.summary else None)


async def stream(request: Request) -> Response:
    """What is new of a job, as long as its page is open."""
    desk, uid = request.state.desk, request.query_params.get("job", "")[:1000]
    if live_of(desk).open.total() >= STREAMS:
        headers = {"retry-after": "60"}
        raise Problem(503, "Too many pages are open", "this one can be reloaded", headers=headers)
    return Stream(
        events(desk, uid),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def events(desk: Desk, uid: str) -> AsyncGenerator[bytes, None]:
    """What a job's page is told: first all of it, then what changes.

    Cancellation: the page isn't counted as open any more.
    """
    live = live_of(desk)
    live.open["job"] += 1
    try:
        ends = anyio.current_time() + LASTS_S
        known: dict[str, str] = {}
        yield b"retry: 3000\n\n"
        while anyio.current_time() < ends:
            try:
                view = await desk.ask(lambda admin: admin.job(uid))
            except Problem as problem:
                known = {}
                yield event({"says": problem.title}, "away")
                await anyio.sleep(ENDED_S)
                continue
            text = told(view, sensitive_of(desk.config))
            changed = {key: said for key, said in text.items() if known.get(key) != said}
            shaped = {} if known.get("shape") == text["shape"] else {"shape": text["shape"]}
            known = text
            changed.pop("shape", None)
            if changed or shaped:
                yield event({"text": changed, **shaped})
            else:
                yield b": nothing has changed\n\n"
            await anyio.sleep(ENDED_S if view is None or view.state in ENDED else LOOK_S)
    finally:
        live.open["job"] -= 1


def told(view: JobView | None, sensitive: frozenset[str]) -> dict[str, str]:
    """Texts by their keys, and as ``shape`` a hash of what the page lists."""
    if view is None:
        return {"shape": "gone"}
    noted = noted_of(view)
    said = noted.progress if noted else None
    lists = [view.state, view.engine, len(view.attempts), view.due_ms, bool(view.asked)]
    lists += [said is None, bool(noted and noted.log), said is not None and said.data is not None]
    shape = hashlib.sha256(json.dumps(lists, default=str).encode()).hexdigest()[:16]
    text = {"shape": shape, "job/state": view.state}
    if said is not None:
        text["job/progress"] = words.percent(said.fraction)
        text["job/bar"] = words.width(said.fraction, 1)
        text["job/said"] = words.line(said.text, 300)
        text["job/data"] = words.as_json(masked(said.data, sensitive))
    if noted and noted.log:
        text["job/log"] = words.text("\n".join(noted.log[-LOGGED:]))
    return text


PAGES = [Page("/live/job", stream), Page("/jobs/{job:all}", job)]
