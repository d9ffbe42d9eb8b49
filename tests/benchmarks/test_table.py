"""Text tables."""

from __future__ import annotations

import pytest

from benchmarks.table import Column, number, table


def test_a_column_is_as_wide_as_its_widest_cell_and_lies_on_its_side() -> None:
    made = table([Column("name"), Column("n", right=True)], [["a", "1,000"], ["longer", "7"]])
    assert made.splitlines() == [
        "name        n",
        "a       1,000",
        "longer      7",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(95_000.4, "95,000"), (99.94, "99.9"), (9.994, "9.99"), (0.5, "0.500"), (0, "0.000")],
)
def test_a_number_has_the_digits_that_mean_something(value: float, shown: str) -> None:
    assert number(value) == shown
