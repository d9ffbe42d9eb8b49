"""What the producers of a directory remember of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trioq.core import seen
from trioq.core.model.state import Namespace


def known_files(space: Namespace, paths: Sequence[str]) -> list[str | None]:
    """All that is remembered of each of these paths."""
    return [seen.known(space.seen.get(path), space.marks.get(path)) for path in paths]


def is_seen(space: Namespace, path: str, mark: str, before: str | None) -> bool:
    """Whether the file with this mark was enqueued, or is by a job ``before`` this one."""
    known = before or known_files(space, [path])[0]
    return known is not None and seen.is_same(known, mark)


def remember(space: Namespace, path: str, mark: str) -> None:
    """Its file is enqueued."""
    space.seen[path] = seen.short(mark)
    space.marks[path] = mark


def note_files(
    space: Namespace, sightings: Iterable[seen.Sighting], forget_after_ms: int, *, now_ms: int
) -> int:
    """How files are that were enqueued: since when they are gone, or that they are there.

    Returns:
      How many of those that are gone are forgotten, by now or before.
    """
    forgotten = 0
    for each in sightings:
        path, (known,) = each.path, known_files(space, [each.path])
        if known is None:
            forgotten += each.is_gone
        if known != each.known:
            continue
        _, _, gone_ms = seen.parts(each.known)
        if not each.is_gone:
            space.marks[path] = each.kept
        elif gone_ms is None or gone_ms > now_ms:
            space.marks[path] = f"{each.kept}:{now_ms}"
        elif now_ms - gone_ms >= forget_after_ms:
            del space.seen[path]
            space.marks.pop(path, None)
            forgotten += 1
    return forgotten


def seen_from(space: Namespace, cursor: str, count: int) -> tuple[str, dict[str, str]]:
    """Paths that are remembered, and all that is, a page after another."""
    paths = sorted(path for path in space.seen if path > cursor)
    page = paths[:count]
    known = zip(page, known_files(space, page), strict=True)
    more = page[-1] if len(paths) > count else ""
    return more, {path: known for path, known in known if known is not None}
