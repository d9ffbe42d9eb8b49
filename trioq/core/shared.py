"""What the handlers of an app share in one engine, as their jobs find it."""

from __future__ import annotations

from typing import Any

import attrs


class NoDeps(LookupError):
    """A handler asks for what its app doesn't give: it never will, so another attempt is no use."""


@attrs.define(eq=False)
class Shared:
    """One app's, in one engine."""

    deps: Any = None
    """What its lifespan has given; there once that is entered."""
