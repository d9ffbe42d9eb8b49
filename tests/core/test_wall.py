"""A clock on the wall that a test has set."""

from __future__ import annotations

import time

import pytest

from trioq.core.wall import shown_by, wall_ms, wall_s


@pytest.mark.parametrize("ms", [1_700_000_000_001, 1_700_000_000_123, 1_731_234_567_129])
def test_it_shows_each_millisecond_as_it_was_set(ms: int) -> None:
    with shown_by(lambda: ms / 1000):
        assert wall_ms() == ms
        assert wall_s() == pytest.approx(ms / 1000, abs=1e-6)


def test_one_within_another_gives_way_to_that_and_both_to_real_time() -> None:
    with shown_by(lambda: 1000.0):
        with shown_by(lambda: 2000.0):
            assert wall_s() == 2000
        assert wall_s() == 1000
    assert abs(wall_s() - time.time()) < 60
