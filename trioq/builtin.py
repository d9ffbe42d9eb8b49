"""Handlers that every engine has."""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import stat
from pathlib import Path
from typing import Any

import trio

from trioq.app import App
from trioq.engine.sources.scan.rooted import FILE, LeavesRoot, Root
from trioq.errors import GiveUp

#: Read at a time; a cancelled run ends within the time that one of them takes.
BLOCK_BYTES = 1 << 20

UNKNOWN_TYPE = "application/octet-stream"

#: What a file is called whose content is compressed, whatever is in it.
COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def built_in(root: Path | None = None) -> App:
    """The built-in handlers.

    Args:
      root: The directory that is scanned. What lies in it is opened as the scan does it: never
          through a link that leads out of it.
    """
    app = App()

    @app.job("fingerprint")
    def of_file(path: str, size: int | None = None, mtime: float | None = None) -> dict[str, Any]:
        # What the producer saw isn't compared: the file may have been written since, and then
        # there is another job for it.
        return fingerprint(path, root)

    return app


def fingerprint(path: str, root: Path | None = None) -> dict[str, Any]:
    """Size, SHA-256 and media type of a file, as it is now.

    Returns:
      ``{"path", "size", "sha256", "media_type"}``; the media type is told from the name, by a
      table that is the same on all machines.

    Raises:
      GiveUp: There is no such file, or it isn't a plain one, or it's a link; below the root,
          a link that leads out of it.
      OSError: It can't be read.

    Cancellation: in an engine's thread, after the block that is being read.
    """
    digest, length = hashlib.sha256(), 0
    with open(_opened(path, root), "rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            _end_if_cancelled()
            digest.update(block)
            length += len(block)
    return {
        "path": path,
        "size": length,
        "sha256": digest.hexdigest(),
        "media_type": media_type(path),
    }


def media_type(path: str) -> str:
    """The media type that a file's name stands for."""
    kind, compression = _TYPES.guess_type(os.path.basename(path))
    if compression is not None:
        return COMPRESSED.get(compression, UNKNOWN_TYPE)
    return kind or UNKNOWN_TYPE


# Not the module's functions: they read the machine's own tables, so that two engines would
# tell different things about one file.
_TYPES = mimetypes.MimeTypes()


def _opened(path: str, root: Path | None) -> int:
    """A descriptor of a plain file; a pipe, say, would block the thread for good."""
    try:
        descriptor = _open(path, root)
    except (FileNotFoundError, NotADirectoryError):
        raise GiveUp(f"there is no file {path!r}") from None
    except ValueError as error:  # a NUL in the path
        raise GiveUp(f"not a path: {error}") from None
    except LeavesRoot as error:
        raise GiveUp(f"{path!r} leads out of {str(root)!r} by now: to {str(error)!r}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise GiveUp(f"a link: {path!r}; enqueue the file that it leads to") from None
        if error.errno == errno.ENXIO:  # a socket, or a device that isn't there
            raise GiveUp(f"not a plain file: {path!r}") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise GiveUp(f"not a plain file: {path!r}")
    return descriptor


def _open(path: str, root: Path | None) -> int:
    below = f"{root}/"
    if root is None or not path.startswith(below):
        return os.open(path, FILE)
    opened = Root.open(root)
    try:
        return opened.open_file(path.removeprefix(below))
    finally:
        opened.close()


def _end_if_cancelled() -> None:
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:  # called as an ordinary function, outside of an engine
        return
