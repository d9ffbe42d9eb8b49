"""Templates, static files, problems; and the routes of all pages."""

from __future__ import annotations

import hashlib
import mimetypes
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from trioq.web import paths
from trioq.web.operations import OPERATIONS
from trioq.web.problems import Problem
from trioq.web.site import forms
from trioq.web.site.page import Page
from trioq.web.site.words import FILTERS, TONES
from trioq.web.who.roles import User

HERE = Path(__file__).parent

#: A static file's path has the hash of what it holds: it may be kept for good.
FOR_GOOD = "public, max-age=31536000, immutable"

#: Before a part of a path that would else be a step. A browser reads it as it is written.
MARK = "%2E"


class Site:
    """All pages.

    Args:
      pages: In the order of the navigation.
    """

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = pages
        self._static = {each.name: each.read_bytes() for each in (HERE / "static").iterdir()}
        self._hash = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters |= FILTERS
        self._env.globals |= {"operations": OPERATIONS, "tones": TONES}

    @property
    def routes(self) -> list[BaseRoute]:
        """Of the pages and of what they load."""

        async def endpoint(request: Request) -> Response:
            page: Page = request.scope["page"]
            request.scope["site"] = self
            return await page.endpoint(request)

        found: list[BaseRoute] = [_PageRoute(page, endpoint) for page in self._pages]
        return [Route("/static/{hash}/{name}", self._file), *found]

    def render(
        self, request: Request, template: str, *, status: int = 200, **given: Any
    ) -> Response:
        """A page.

        Args:
          template: Its file.
          given: What the template is told.
        """
        flash = forms.told(request.cookies)
        shown = self._env.get_template(template).render(self._common(request, flash) | given)
        response = HTMLResponse(shown.encode("utf-8", "backslashreplace"), status)
        if flash is not None:
            root = request.scope.get("root_path", "")
            response.delete_cookie(forms.COOKIE, path=root or "/", httponly=True, samesite="strict")
        return response

    def problem(self, request: Request, problem: Problem) -> Response:
        """A problem, as a page."""
        response = self.render(request, "problem.html", status=problem.status, problem=problem)
        for name, value in problem.headers.items():
            response.headers[name] = value
        return response

    # -- below -------------------------------------------------------------------------------

    def _common(self, request: Request, flash: forms.Flash | None) -> dict[str, Any]:
        root: str = request.scope.get("root_path", "")
        user: User | None = getattr(request.state, "user", None)
        path = path_of(request)

        def at(path: str, **query: Any) -> str:
            kept = {name: value for name, value in query.items() if value not in (None, "", False)}
            asked = f"?{urlencode(kept, errors='replace')}" if kept else ""
            return quote((root + path).encode(errors="replace"), safe="/:@!$&'()*+,;=~") + asked

        def may(operation: str) -> bool:
            return user is not None and user.may(OPERATIONS[operation].role)

        here = path + (f"?{request.url.query}" if request.url.query else "")
        return {
            "at": at,
            "at_here": forms.place(root, here),
            "at_path": lambda path: forms.place(root, path),
            "config": request.state.config,
            "flash": flash,
            "here": here,
            "live": "",
            "shape": "",
            "may": may,
            "nav": [(page.path, page.title) for page in self._pages if page.title],
            "now_ms": time.time_ns() // 1_000_000,
            "path": path,
            "static": lambda name: at(f"/static/{self._hash}/{name}"),
            "user": user,
            "guard": getattr(request.state, "guard", None),
            "in_path": in_path,
        }

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if (data := self._static.get(name)) is None:
            raise Problem(404, "Nothing here", "there is no such file")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        is_this = request.path_params["hash"] == self._hash
        kept = FOR_GOOD if is_this else "no-cache"
        return Response(data, media_type=kind, headers={"cache-control": kept})


def path_of(request: Request) -> str:
    """Which page is asked for, wherever the pages are mounted."""
    return paths.path_of(request.scope) or "/"


def in_path(name: str) -> str:
    """A name as the rest of a path, which may hold slashes: a part that a browser would take for a
    step, as ``..``, is marked. See :func:`of_path`."""
    return "/".join(
        f"{MARK}{part}" if part in {".", ".."} or part.startswith(MARK) else part
        for part in name.split("/")
    )


def of_path(rest: str) -> str:
    """The name that the rest of a path means."""
    return "/".join(part.removeprefix(MARK) for part in rest.split("/"))


def site_of(request: Request) -> Site:
    """The site whose page is asked for."""
    site: Site = request.scope["site"]
    return site


class _PageRoute(Route):
    """A route that says which page it is."""

    def __init__(self, page: Page, endpoint: Any) -> None:
        super().__init__(page.path, endpoint, methods=list(page.methods))
        self._page = page

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        scope["page"] = self._page
        await super().handle(scope, receive, send)
