"""Why a request isn't answered as it was meant: told to programs and to people alike.

To programs as a problem document (RFC 9457), to people as a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Problem(Exception):
    """A request can't be answered, or was refused.

    Args:
      status: The status code of HTTP.
      title: What is wrong, in a few words, the same each time.
      detail: What was wrong this time, and what would be right.
      faults: Which members of the request were wrong: ``{"where", "what"}`` each.
      headers: What else the answer says: ``retry-after``, ``www-authenticate``.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        faults: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """The document, for ``application/problem+json``."""
        told: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status}
        if self.detail:
            told["detail"] = self.detail
        if self.faults:
            told["faults"] = [dict(fault) for fault in self.faults]
        return told
