"""When a file that is still being written is looked at again."""

from __future__ import annotations

import pytest

from trioq.engine.sources.scan import settling as module
from trioq.engine.sources.scan.files import Look, Skipped
from trioq.engine.sources.scan.settling import Young

SECOND_NS = 1_000_000_000


def skipped(path: str, *, age_s: float, at_s: float = 100.0, size: int = 1) -> Skipped:
    at_ns = round(at_s * SECOND_NS)
    ctime_ns = at_ns - round(age_s * SECOND_NS)
    return Skipped(path, "still_written", "", Look(size, 0, ctime_ns, at_ns))


def test_a_file_is_looked_at_when_it_has_been_left_alone_for_long_enough() -> None:
    """Not a whole second later, whatever its age was at the first look."""
    young = Young(settle_s=1.0)
    young.keep(skipped("old", age_s=0.9), now=50.0)
    young.keep(skipped("new", age_s=0.2), now=50.0)

    assert young.next_due == pytest.approx(50.1)
    assert young.last_due == pytest.approx(50.8)
    assert young.take(50.05) == []
    assert [one.path for one in young.take(50.2)] == ["old"]
    assert [one.path for one in young.take(50.81)] == ["new"]
    assert young.next_due == float("inf")


def test_a_time_in_the_future_is_no_age() -> None:
    young = Young(settle_s=1.0)
    young.keep(skipped("a", age_s=-3600.0), now=50.0)
    assert young.next_due == 51.0


def test_what_is_as_it_was_is_judged_by_the_first_look() -> None:
    """Else scans that come more often than files settle would put it off for ever."""
    young = Young(settle_s=1.0)
    first = skipped("a", age_s=-3600.0)
    young.keep(first, now=50.0)
    young.keep(skipped("a", age_s=-3599.5, at_s=100.5), now=50.5)
    assert young.take(51.0) == [first]


def test_what_has_changed_is_judged_anew() -> None:
    young = Young(settle_s=1.0)
    young.keep(skipped("a", age_s=0.5), now=50.0)
    changed = skipped("a", age_s=0.0, at_s=100.4, size=2)
    young.keep(changed, now=50.4)
    assert young.take(51.0) == []
    assert young.take(51.4) == [changed]


def test_what_was_found_by_a_scan_is_not_looked_at_again() -> None:
    young = Young(settle_s=1.0)
    young.keep(skipped("a", age_s=0.5), now=50.0)
    young.forget("a")
    assert young.take(60.0) == []


def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "YOUNG_MAX", 2)
    young = Young(settle_s=1.0)
    young.keep(skipped("a", age_s=0.0), now=50.0)
    young.keep(skipped("b", age_s=0.0), now=50.0)
    assert not young.overflow
    young.keep(skipped("c", age_s=0.0), now=50.0)
    assert young.overflow
    young.keep(skipped("a", age_s=0.0, size=2, at_s=100.5), now=50.5)
    assert [one.path for one in young.take(60.0)] == ["a", "b"]
