"""What can come instead of an answer, as one of three errors of our own.

Whoever calls the store decides by them alone: no answer (:class:`StoreUnreachable`), not
now (:class:`StoreBusy`), no (:class:`StoreRefused`).
"""

from __future__ import annotations

import errno
import re

import redis

from trioq.errors import StoreBusy, StoreRefused, StoreUnreachable

#: "Not now": nothing was executed, and it may work in a while.
_BUSY = (
    "LOADING", "BUSY ", "TRYAGAIN", "ASK ", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS",
    "MISCONF", "OOM", "READONLY", "UNBLOCKED", "max number of clients",
)  # fmt: skip

#: "No", in the words of a server: it says so again until somebody changes something.
_REFUSED = frozenset(
    {"ERR", "BUSYKEY", "CROSSSLOT", "DENIED", "EXECABORT", "MOVED", "NOAUTH", "NOPERM", "NOPROTO"}
    | {"NOSCRIPT", "NOTBUSY", "UNKILLABLE", "WRONGPASS", "WRONGTYPE"}
)

#: What proxies say with a server's code, of a server that they have lost. The request may have
#: reached it.
_LOST = re.compile(
    r"\bconn(ection)? (refused|reset|closed|failure|timed out)|\btimed out\b|\bno route to host\b"
    r"|\bhost is down\b|\bserver clos|\bno server\b|\b(upstream|backend)\b|\bslot-\d+ is not ready",
    re.IGNORECASE,
)


def translated(error: Exception, *, sent: bool = True) -> Exception:
    """The error in our own words, with its cause's text.

    Args:
      sent: Whether a request may have reached the server before it.
    """
    text = _text(error)
    if isinstance(error, redis.ResponseError | redis.exceptions.BusyLoadingError):
        if _says_busy(text):
            return StoreBusy(text)
        if _code(error) in _REFUSED and not _LOST.search(text):
            return StoreRefused(text)
        return StoreUnreachable(f"what answers isn't the server, or has lost it: {text}", sent=sent)
    if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthorizationError):
        return StoreRefused(text)
    if isinstance(error, redis.exceptions.InvalidResponse):
        return StoreUnreachable(f"what answers doesn't speak Redis's protocol: {text}", sent=sent)
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        return StoreBusy(text) if _says_busy(text) else StoreUnreachable(text, sent=sent)
    return error


def no_descriptors(error: OSError) -> str:
    """EMFILE and ENFILE in plain words: the server has nothing to do with them."""
    whose = "this process has" if error.errno == errno.EMFILE else "this machine has"
    return f"{whose} no file descriptors left (see ulimit -n): {error.strerror}"


def _text(error: Exception) -> str:
    """What the server said, with the code that redis-py takes off where it knows it."""
    text = str(error) or type(error).__name__
    code = getattr(error, "status_code", None)
    return text if code in (None, "ERR") or text.startswith(code) else f"{code} {text}"


def _code(error: Exception) -> str:
    return getattr(error, "status_code", None) or str(error).partition(" ")[0]


def _says_busy(text: str) -> bool:
    # Older servers wrap the code: "Error running script …: -READONLY You can't write …".
    return text.startswith(_BUSY) or any(f"-{code.strip()} " in text for code in _BUSY)
