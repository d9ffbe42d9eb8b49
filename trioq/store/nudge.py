"""Waits at the server that end when they should.

A server looks which commands have blocked for long enough whenever it hears something, and else
ten times a second. So who waits says something when the time has come: an empty request, which a
server takes for nothing and doesn't answer.
"""

from __future__ import annotations

import math

#: A request of no words.
NUDGE = b"*0\r\n"

#: By the server's clock a wait ends so much sooner than it is nudged: of that clock only whole
#: milliseconds count, and the next one after the end; and the wait has begun later there than here.
EARLY_S = 0.0015

#: Then it is nudged again, in case that it had begun later still; with the last of them it has
#: looked by itself.
AGAIN_S = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064)


def blocks_s(wait_s: float) -> float:
    """What to tell the server that is to be nudged after this time."""
    # It rounds up, and what it can't write exactly to a millisecond more; and 0 is for ever.
    return (max(1, math.floor((wait_s - EARLY_S) * 1000)) - 0.5) / 1000
