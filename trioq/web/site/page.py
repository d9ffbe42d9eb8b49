"""What a page says of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
from starlette.requests import Request
from starlette.responses import Response

from trioq.web import paths

assert paths, "{:all} is there"

Endpoint = Callable[[Request], Awaitable[Response]]


@attrs.frozen
class Page:
    """At a path, what is shown there."""

    path: str
    """As starlette writes it: ``/queues/{queue:all}``."""
    endpoint: Endpoint
    title: str = ""
    """In the navigation; empty: it isn't there."""
    methods: tuple[str, ...] = ("get",)
