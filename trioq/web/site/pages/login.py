"""Where one says who one is, and where one has been."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from trioq.web.problems import Problem
from trioq.web.site import forms
from trioq.web.site.forms import Flash
from trioq.web.site.page import Page
from trioq.web.site.site import site_of
from trioq.web.who.guard import COOKIE, SECURE_COOKIE, Guard


async def ask(request: Request) -> Response:
    """The form. Who needn't log in here is led on."""
    on = forms.next_of(request.query_params.get("next"))
    if not _guard(request).has_login:
        return forms.go_on(request, "/")
    return _form(request, on)


async def log_in(request: Request) -> Response:
    """Begin a session, and go on to where one wanted to go."""
    guard = _guard(request)
    if not guard.has_login:
        raise Problem(404, "Nothing here", "nobody logs in here")
    said = await forms.read(request)
    on, name = forms.next_of(said.get("next")), said.get("name", "")
    try:
        token = await guard.log_in(guard.place(request), name, said.get("password", ""))
    except Problem as problem:
        response = _form(request, on, name=name, problem=problem)
        response.headers.update(problem.headers)
        return response
    guard.log_out(request)  # one session for each browser
    response = forms.go_on(request, on)
    is_secure = guard.is_secure(request)
    response.set_cookie(
        SECURE_COOKIE if is_secure else COOKIE,
        token,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",  # a link in a message leads on without another log-in; posts don't pass
    )
    return response


async def log_out(request: Request) -> Response:
    """End the session here, and have the browser forget it."""
    guard = _guard(request)
    guard.log_out(request)
    response = forms.go_on(
        request, "/login" if guard.has_login else "/", Flash("done", "you are logged out")
    )
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(
            name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax"
        )
    return response


def _form(request: Request, on: str, *, name: str = "", problem: Problem | None = None) -> Response:
    status = problem.status if problem else 200
    return site_of(request).render(
        request, "login.html", status=status, title="Log in", next=on, name=name, problem=problem
    )


def _guard(request: Request) -> Guard:
    guard: Guard = request.state.guard
    return guard


PAGES = (
    Page("/login", ask),
    Page("/login", log_in, methods=("POST",)),
    Page("/logout", log_out, methods=("POST",)),
)
