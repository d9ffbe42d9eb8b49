"""The gate of a steady load lets a load pass, and nothing that isn't as it should be."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from tests.faults.load import Measured, per_second

GOOD = Measured(
    wanted_per_s=10.0, written=100, writing_s=10.0, done=100, done_in_time=90,
    took_s=[n / 100 for n in range(100)], doubled=0, counted_done=100, dead=0,
    engine_cpu_s=1.0, server_cpu_s=0.1, engine_rss_mb=60.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"done": 99, "counted_done": 99}, "1 files lost"),
        ({"doubled": 1}, "1 files started or done twice"),
        ({"dead": 1}, "1 jobs dead"),
        ({"counted_done": 101}, "the server counts 101 done, we 100"),
        ({"took_s": [0.1] * 94 + [2.0] * 6}, "p95 is 2.00 s, not below 2 s"),
        ({"took_s": [], "done": 0, "counted_done": 0, "written": 0}, "p95 is inf s"),
        ({"writing_s": 12.0}, "only 8.3/s offered"),
    ],
)
def test_each_fault_alone_fails_it(what: dict[str, object], words: str) -> None:
    assert GOOD.wrong(2.0) == []
    wrong = attrs.evolve(GOOD, **what).wrong(2.0)
    assert words in "\n".join(wrong)


def test_a_rate_has_a_unit() -> None:
    assert per_second("30/s") == per_second("1800/min") == 30.0


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.load", "--minutes", "0.04", *arguments],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_files_in_time_pass() -> None:
    """With all the patience that a busy machine needs."""
    told = load("--rate", "50/s", "--below", "30")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "files=120 " in told.stdout
    assert "lost=0 doubled=0 dead=0" in told.stdout


def test_an_engine_that_is_too_slow_fails() -> None:
    """Its limiter lets the 30th file through two seconds after the burst."""
    told = load("--rate", "30/s", "--limit", "12")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "FAILED: p95 is " in told.stdout
    assert "lost=0 doubled=0 dead=0" in told.stdout
