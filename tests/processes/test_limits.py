"""When a child is replaced by a fresh one."""

from __future__ import annotations

from trioq.core.config import ServeConfig
from trioq.core.config.numbers import Growth
from trioq.processes.limits import Limits, Usage


def test_each_limit_is_told_when_it_is_passed() -> None:
    def told(limits: Limits, **usage: int) -> str:
        return limits.passed(Usage(**{"jobs": 0, "rss": 0, "rss_at_start": 0} | usage), 9.0)

    assert told(Limits(max_jobs=10), jobs=9) == ""
    assert told(Limits(max_jobs=10), jobs=10) == "it has run 10 jobs"
    assert told(Limits(max_age_s=9.1)) == ""
    assert told(Limits(max_age_s=9.0)) == "it is 9 s old"
    assert told(Limits(max_rss=5 << 20), rss=(5 << 20) - 1) == ""
    assert told(Limits(max_rss=5 << 20), rss=5 << 20) == "it has 5 MiB of memory"
    grown = Limits(max_growth=2 << 20)
    assert told(grown, rss=5 << 20, rss_at_start=4 << 20) == ""
    assert told(grown, rss=6 << 20, rss_at_start=4 << 20).startswith("it has 2 MiB of memory more")


def test_a_childs_own_limits_differ_by_a_fifth_at_most() -> None:
    limits = Limits(max_jobs=1000, max_age_s=100.0, max_rss=500, max_growth=50)
    least = limits.jittered(lambda low, high: low)
    most = limits.jittered(lambda low, high: high)
    assert least == Limits(800, 80.0, 400, 40)
    assert most == Limits(1200, 120.0, 600, 60)
    assert Limits().jittered() == Limits()
    assert Limits(max_jobs=1).jittered(lambda low, high: 0.1).max_jobs == 1


def test_what_a_fresh_one_wouldnt_mend_is_no_reason_to_replace() -> None:
    limits = Limits(max_rss=5 << 20)
    assert limits.is_futile(Usage(0, 6 << 20, 5 << 20))
    assert limits.passed(Usage(0, 6 << 20, 5 << 20), 1.0) == ""
    assert not limits.is_futile(Usage(0, 6 << 20, (5 << 20) - 1))
    assert not Limits().is_futile(Usage(0, 6 << 20, 5 << 20))


def test_limits_are_as_configured() -> None:
    assert Limits.of(ServeConfig(max_jobs=3, max_age_s=4.0)) == Limits(3, 4.0)
    assert Limits.of(ServeConfig(max_rss=5)) == Limits(max_rss=5)
    assert Limits.of(ServeConfig(max_rss=Growth(5))) == Limits(max_growth=5)
