"""The routes of the API, made from its tables."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from trioq.core.config.rules import did_you_mean
from trioq.errors import PayloadRejected
from trioq.web.api.openapi import PREFIX, document
from trioq.web.api.question import Question
from trioq.web.api.questions import QUESTIONS
from trioq.web.api.reading import object_of, query_of
from trioq.web.desk import Desk
from trioq.web.operations import OPERATIONS, Acting, perform, structured
from trioq.web.paths import with_everything
from trioq.web.problems import Problem
from trioq.web.who.roles import User

__all__ = ["PREFIX", "routes"]

Handler = Callable[[Request], Awaitable[Any]]


@attrs.frozen
class Endpoint:
    """What stands at one path; what is wrong is told as a problem document."""

    by_method: Mapping[str, Handler]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        method = request.method
        handler = self.by_method.get("GET" if method == "HEAD" else method)
        try:
            if handler is None:
                there = [*self.by_method, *(["HEAD"] if "GET" in self.by_method else [])]
                allow = {"allow": ", ".join(sorted(there))}
                raise Problem(405, "Another method", f"{method} isn't for this path", headers=allow)
            response = _told(await handler(request))
        except Problem as problem:
            response = refusal(problem)
        if method == "HEAD":
            response.body = b""  # its length is still what it would be
        return response


def refusal(problem: Problem) -> Response:
    """A problem, as a document."""
    return _told(
        problem.as_json(), problem.status, problem.headers, kind="application/problem+json"
    )


def _told(
    value: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    kind: str = "application/json",
) -> Response:
    # ASCII: half of a surrogate pair, which a job may hold, is no UTF-8.
    body = json.dumps(value, separators=(",", ":"), default=str).encode("ascii")
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, kind)


def _asked(question: Question) -> Handler:
    named = frozenset(_names(question.path))

    async def ask(request: Request) -> Any:
        said = query_of(request, named)
        what = structured(question.takes, {**said, **request.path_params}, is_query=True)
        desk, user = _at(request)
        answer = question.answer
        try:
            if question.at_desk is not None:
                return await question.at_desk(desk, user, what)
            assert answer is not None
            return await desk.ask(lambda admin: answer(Acting.at(desk, admin, user), what))
        except (ValueError, TypeError, PayloadRejected) as error:
            raise Problem(422, "Wrong fields", str(error)) from error

    return ask


def _done(name: str) -> Handler:
    async def do(request: Request) -> Any:
        desk, user = _at(request)
        if not user.may(OPERATIONS[name].role):
            return await perform(desk, user, name, {})  # refuses, before a body is read
        query_is_empty(request)
        fields = await object_of(request, desk.config.max_payload_bytes)
        return await perform(desk, user, name, fields)

    return do


def query_is_empty(request: Request) -> None:
    """Refuse parameters where the body says all.

    Raises:
      Problem: There are some (422).
    """
    if names := list(request.query_params.keys()):
        faults = [{"where": name, "what": "fields stand in the body"} for name in names]
        detail = f"{', '.join(names)[:200]}: fields stand in the body"
        raise Problem(422, "Wrong fields", detail, faults=faults)


async def _no_operation(request: Request) -> Any:
    name = request.path_params["operation"]
    detail = f"there is no operation {name[:60]!r}{did_you_mean(name[:60], OPERATIONS)}"
    raise Problem(404, "No such operation", detail)


async def _nothing(request: Request) -> Any:
    detail = f"there is nothing at this path; {PREFIX}/openapi.json tells what there is"
    raise Problem(404, "Nothing here", detail)


async def _document(request: Request) -> Any:
    query_is_empty(request)
    return document(request.scope.get("root_path", ""))


def _at(request: Request) -> tuple[Desk, User]:
    return request.state.desk, request.state.user


def _names(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def routes() -> list[BaseRoute]:
    """All below ``/api/v1``; whoever asks for another path there is told so."""
    every = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    found: list[tuple[str, Endpoint]] = [("/openapi.json", Endpoint({"GET": _document}))]
    found += [(f"/operations/{name}", Endpoint({"POST": _done(name)})) for name in OPERATIONS]
    found.append(("/operations/{operation:all}", Endpoint(dict.fromkeys(every, _no_operation))))
    found += [
        (with_everything(question.path), Endpoint({"GET": _asked(question)}))
        for question in QUESTIONS
    ]
    found.append(("/{rest:all}", Endpoint(dict.fromkeys(every, _nothing))))
    first = next(endpoint for path, endpoint in found if path == "/")
    return [
        Route(PREFIX, first, include_in_schema=False),
        *(Route(PREFIX + path, endpoint) for path, endpoint in found),
    ]
