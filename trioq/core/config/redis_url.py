"""A Redis URL in its parts, so that a password never stays in it.

Nothing here ever shows the URL it was given, only its scheme: where a URL is wrong, it
can't be said which part of it is the password.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

EMBEDDED = "embedded:"
SERVERS = ("redis", "rediss", "unix")
LATER = ("redis+sentinel", "redis+cluster")

EXPECTED = "a URL that begins with embedded:, redis://, rediss:// or unix://"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,19}):")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


@attrs.frozen
class RedisUrl:
    """What a URL says. ``url`` is all of it but the user, the password and the database."""

    url: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    db: int | None = None
    host: str | None = None
    """None for the embedded server and for unix sockets."""

    @property
    def scheme(self) -> str:
        return self.url.partition(":")[0]


def split(url: str) -> RedisUrl:
    """Take a URL apart; user and password are percent-decoded.

    Raises:
      ValueError: It can't be used; the message says why, and shows nothing but the scheme.
    """
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    if scheme == "embedded":
        return _embedded(url[len(EMBEDDED) :])
    if scheme in LATER:
        raise ValueError(f"{scheme}:// is not supported yet; expected {EXPECTED}")
    if scheme not in SERVERS:
        got = f", got {scheme}:" if scheme else ""
        raise ValueError(f"expected {EXPECTED}{got}")
    if url[len(scheme) : len(scheme) + 3] != "://":
        raise ValueError(f"expected {scheme}://")
    if _UNPRINTABLE.search(url):
        raise ValueError("a URL has no blanks or control characters; write them as %20, %0A")
    return _server(scheme, url)


def _embedded(directory: str) -> RedisUrl:
    if not directory or directory.startswith("//") or "\0" in directory:
        raise ValueError("expected embedded:DIRECTORY, such as embedded:.trioq")
    return RedisUrl(EMBEDDED + directory)


def _server(scheme: str, url: str) -> RedisUrl:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"the host after {scheme}:// can't be read") from None
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        raise ValueError("in a user name or password, write / ? # as %2F %3F %23")
    userinfo, _, address = parts.netloc.rpartition("@")
    username, password = _credentials(userinfo)
    if scheme == "unix":
        if address or parts.path.strip("/") == "":
            raise ValueError("expected unix:///absolute/path/of/the/socket")
        return RedisUrl(f"unix://{parts.path}", username, password, _db("", parts.query), host=None)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the port is a number from 1 to 65535") from None
    if not host:
        raise ValueError(f"expected a host after {scheme}://")
    if port == 0:
        raise ValueError("the port is a number from 1 to 65535")
    db = _db(parts.path.strip("/"), parts.query)
    return RedisUrl(f"{scheme}://{address}", username, password, db, host)


def _credentials(userinfo: str) -> tuple[str | None, str | None]:
    username, _, password = userinfo.partition(":")
    try:
        # Not unquote_plus: a plus sign is itself in this part of a URL.
        return tuple(unquote(part, errors="strict") or None for part in (username, password))  # type: ignore[return-value]
    except UnicodeDecodeError:
        raise ValueError("user name and password are percent-encoded UTF-8") from None


def _db(path: str, query: str) -> int | None:
    """The database number, from ``/3`` or ``?db=3``."""
    options = parse_qsl(query, keep_blank_values=True)
    if any(name != "db" for name, _ in options):
        raise ValueError("what follows the ? isn't read; use the keys of [redis]")
    given = ([path] if path else []) + [value for _, value in options]
    if not given:
        return None
    if len(given) > 1 or not re.fullmatch(r"[0-9]{1,9}", given[0]):
        raise ValueError("what follows the host is one database number, such as /0")
    return int(given[0])
