"""Doing what a button says, and first, where it is grave, asking whether one is sure."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from trioq.web.operations import fields_of, may, perform
from trioq.web.problems import Problem
from trioq.web.site import forms
from trioq.web.site.forms import Flash
from trioq.web.site.page import Page
from trioq.web.site.site import site_of

#: Fields of a form that are the page's own.
OWN = ("next",)


async def do(request: Request) -> Response:
    """Do it, and go on where the form says; what came of it is told there.

    What can't be done because of how things are, or because a field is wrong, is told there too;
    who may not do it at all is shown the refusal.
    """
    name = request.path_params["operation"]
    may(request.state.user, name)  # before the body is read
    said = await forms.read(request)
    on = forms.next_of(said.get("next"))
    fields = {key: value for key, value in said.items() if key not in OWN}
    # The script, which does bulk work part by part, is answered in its own language.
    wants_json = "application/json" in request.headers.get("accept", "")
    try:
        told = await perform(request.state.desk, request.state.user, name, fields, is_form=True)
        if wants_json:
            return JSONResponse(told)
    except Problem as problem:
        if wants_json:
            kind = "application/problem+json"
            return JSONResponse(problem.as_json(), problem.status, media_type=kind)
        if problem.status not in (404, 409, 422):
            raise
        return forms.go_on(request, on, Flash("failed", problem.detail or problem.title))
    return forms.go_on(request, on, Flash("done", str(told.get("done", "done"))))


async def sure(request: Request) -> Response:
    """Ask whether one is sure: the same form, with what it does in words."""
    said = forms.fields(request.url.query.encode("ascii", "replace"))
    operation = may(request.state.user, said.pop("do", ""))
    on = forms.next_of(said.pop("next", None))
    verb = operation.name.partition(".")[2].replace("_", " ")
    return site_of(request).render(
        request, "sure.html", title="Are you sure?", operation=operation, fields=said, next=on,
        verb=f"Yes, {verb}", paced="page" in fields_of(operation.takes),
    )  # fmt: skip


PAGES = [
    Page("/do/{operation}", do, methods=("post",)),
    Page("/sure", sure),
]
