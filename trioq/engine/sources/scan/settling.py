"""Files that are still being written, and when each may have settled.

The producer looks at each again at that time, not at the next scan: so a file is found a
second after its last change, however often the directory is scanned.
"""

from __future__ import annotations

import attrs

from trioq.engine.sources.scan.files import Skipped

#: Of so many files the looks are kept; a later scan meets the others.
YOUNG_MAX = 5000


@attrs.define
class Young:
    """What was ``still_written`` at the last look, by path.

    Args:
      settle_s: How long a file must have been left alone.
    """

    settle_s: float
    overflow: bool = attrs.field(default=False, init=False)
    """Whether there were more than are kept, since this was last set to False."""
    _due: dict[str, tuple[float, Skipped]] = attrs.field(
        factory=dict[str, tuple[float, Skipped]], init=False
    )

    def keep(self, skip: Skipped, now: float) -> None:
        """Look at it again when it may have settled.

        A file that is as it was is judged by the first look: its own time may be one of a
        clock that isn't ours, and then only two looks tell that it was left alone.

        Args:
          now: By the producer's clock, just after the look.
        """
        look = skip.look
        assert look is not None, "whatever is still being written was looked at"
        if (kept := self._due.get(skip.path)) is not None:
            before = kept[1].look
            if before is not None and (before.size, before.mtime_ns, before.ctime_ns) == (
                look.size, look.mtime_ns, look.ctime_ns,
            ):  # fmt: skip
                return
        elif len(self._due) >= YOUNG_MAX:
            self.overflow = True
            return
        age_s = max(0.0, (look.at_ns - look.ctime_ns) / 1e9)
        self._due[skip.path] = (now + max(0.0, self.settle_s - age_s), skip)

    def forget(self, path: str) -> None:
        """It was found settled, or isn't there any more."""
        self._due.pop(path, None)

    def take(self, now: float) -> list[Skipped]:
        """Those that may have settled by now; they aren't kept any more."""
        due = [skip for at, skip in self._due.values() if at <= now]
        for skip in due:
            del self._due[skip.path]
        return due

    @property
    def next_due(self) -> float:
        """When the first may have settled; infinity: there is none."""
        return min((at for at, _ in self._due.values()), default=float("inf"))

    @property
    def last_due(self) -> float:
        """When all that are here may have settled; there is one."""
        return max(at for at, _ in self._due.values())

    def __len__(self) -> int:
        return len(self._due)
