"""What can go wrong with a server of one's own."""

from __future__ import annotations

from trioq.errors import StoreRefused


class EmbeddedError(StoreRefused):
    """The embedded server can't be used; the message says what to do."""


class DataUnusable(EmbeddedError):
    """The server can't load its data, and won't until somebody has mended them."""
