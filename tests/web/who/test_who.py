"""Passwords, tokens, sessions, attempts: each by itself, with a clock of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.web.who.attempts import FORGET_S, FREE, MOST, Attempts
from trioq.web.who.passwords import NOBODYS, hash_password, is_password
from trioq.web.who.sessions import Sessions
from trioq.web.who.sessions import _Session as Session
from trioq.web.who.tokens import hash_token, new_token, whose

KEPT = hash_password("correct horse")


class Clock:
    """Moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


# -- passwords and tokens ----------------------------------------------------------------------


@pytest.mark.parametrize("password", ["", "correct hors", "correct horse ", "Correct horse", "\0"])
def test_another_password_is_not_it(password: str) -> None:
    assert not is_password(password, KEPT)


def test_a_password_is_known_again_and_kept_anew_each_time() -> None:
    assert is_password("correct horse", KEPT)
    assert hash_password("correct horse") != KEPT
    assert "correct" not in KEPT


def test_nobodys_password_is_none_and_costs_as_much() -> None:
    assert not is_password("", NOBODYS)
    assert NOBODYS.split("$")[:4] == KEPT.split("$")[:4]


def test_what_would_cost_more_memory_than_it_may_is_refused() -> None:
    with pytest.raises(ValueError, match="memory"):
        is_password("x", KEPT.replace("scrypt$16", "scrypt$30"))


def test_a_token_is_known_by_its_hash_alone() -> None:
    class Kept:
        def __init__(self, token: str) -> None:
            self.sha256 = hash_token(token)

    mine, other = Kept(token := new_token()), Kept(new_token())
    assert whose(token, [other, mine]) is mine
    assert whose(token[:-1], [other, mine]) is None
    assert whose("", [other, mine]) is None
    assert whose(mine.sha256, [other, mine]) is None
    assert token.startswith("trioq_")


# -- sessions ----------------------------------------------------------------------------------


def test_a_session_ends_at_its_time_and_earlier_where_nobody_comes() -> None:
    clock = Clock()
    sessions = Sessions(100.0, clock)
    used, unused = sessions.begin("ada"), sessions.begin("bob")
    for clock.now in (40.0, 80.0, 99.9):
        assert sessions.name_of(used) == "ada"
    assert sessions.name_of(unused) is None
    clock.now = 100.0
    assert sessions.name_of(used) is None


def test_a_session_that_was_ended_is_nobodys() -> None:
    sessions = Sessions(100.0, Clock())
    token = sessions.begin("ada")
    sessions.end("another")
    assert sessions.name_of(token) == "ada"
    sessions.end(token)
    assert sessions.name_of(token) is None


def test_what_is_kept_of_sessions_is_bounded_and_no_token() -> None:
    sessions = Sessions(100.0, Clock())
    first = sessions.begin("ada")
    for _ in range(10_000):
        sessions.begin("bob")
    assert sessions.name_of(first) is None
    kept = sessions._kept
    assert len(kept) == 10_000
    assert all(isinstance(each, Session) for each in kept.values())
    assert first.encode() not in kept


# -- attempts ----------------------------------------------------------------------------------


def wrong(attempts: Attempts, place: str, name: str, times: int) -> None:
    for _ in range(times):
        attempts.begin(place, name)


def test_after_some_wrong_ones_one_waits_ever_longer() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    wrong(attempts, "p", "ada", FREE - 1)
    assert attempts.wait_s("p", "ada") == 0
    waits = []
    for _ in range(12):
        attempts.begin("p", "ada")
        waits.append(wait_s := attempts.wait_s("p", "ada"))
        clock.now += wait_s
        assert attempts.wait_s("p", "ada") == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_one_place_cannot_try_many_names_nor_many_places_one_name() -> None:
    attempts = Attempts(Clock())
    for n in range(FREE):
        attempts.begin("p", f"name {n}")
    assert attempts.wait_s("p", "another") > 0
    assert attempts.wait_s("elsewhere", "another") == 0
    for n in range(FREE):
        attempts.begin(f"place {n}", "ada")
    assert attempts.wait_s("elsewhere", "ada") > 0


def test_who_was_right_from_a_place_is_not_locked_out_by_others() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    attempts.begin("home", "ada")
    attempts.was_right("home", "ada")
    wrong(attempts, "elsewhere", "ada", 20)
    assert attempts.wait_s("home", "ada") == 0
    wrong(attempts, "home", "ada", FREE)
    assert attempts.wait_s("home", "ada") > 0, "though not for ever"


def test_a_right_one_begins_the_count_anew_and_so_does_time() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    wrong(attempts, "p", "ada", FREE - 1)
    attempts.was_right("p", "ada")
    wrong(attempts, "p", "ada", FREE - 1)
    assert attempts.wait_s("p", "ada") == 0
    wrong(attempts, "p", "ada", 9)
    assert attempts.wait_s("p", "ada") > 0
    clock.now = FORGET_S
    attempts.begin("p", "ada")
    assert attempts.wait_s("p", "ada") == 0


def test_who_has_a_password_cannot_try_others_in_between() -> None:
    attempts = Attempts(Clock())
    for n in range(FREE):
        attempts.begin("p", f"name {n}")
        attempts.begin("p", "mine")
        attempts.was_right("p", "mine")
    assert attempts.wait_s("p", "another") > 0


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=30))
def test_what_is_remembered_is_bounded(tried: list[tuple[str, str]]) -> None:
    attempts = Attempts(Clock())
    for place, name in tried:
        attempts.begin(place, name)
    assert len(attempts._tried) <= min(MOST, 2 * len(tried))
