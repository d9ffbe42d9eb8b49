"""What engines say of the schedules that their configuration and their app have."""

from __future__ import annotations

from typing import Literal

import attrs

from trioq.core.values import value

#: A schedule that the newest deployment doesn't list is retired after so long: old engines and
#: new ones live side by side meanwhile.
RETIRED_AFTER_MS = 3_600_000

#: What isn't listed any more is told to whoever says something in its first hour, and of what is
#: retired in the hour after that.
TOLD_FOR_MS = 3_600_000

#: Of so many at most.
TOLD_MAX = 1000

#: The digest of a list without any. It is older than the first that has some, while a boot lives
#: that has said it.
NOTHING = "-"


@value
class Listed:
    """One schedule, as a boot has it."""

    name: str
    row: bytes
    """What it says of itself, for engines."""
    next_ms: int | None
    """Its first tick from now on; None: there is none."""


@value
class SaidList:
    """What a boot lists: of each app, what the newest deployment that lives lists holds."""

    app: str
    """Whose schedules they are."""
    digest: str
    """Of all that it lists: equal ones have equal digests."""
    schedules: tuple[Listed, ...] | None = None
    """None: they are told if they are asked for."""


@value
class Unlisted:
    """A schedule that isn't listed any more."""

    name: str
    since_ms: int
    """By the server's clock."""
    retired_ms: int | None
    """Since when it makes no ticks; None: it does, until an hour is over."""

    @classmethod
    def read(cls, name: str, stored: str) -> Unlisted:
        since, _, retired = stored.partition(" ")
        return cls(name, int(since), None if retired == "-" else int(retired))

    @property
    def stored(self) -> str:
        """As it is kept."""
        return f"{self.since_ms} {'-' if self.retired_ms is None else self.retired_ms}"


@attrs.frozen
class Heard:
    """How that was heard.

    ``ok``: it holds; ``rows``: it does, and what it lists is asked for; ``older``: what another
    deployment lists holds; ``gone``: the boot isn't registered, so nothing was heard.
    """

    word: Literal["ok", "rows", "older", "gone"]
    taken: tuple[str, ...] = ()
    """Those that somebody else has put: a client, or another app. They stay as they are."""
    unlisted: tuple[Unlisted, ...] = ()
    """What isn't listed any more, of any app, by name: each is told for an hour, and again for an
    hour once it is retired."""
