"""Requests to an API of trioq: one connection, kept; TLS checked; what goes wrong in a sentence."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from trioq.errors import TrioqError

#: The API answers within two seconds and a call to Redis; a doctor watches for some heartbeats.
TIMEOUT_S = 60.0

#: A longer answer isn't one of ours: a thousand dead jobs with all their attempts.
ANSWER_BYTES = 256 << 20

PREFIX = "/api/v1"


class ApiError(TrioqError):
    """The API hasn't done what it was asked for.

    Args:
      message: Why, in a sentence.
      status: Of HTTP; 0: there was no answer.
      faults: What was wrong with the request.
    """

    def __init__(self, message: str, status: int = 0, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.faults = faults


class NeedsRedis(TrioqError):
    """That can't be asked of an API."""

    def __init__(self, what: str = "this") -> None:
        super().__init__(f"{what} needs Redis itself: it can't go over --api")


class Http:
    """Asks one API.

    Args:
      url: Where the page is: ``https://trioq.example``, or with a path, where it is mounted.
      token: What says who asks; empty: nothing does.
      timeout_s: For how long an answer may be silent.

    Raises:
      ApiError: That is no such URL, or no token.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ApiError(f"{parts.hostname}: a URL of an API has neither a user nor a query")
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ApiError(f"{url} is no URL of an API, such as https://trioq.example")
        if not token.isascii() or not token.isprintable():
            raise ApiError("the token has characters that no token has")
        self.url = url.rstrip("/").removesuffix(PREFIX)
        self._root = parts.path.rstrip("/").removesuffix(PREFIX) + PREFIX
        self._token = token
        if parts.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=timeout_s, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=timeout_s)

    @property
    def is_in_clear(self) -> bool:
        """Whether others on the way could read the token."""
        is_here = self._connection.host in ("localhost", "::1") or self._connection.host.startswith(
            "127."
        )
        is_safe = isinstance(self._connection, http.client.HTTPSConnection)
        return bool(self._token) and not is_safe and not is_here

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, **query: Any) -> Any:
        """What is answered to a question.

        Args:
          path: Below ``/api/v1``; see :func:`at`.
          query: Its parameters; what is None isn't said.

        Raises:
          ApiError: It isn't.
        """
        said = {name: value for name, value in query.items() if value not in (None, "", [])}
        words = urlencode({k: _word(v) for k, v in said.items()}, doseq=True)
        return self._ask("GET", f"{path}?{words}" if words else path)

    def do(self, operation: str, **fields: Any) -> dict[str, Any]:
        """What came of an operation. What is None isn't said.

        Raises:
          ApiError: It wasn't done; or, with the status 0, it may have been.
        """
        said = {name: value for name, value in fields.items() if value is not None}
        told: dict[str, Any] = self._ask("POST", f"/operations/{operation}", said)
        return told

    def _ask(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        headers = {"accept": "application/json", "user-agent": "trioq"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        body = None
        if fields is not None:
            body = json.dumps(fields).encode("ascii")
            headers["content-type"] = "application/json"
        status, kind, raw = self._send(method, path, body, headers)
        told = _read(raw) if kind.endswith("json") else None
        if status == 200 and kind == "application/json":
            return told
        raise self._refused(status, told if kind == "application/problem+json" else None)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        """Status, content type and body. A connection that the server has closed meanwhile is
        opened again, once."""
        for is_last in (False, True):
            was_open = self._connection.sock is not None
            try:
                self._connection.request(method, self._root + path, body, dict(headers))
                response = self._connection.getresponse()
                raw = response.read(ANSWER_BYTES + 1)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                self._connection.close()
                # What changes something is sent once: it may have been done.
                if is_last or not was_open or method != "GET":
                    raise self._unreached(error, method) from None
            except ssl.SSLCertVerificationError as error:
                self._connection.close()
                why = error.verify_message or str(error)
                raise ApiError(f"{self.url}: its certificate isn't trusted: {why}") from None
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._connection.close()
                raise self._unreached(error, method) from None
            else:
                if len(raw) > ANSWER_BYTES:
                    self._connection.close()
                    raise ApiError(f"{self.url}: the answer is too long")
                kind = response.headers.get_content_type()
                return response.status, kind, raw
        raise AssertionError

    def _unreached(self, error: Exception, method: str) -> ApiError:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        lost = "; it may have been done" if method != "GET" and not _is_refused(error) else ""
        return ApiError(f"{self.url} can't be reached: {why}{lost}")

    def _refused(self, status: int, told: Any) -> ApiError:
        says = told if isinstance(told, dict) else {}
        detail = str(says.get("detail") or says.get("title") or "")
        faults = tuple(
            f"{each.get('where')}: {each.get('what')}"
            for each in says.get("faults", ())
            if isinstance(each, dict)
        )
        if status == 401:
            hint = "it takes a token, which TRIOQ_API_TOKEN has, or a file TRIOQ_API_TOKEN_FILE"
            said = f"{self.url} doesn't know who asks: " + (
                "the token isn't right" if self._token else hint
            )
        elif not says:
            said = f"{self.url} is no API of trioq: it answers {status}"
        else:
            said = detail
        return ApiError(said, status, faults)


def at(*parts: str) -> str:
    """A path of these, whatever they hold."""
    return "".join(f"/{quote(part, safe='', errors='surrogateescape')}" for part in parts)


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _read(raw: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(raw)
    return None


def _is_refused(error: Exception) -> bool:
    """Whether nothing can have been sent."""
    return isinstance(error, ConnectionRefusedError)
