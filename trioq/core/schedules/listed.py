"""What engines say of the schedules that their configuration and their app have."""

from __future__ import annotations

from typing import Literal

import attrs

from trioq.core.values import value

#: A schedule that the newest deployment doesn't list is retired after so long: old engines and
#: new ones live side by side meanwhile.
RETIRED_AFTER_MS = 3_600_000

#: The digest of a list without any: who never had one leaves no trace.
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


@attrs.frozen
class Heard:
    """How that was heard.

    ``ok``: it holds; ``rows``: it does, and what it lists is asked for; ``older``: what another
    deployment lists holds; ``gone``: the boot isn't registered, so nothing was heard.
    """

    word: Literal["ok", "rows", "older", "gone"]
    taken: tuple[str, ...] = ()
    """Those that somebody else has put: a client, or another app. They stay as they are."""
    unlisted: tuple[str, ...] = ()
    """Those that aren't listed any more, and are retired in an hour."""
    retired: tuple[str, ...] = ()
    """Those that make no ticks from now on."""
    has_put: bool = attrs.field(default=False, eq=False)
    """Whether it was put, as only the model tells."""
