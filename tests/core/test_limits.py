"""What a job takes of limits, as it is named."""

from __future__ import annotations

import pytest

from trioq.core.formats import flow
from trioq.core.limits import TAKE_BYTES, limit_of, take_of

VALUES = ["acme", "", "a:b", "a\nb", "é\udcff", 7, 1.5, True, None]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_take_is_one_line_that_names_its_limit(value: str | float | bool | None) -> None:
    take = take_of("per_tenant", value)
    assert limit_of(take) == "per_tenant"
    assert take.isascii()
    assert take.isprintable()


def test_each_value_has_a_take_of_its_own() -> None:
    takes = {take_of("l"), *(take_of("l", value) for value in (*VALUES, "7", "true", "null"))}
    assert len(takes) == len(VALUES) + 4


def test_a_value_that_is_too_long_is_refused() -> None:
    take_of("l", "x" * (TAKE_BYTES - 4))
    with pytest.raises(ValueError, match="512 at most"):
        take_of("l", "x" * (TAKE_BYTES - 3))
    with pytest.raises(ValueError, match="JSON"):
        take_of("l", float("nan"))


def test_a_row_tells_the_takes_that_it_was_made_of() -> None:
    takes = (take_of("a"), take_of("b", "x\ny"))
    assert flow.takes_of(flow.encode(takes)) == takes
    assert flow.encode(()) == ""
    assert flow.takes_of("") == ()
