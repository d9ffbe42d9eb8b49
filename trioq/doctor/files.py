"""The producer's directory: whether it is there, as it was when its files were enqueued."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trioq.doctor.finding import Finding, ok, warning
from trioq.store.redis import RedisStore


def directory(store: RedisStore, path: Path) -> Iterator[Finding]:
    """Whether there are files, where some are remembered."""
    _, known = store.seen_from("", 1)
    try:
        is_empty = not any(path.iterdir())
        said = "is empty"
    except OSError as error:
        is_empty, said = True, f"can't be read ({error.strerror})"
    if known and is_empty:
        yield warning(
            "files",
            f"{path} {said}, and files of it were enqueued: is it mounted? Until then none of"
            " them is forgotten",
        )
    elif not is_empty:
        yield ok("files", f"{path} is there")
