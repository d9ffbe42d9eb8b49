"""The pages as a browser without JavaScript meets them, on the shared server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import attrs
import httpx
import pytest
import trio
from starlette.requests import Request
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from trioq.web.desk import Desk
from trioq.web.problems import Problem
from trioq.web.site import SITE
from trioq.web.who.roles import Role, User

#: Elements that have no end.
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "rect", "path", "circle"}


def shown_to(desk: Desk, user: User) -> ASGIApp:
    """The site without its gate: somebody is known already."""

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        raise Problem(404, "Nothing here")

    router = Router(SITE.routes, redirect_slashes=False, default=nothing)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        state = {"user": user, "desk": desk, "config": desk.config}
        scope = {**scope, "state": state}
        try:
            await router(scope, receive, send)
        except Problem as problem:
            response = SITE.problem(Request(scope), problem)
            await response(scope, receive, send)

    return app


@attrs.frozen
class Element:
    """One of a page's."""

    tag: str
    attributes: Mapping[str, str | None]


@attrs.frozen
class Form:
    """What can be sent from a page."""

    element: Element
    fields: dict[str, str]


class Html(HTMLParser):
    """A page, read: its elements, its text, and what isn't as it should be."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.text = ""
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        self.faults += [f"<{tag}> isn't closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        self.text += data

    def forms(self) -> list[Form]:
        """What can be sent, each with its fields."""
        found: list[Form] = []
        for each in self.elements:
            if each.tag == "form":
                found.append(Form(each, {}))
            elif each.tag in ("input", "textarea", "select") and found:
                found[-1].fields[str(each.attributes["name"])] = each.attributes.get("value") or ""
        return found

    def all(self, tag: str, **wanted: str) -> list[Element]:
        """Those of a tag with these attributes."""
        return [
            each
            for each in self.elements
            if each.tag == tag and all(each.attributes.get(k) == v for k, v in wanted.items())
        ]


@attrs.define
class Browser:
    """Somebody who looks and clicks; cookies are kept."""

    app: ASGIApp
    root: str = ""
    cookies: httpx.Cookies = attrs.field(factory=httpx.Cookies)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, root_path=self.root)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", cookies=self.cookies
            ) as client:
                answer = await client.request(method, self.root + path, **more)
                self.cookies = client.cookies
                return answer

        return trio.run(go)

    def get(self, path: str, status: int = 200, **more: Any) -> Html:
        """A page, which is as pages should be."""
        answer = self.ask("GET", path, **more)
        assert answer.status_code == status, answer.text[-2000:]
        return checked(answer)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.ask("POST", path, data=fields)


def checked(answer: httpx.Response) -> Html:
    """The page, in which there is no code, and all that has to be."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    html = Html(answer.text)
    assert not html.faults
    assert all("src" in each.attributes for each in html.all("script"))
    assert not html.all("style")
    for each in html.elements:
        assert not [name for name in each.attributes if name == "style" or name.startswith("on")]
    assert [len(html.all(tag)) for tag in ("html", "main", "title", "h1")] == [1, 1, 1, 1]
    labels = {each.attributes.get("for") for each in html.all("label")}
    for each in html.all("input") + html.all("textarea") + html.all("select"):
        assert each.attributes.get("type") == "hidden" or each.attributes["id"] in labels
    ids = [each.attributes["id"] for each in html.elements if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    return html


@pytest.fixture
def as_(desk: Desk) -> Callable[..., Browser]:
    """A browser of somebody with a role."""

    def made(role: Role = Role.admin, root: str = "") -> Browser:
        return Browser(shown_to(desk, User("ana", role)), root)

    return made


@pytest.fixture
def browser(as_: Callable[..., Browser]) -> Browser:
    """Of somebody who may do everything."""
    return as_()
