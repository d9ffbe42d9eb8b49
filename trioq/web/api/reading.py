"""What a request says: its query and its body, strictly."""

from __future__ import annotations

import json
import math
from contextlib import aclosing
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from trioq.core.valid import DEEPEST, is_too_deep
from trioq.web.problems import Problem

#: Beside the largest payload: names, filters, spaces.
BESIDE_BYTES = 64 << 10


def query_of(request: Request, given: frozenset[str]) -> dict[str, list[str]]:
    """The query's parameters, each with all that is said of it.

    Args:
      request: The request.
      given: What the path says already.

    Raises:
      Problem: One of these stands in the query, too (422).
    """
    said: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        said.setdefault(name, []).append(value)
    if twice := sorted(given & said.keys()):
        faults = [{"where": name, "what": "the path says it"} for name in twice]
        raise Problem(422, "Wrong fields", f"{', '.join(twice)}: the path says it", faults=faults)
    return said


async def object_of(request: Request, max_payload_bytes: int) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
      Problem: 400: it isn't JSON. 413: it is too large. 415: it says that it is something else.
        422: it is no object.
    """
    _check_type(request)
    raw = await _body(request, 2 * max_payload_bytes + BESIDE_BYTES)
    try:
        read = json.loads(
            raw.decode(),
            object_pairs_hook=_once_each,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        is_deep = isinstance(read, dict) and is_too_deep(read)
    except UnicodeDecodeError as error:
        raise Problem(400, "Not JSON", f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        detail = f"{error.msg}, at character {error.pos + 1}"
        raise Problem(400, "Not JSON", detail) from None
    except RecursionError:
        is_deep, read = True, {}
    except ValueError as error:  # of ours, or a number of more than 4,300 digits
        raise Problem(400, "Not JSON", str(error)) from None
    if is_deep:
        raise Problem(400, "Not JSON", f"nested deeper than {DEEPEST} levels")
    if not isinstance(read, dict):
        raise Problem(422, "Wrong fields", "the body is to be a JSON object")
    return read


def _check_type(request: Request) -> None:
    said = request.headers.get("content-type", "")
    kind, _, parameters = said.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        detail = f"the body is to be application/json, and it is {said[:100] or 'nothing said'}"
        accepts = {"accept-post": "application/json"}
        raise Problem(415, "Another content type", detail, headers=accepts)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Another content encoding", "the body is to be sent as it is")


async def _body(request: Request, most: int) -> bytes:
    parts, size = [], 0
    said = request.headers.get("content-length", "")
    if said.isdecimal() and len(said) < 20 and int(said) > most:
        raise Problem(413, "Too large", f"a body has at most {most} bytes")
    try:
        async with aclosing(request.stream()) as stream:
            async for part in stream:
                size += len(part)
                if size > most:
                    raise Problem(413, "Too large", f"a body has at most {most} bytes")
                parts.append(part)
    except ClientDisconnect:
        raise Problem(400, "Not JSON", "the body ended early") from None
    return b"".join(parts)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {twice[:60]!r} is there twice")
    return read


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"JSON has no {word}")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:40]} is no number that a computer has")
    return number
