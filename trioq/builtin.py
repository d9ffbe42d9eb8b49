"""Handlers that every engine has."""

from __future__ import annotations

import hashlib
import mimetypes
from typing import Any

import trio

from trioq.app import App
from trioq.errors import GiveUp

BLOCK_BYTES = 1 << 20

builtin = App()


@builtin.job("fingerprint")
def fingerprint(path: str, size: int | None = None, mtime: float | None = None) -> dict[str, Any]:
    """Size, SHA-256 and media type of a file.

    Args:
      size, mtime: What the producer saw; the file's present content counts.

    Raises:
      GiveUp: There is no such file.
    """
    digest, length = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_BYTES):
                trio.from_thread.check_cancelled()
                digest.update(block)
                length += len(block)
    except FileNotFoundError:
        raise GiveUp(f"there is no file {path!r}") from None
    media_type, _ = mimetypes.guess_type(path)
    return {
        "path": path,
        "size": length,
        "sha256": digest.hexdigest(),
        "media_type": media_type or "application/octet-stream",
    }
