"""What moves on open pages: one look for all of them, told as server-sent events.

Whichever page asks first looks, and the others get what it has seen; so there is no task that
somebody would have to start or stop, nobody looks while no page is open, and what Redis is asked
doesn't depend on how many are. A stream tells only what has changed. It ends by itself after some
minutes, and the browser asks for another: so somebody who mayn't look any more is noticed.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, cast
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

import anyio
import attrs
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from trioq.client.admin import Admin
from trioq.store import inspect
from trioq.store.inspect import Overviews, Trend
from trioq.web.desk import Desk
from trioq.web.problems import Problem
from trioq.web.site.look import TOPICS, Asked, Look, Told
from trioq.web.site.page import Page

#: Between two looks. Engines tell twice in that time what they do.
EVERY_S = 2.0
#: Pages that are open at a time, of all users; the others are still, and can be reloaded.
STREAMS = 256
#: How long a stream lasts.
LASTS_S = 300.0
#: A stream says something at least so often: else whoever lies between would take it for dead.
SILENT_S = 15.0
#: The oldest jobs of so many queues are looked for, the configured ones first.
QUEUES = 100


@attrs.frozen
class Away:
    """A look that failed."""

    says: str


class Live:
    """Looks at one namespace for all pages that are open.

    Args:
      desk: Where it asks.
      every_s: Between two looks.
    """

    def __init__(self, desk: Desk, every_s: float = EVERY_S) -> None:
        self._desk = desk
        self._every_s = every_s
        self._overviews: Overviews | None = None
        self._one = threading.Lock()
        self._trend = Trend()
        self._lock = anyio.Lock()
        self._last: tuple[Look | Away, float] | None = None
        self._told: dict[tuple[str, str], Told] = {}
        self.open = Counter[str]()
        """Topic → how many pages of it are open."""

    @property
    def last(self) -> Look | None:
        """The last look, if it isn't old."""
        if self._last is None or time.monotonic() - self._last[1] > 2 * self._every_s:
            return None
        return self._last[0] if isinstance(self._last[0], Look) else None

    async def look(self, *, with_limits: bool = False, may_be_last: bool = False) -> Look:
        """What is so now, for a page that somebody asks for.

        Args:
          with_limits: Also what limits are used.
          may_be_last: What open pages were told last is good enough, if there is that.

        Raises:
          Problem: Redis is away, or has no time.
        """

        def look(admin: Admin) -> Look:
            with self._one:  # it remembers what the dead died of
                if self._overviews is None:
                    self._overviews = Overviews(admin.store, admin.queues, None)
                self._overviews.store = admin.store
                overview = self._overviews.take()
            names = list(itertools.islice(overview.stats.queues, QUEUES))
            oldest = inspect.oldest_ready_ms(admin.store, names)
            limits = admin.limits() if with_limits else ()
            return Look(overview, self._trend, oldest, limits)

        if may_be_last and (last := self.last) is not None:
            return last
        return await self._desk.ask(look)

    async def next(self, seen: Look | Away | None) -> Look | Away:
        """A look that isn't the one that was seen: when it is due, and by whoever waits first."""
        async with self._lock:
            if self._last is not None and self._last[0] is not seen and self._age_s < self._every_s:
                return self._last[0]
            if self._last is not None:
                await anyio.sleep(max(0.0, self._every_s - self._age_s))
            self._last = await self._look(), time.monotonic()
            self._told.clear()
            return self._last[0]

    def tell(self, look: Look, topic: str, asked: Asked) -> Told:
        """What the pages of a topic are told; made once for all that ask alike."""
        key = topic, json.dumps(asked, sort_keys=True)
        if key not in self._told or look is not self.last:
            self._told[key] = TOPICS[topic](look, self._desk.config, asked)
        return self._told[key]

    # -- below -------------------------------------------------------------------------------

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._last[1] if self._last else float("inf")

    async def _look(self) -> Look | Away:
        try:
            seen = await self.look(with_limits=self.open["limits"] > 0)
        except Problem as problem:
            self._trend = Trend()
            return Away(problem.title)
        self._trend.add(seen.overview)
        return seen


_LIVE: WeakKeyDictionary[Desk, Live] = WeakKeyDictionary()


def live_of(desk: Desk) -> Live:
    """Who looks for the pages of this desk."""
    if desk not in _LIVE:
        _LIVE[desk] = Live(desk)
    return _LIVE[desk]


async def look_for(request: Request) -> Look:
    """What a page shows; one that the script fetches anew, as what is told has changed, shows just
    that, and asks nobody.

    Raises:
      Problem: As of :meth:`Live.look`.
    """
    is_again = request.headers.get("x-trioq-look") == "last"
    return await live_of(request.state.desk).look(may_be_last=is_again)


def streamed(topic: str, **asked: str) -> str:
    """What a page of a topic listens to, below ``/live/``."""
    query = urlencode({name: text for name, text in asked.items() if text}, errors="replace")
    return f"{topic}?{query}" if query else topic


async def stream(request: Request) -> Response:
    """What a page of a topic is told, as long as it is open."""
    topic = request.path_params["topic"]
    if topic not in TOPICS:
        raise Problem(404, "Nothing here", "nothing is told of that")
    live = live_of(request.state.desk)
    if live.open.total() >= STREAMS:
        raise Problem(
            503,
            "Too many pages are open",
            "this one can be reloaded",
            headers={"retry-after": "60"},
        )
    asked = {name: value[:1000] for name, value in request.query_params.items()}
    return Stream(
        events(live, topic, asked),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


class Stream(StreamingResponse):
    """It ends where nobody listens any more, and not when it is found as garbage."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(cast(AsyncGenerator[bytes, None], self.body_iterator)):
            await super().__call__(scope, receive, send)


async def events(live: Live, topic: str, asked: Asked) -> AsyncGenerator[bytes, None]:
    """What a page is told: first all of it, then what changes.

    Cancellation: the page isn't counted as open any more.
    """
    live.open[topic] += 1
    try:
        ends, spoke = anyio.current_time() + LASTS_S, anyio.current_time()
        seen: Look | Away | None = None
        known: dict[str, str] = {}
        shape = None
        yield b"retry: 3000\n\n"
        while anyio.current_time() < ends:
            seen = await live.next(seen)
            if isinstance(seen, Away):
                known, shape = {}, None
                said = event({"says": seen.says}, "away")
            else:
                told = live.tell(seen, topic, asked)
                changed = {k: text for k, text in told.text.items() if known.get(k) != text}
                say: dict[str, Any] = {"text": changed} if changed else {}
                if told.shape != shape:
                    say["shape"] = told.shape
                known, shape = dict(told.text), told.shape
                said = event(say | {"now_ms": seen.overview.now_ms}) if say else b""
                if not said and anyio.current_time() - spoke > SILENT_S:
                    said = b": nothing has changed\n\n"
            if said:
                spoke = anyio.current_time()
                yield said
    finally:
        live.open[topic] -= 1


def event(data: Mapping[str, Any], kind: str = "look") -> bytes:
    """One event."""
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode("ascii")


PAGES = [Page("/live/{topic}", stream)]
