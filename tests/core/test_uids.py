"""Uids: unique, in the order of their making, whatever the clock does."""

from __future__ import annotations

import os
import time

import pytest

from trioq.core.job import UidSource

MS = 1_000_000
NOON = 1_764_072_000_000 * MS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the time is, in nanoseconds."""
    now = [NOON]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])
    return now


def test_a_uid_tells_when_it_was_made(clock: list[int]) -> None:
    uid = UidSource()()
    assert len(uid) == 32
    assert int(uid[:12], 16) * MS == NOON


def test_more_than_a_millisecond_can_count_are_still_unique_and_in_order(clock: list[int]) -> None:
    make = UidSource()
    made = [make() for _ in range(70_000)]
    clock[0] += MS  # which the count has reached already
    made += [make() for _ in range(10)]
    assert made == sorted(set(made))


def test_many_at_once_are_like_one_after_the_other(clock: list[int]) -> None:
    make = UidSource()
    made = [make(), *make.many(500), make(), *make.many(0), *make.many(1), make()]
    clock[0] += MS
    made += [*make.many(70_000), make()]
    assert made == sorted(set(made))
    assert len(made) == 70_505
    assert int(make.many(1)[0][:12], 16) * MS == NOON + 2 * MS, "the count has run on"


def test_a_clock_that_is_set_back_changes_no_order(clock: list[int]) -> None:
    make = UidSource()
    made = [make()]
    clock[0] -= 3600 * 1000 * MS
    made += [make() for _ in range(10)]
    clock[0] += 3600 * 1000 * MS + MS
    made.append(make())
    assert made == sorted(set(made))
    assert int(made[-1][:12], 16) * MS == NOON + MS


def test_a_forked_child_makes_others_than_its_parent(clock: list[int]) -> None:
    make = UidSource()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, make().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100).decode() != make()
