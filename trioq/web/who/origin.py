"""Whether a request that changes something was made by a page of ours.

A browser sends cookies, and comes from inside the firewall, whoever's page it shows. It says whose
(Fetch Metadata, and Origin); what says nothing is no browser of these years, and isn't believed
where a cookie or the address is all that tells who asks.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

#: What changes nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def is_ours(headers: Headers) -> bool:
    """Whether one of our own pages, or the person at the keyboard, makes this request."""
    sites = headers.getlist("sec-fetch-site")
    origins = headers.getlist("origin")
    if len(sites) > 1 or len(origins) > 1:
        return False
    if origins and not _is_of(origins[0], headers.get("host", "")):
        return False
    if sites:
        return sites[0] in ("same-origin", "none")
    return bool(origins)


def _is_of(origin: str, host: str) -> bool:
    # A proxy may speak TLS in our place, so that the scheme isn't ours to know.
    try:
        told = urlsplit(origin)
    except ValueError:
        return False
    if told.scheme not in ("http", "https") or not host:
        return False
    return _plain(told.netloc, told.scheme) == _plain(host, told.scheme)


def _plain(netloc: str, scheme: str) -> str:
    return netloc.lower().removesuffix(":80" if scheme == "http" else ":443")
