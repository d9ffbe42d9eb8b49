# ruff: noqa: RUF009  key() makes an attrs.field; nothing is shared between instances.
"""Where the jobs are kept, as it is configured."""

from __future__ import annotations

from typing import Any, Self

import attrs

from trioq.core.config import redis_url
from trioq.core.config.keys import key
from trioq.core.config.kinds import Text
from trioq.core.config.numbers import Duration, Whole
from trioq.core.config.secret import Secret
from trioq.core.config.texts import PATH, Hidden, RedisAddress

SOME_TIME = Duration(above=0)


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("//")
    return repr(scheme + separator + rest.rpartition("@")[2])


@attrs.frozen(kw_only=True)
class RedisConfig:
    """Where the jobs are kept."""

    url: str = key(
        RedisAddress(),
        "`embedded:DIRECTORY` (a server of trioq's own), `redis://host:port/db`, "
        "`rediss://…` (TLS, always verified) or `unix:///path`. "
        "User, password and database may stand in it.",
        "embedded:.trioq",
        repr=_without_credentials,
    )
    username: str | None = key(Text(), "The ACL user; absent: Redis's default user.", None)
    password: Secret | None = key(
        Hidden(), "Better set by its variable than in a file. Never printed.", None
    )
    db: int = key(Whole(at_most=2**31 - 1), "The number of the database.", 0)
    tls_ca: str | None = key(PATH, "The CA that signed the server's certificate.", None)
    tls_cert: str | None = key(PATH, "The client's certificate, where the server asks.", None)
    tls_key: str | None = key(
        PATH, "The client's key, where the server asks for a certificate.", None
    )
    connect_timeout_s: float = key(SOME_TIME, "How long a connection may take to stand.", 5.0)
    read_timeout_s: float = key(SOME_TIME, "How long an answer may take.", 3.0)

    @classmethod
    def from_url(cls, url: str, **fields: Any) -> Self:
        """From a URL that may hold user, password and database.

        Raises:
          ValueError: The URL can't be used; the message doesn't show it.
        """
        parts = redis_url.split(url)
        given = {
            "username": parts.username,
            "password": Secret(parts.password) if parts.password else None,
            "db": parts.db,
        }
        kept = {name: value for name, value in given.items() if value is not None}
        return cls(url=parts.url, **{**kept, **fields})

    @property
    def embedded(self) -> str | None:
        """The embedded server's directory, or None for a server elsewhere."""
        is_embedded = self.url.startswith(redis_url.EMBEDDED)
        return self.url.removeprefix(redis_url.EMBEDDED) if is_embedded else None
