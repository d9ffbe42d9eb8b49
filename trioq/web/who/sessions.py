"""Who is logged in: kept here, in memory; the browser has a random name for it.

So a log-out is one, and nothing needs a key. When the process ends, all log in again.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

import attrs

#: Beyond so many, the oldest has to log in again.
MOST = 10_000


@attrs.define
class _Session:
    name: str
    until: float
    idle_until: float


class Sessions:
    """A session ends at its time, and after half of that without a request.

    Args:
      lasts_s: Seconds from the log-in.
      now: A monotonic clock.
    """

    def __init__(self, lasts_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._lasts_s = lasts_s
        self._now = now
        self._kept = OrderedDict[bytes, _Session]()

    def begin(self, name: str) -> str:
        """Somebody logs in. Returns what the browser is told."""
        token, now = secrets.token_urlsafe(32), self._now()
        while len(self._kept) >= MOST:
            self._kept.popitem(last=False)
        self._kept[_of(token)] = _Session(name, now + self._lasts_s, now + self._lasts_s / 2)
        return token

    def name_of(self, token: str) -> str | None:
        """Whose session it is; None: nobody's, or not any more."""
        # Looked up by its hash: how long that takes tells nothing about the tokens there are.
        session, now = self._kept.get(_of(token)), self._now()
        if session is None:
            return None
        if now >= min(session.until, session.idle_until):
            del self._kept[_of(token)]
            return None
        session.idle_until = now + self._lasts_s / 2
        return session.name

    def end(self, token: str) -> None:
        """Somebody logs out."""
        self._kept.pop(_of(token), None)


def _of(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
