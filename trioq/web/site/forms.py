"""What a form says, where one goes on when it is done, and what is told there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote

import attrs
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from trioq.web.problems import Problem

#: What the next page tells once.
COOKIE = "trioq-told"
#: Bytes of it; a cookie has 4,000 at most.
MOST = 1000
#: A form has so many fields at most.
FIELDS = 1200

Tone = Literal["done", "failed"]


@attrs.frozen
class Flash:
    """What came of what was done, on the page where one goes on."""

    tone: Tone
    says: str


async def read(request: Request) -> dict[str, str]:
    """The fields of a form that was sent.

    Raises:
      Problem: It isn't one (415), or can't be read (422).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "Not a form", "expected application/x-www-form-urlencoded")
    return fields(await request.body())


def fields(body: bytes) -> dict[str, str]:
    """The fields of a form, or a query; of several with one name the last counts.

    Raises:
      Problem: It can't be read.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=FIELDS,
        )
    except ValueError as error:
        raise Problem(422, "Wrong fields", f"the form can't be read: {error}") from None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def next_of(wanted: str | None, otherwise: str = "/") -> str:
    """Where one goes on: a path of these pages, and never another host's.

    What a browser reads as a host (``//evil``, ``/\\evil``), or as another scheme, isn't one.
    """
    path = wanted or otherwise
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    if not is_ours or any(c.isspace() or ord(c) < 32 for c in path) or len(path) > 4000:
        return otherwise
    return path


def place(root: str, path: str) -> str:
    """A path of these pages, with its query, as a browser is told of it."""
    return quote((root + path).encode(errors="replace"), safe="/?&=%#:@!$'()*+,;~[]")


def go_on(request: Request, path: str, flash: Flash | None = None) -> Response:
    """Go on with a path of these pages."""
    root = request.scope.get("root_path", "")
    response = RedirectResponse(place(root, path), status_code=303)
    if flash is not None:
        said = quote(f"{flash.tone}:{flash.says}".encode(errors="replace"))[:MOST]
        # Not cut within a letter.
        said = said.rpartition("%")[0] if "%" in said[-2:] else said
        response.set_cookie(
            COOKIE, said, max_age=60, path=root or "/", httponly=True, samesite="strict"
        )
    return response


def told(cookies: Mapping[str, str]) -> Flash | None:
    """What was to be told on the next page."""
    tone, _, says = unquote(cookies.get(COOKIE, "")).partition(":")
    match tone:
        case "done" | "failed":
            return Flash(tone, says)
        case _:
            return None
