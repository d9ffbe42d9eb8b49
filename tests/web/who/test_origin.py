"""Whose page has made a request that changes something."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from trioq.web.who.origin import is_ours

HERE = ("host", "jobs.example.com")


def told(*headers: tuple[str, str]) -> bool:
    sent = [(name.encode(), value.encode()) for name, value in (HERE, *headers)]
    return is_ours(Headers(raw=sent))


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-site", "same-origin")],
        [("sec-fetch-site", "none")],
        [("origin", "https://jobs.example.com")],
        [("origin", "https://jobs.example.com:443")],
        [("origin", "http://JOBS.example.com")],
        [("origin", "https://jobs.example.com"), ("sec-fetch-site", "same-origin")],
    ],
    ids=str,
)
def test_our_own_page_is_ours(headers: list[tuple[str, str]]) -> None:
    assert told(*headers)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-origin"), ("origin", "https://evil.example.com")],
        [("origin", "null")],
        [("origin", "")],
        [("origin", "https://evil.example.com")],
        [("origin", "https://jobs.example.com.evil.com")],
        [("origin", "https://jobs.example.com:8443")],
        [("origin", "https://jobs.example.com@evil.com")],
        [("origin", "file://jobs.example.com")],
        [("origin", "https://[jobs.example.com")],
        [("origin", "https://jobs.example.com"), ("origin", "https://evil.example.com")],
    ],
    ids=str,
)
def test_anybody_elses_is_not(headers: list[tuple[str, str]]) -> None:
    assert not told(*headers)
