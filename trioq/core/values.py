"""Values that nobody changes, at the price of those that can be changed.

A frozen class of attrs sets each field by a detour, at three times the price, and an engine
makes a dozen values for each job. So here it is the type checker that lets nobody assign to a
field, and at run time nobody looks: the idea is Tin Tvrtković's. What a user is handed is
``attrs.frozen``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as value
else:
    import attrs

    value = partial(attrs.define, unsafe_hash=True)

__all__ = ["value"]
