"""What an engine has claimed and not settled: what its rooms hand to each other."""

from __future__ import annotations

import attrs

from trioq.core.formats.record import Stored
from trioq.core.job import Uid


@attrs.define(eq=False)
class Held:
    """A claim that this engine has and hasn't settled."""

    uid: Uid
    n: int
    """The step that claimed it: with the boot, the claim's token."""
    attempts: int
    """Failed attempts before this one."""
    suspect: bool
    stored: bytes
    job: Stored | None = None
    """Decoded when it starts; None also where it doesn't decode."""
    began: float | None = None
    """When its handler began, by ``time.perf_counter``; None while none runs."""
    traceparent: str | None = None
    """Names the span of its run, if that is traced."""
