"""What a handler may say of how far it is, and how much of it is kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import trioq
from trioq.core.board import LINES, LOG_BYTES, Board, said
from trioq.core.formats import note
from trioq.core.formats.note import NOTE_MAX, Progress


def job() -> trioq.Job:
    return trioq.Job(uid="0" * 32, name="it", queue="low", payload={})


def noted(job: trioq.Job) -> note.Noted:
    assert job._board is not None
    found = note.decode(job._board.note(2))
    assert found is not None
    return found


def test_the_last_of_what_was_said_stands() -> None:
    it = job()
    it.progress(0, "first")
    it.progress(1, "zweite Hälfte", {"page": [1, None, "ü"]})
    progress = noted(it).progress
    assert progress is not None
    at_ms, attempt = progress.at_ms, 2
    assert progress == Progress(1.0, "zweite Hälfte", {"page": [1, None, "ü"]}, attempt, at_ms)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ((-0.1,), "fraction is -0.1: expected a number from 0 to 1"),
        ((1.01,), "fraction is 1.01"),
        ((40,), "fraction is 40"),
        ((float("nan"),), "fraction is nan"),
        ((True,), "fraction is True"),
        (("0.5",), "fraction is '0.5'"),
        ((0.5, "x" * 501), "expected a text of at most 500 characters"),
        ((0.5, None), "text is None"),
        ((0.5, "\ud800"), "half of a surrogate pair"),
        ((0.5, "", {"a": {1, 2}}), "data: .*data.a"),
        ((0.5, "", float("inf")), "data: "),
        ((0.5, "", "x" * 4095), "data has 4,097 bytes of JSON: expected 4,096 at most"),
    ],
)
def test_what_cannot_be_said_is_refused_and_changes_nothing(
    said: tuple[Any, ...], told: str
) -> None:
    it = job()
    it.progress(0.25, "here")
    with pytest.raises(ValueError, match=told):
        it.progress(*said)
    assert noted(it).progress == Progress(0.25, "here", None, 2, noted(it).progress.at_ms)  # type: ignore[union-attr]


def test_a_job_that_says_nothing_has_no_board() -> None:
    it = job()
    assert it.previous is None
    assert it._board is None


def test_of_a_log_the_last_lines_are_kept() -> None:
    it = job()
    for n in range(LINES + 50):
        it.log(f"line {n}")
    told = noted(it)
    assert told.log == tuple(f"line {n}" for n in range(50, LINES + 50))
    assert told.logged == LINES + 50


@pytest.mark.parametrize("line", ["x" * 1000, "ü" * 1000, "\x00" * 1000, "🙂" * 2000])
def test_a_log_and_a_note_have_their_bounds_whatever_is_in_them(line: str) -> None:
    it = job()
    it.progress(0.5, "🙂" * 500, ["x" * 4000])
    for _ in range(LINES):
        it.log(line)
    assert it._board is not None
    assert sum(len(each.encode()) for each in it._board.lines) <= LOG_BYTES
    assert len(it._board.note(1)) <= NOTE_MAX
    told = noted(it)
    assert told.progress is not None
    assert told.log
    assert set(told.log) == {line}


def test_each_line_of_a_text_is_a_line_of_the_log() -> None:
    it = job()
    it.log("one\ntwo\r\nthree")
    it.log("")
    it.log(4)  # type: ignore[arg-type]
    it.log("half \ud800")
    it.log("x" * 3000)
    assert noted(it).log == ("one", "two", "three", "", "4", "half \\ud800", "x" * 2000)


def test_threads_that_log_at_once_lose_nothing() -> None:
    it = job()
    with ThreadPoolExecutor(8) as pool:
        for thread in range(8):
            pool.submit(lambda n: [it.log(f"{n}:{i}") for i in range(25)], thread)
    assert sorted(noted(it).log) == sorted(f"{n}:{i}" for n in range(8) for i in range(25))


def test_what_was_told_is_no_news_until_something_is_said() -> None:
    board = Board()
    assert not board.has_news
    board.log("one")
    assert board.has_news
    board.told = board.now
    assert not board.has_news
    board.log("two")
    assert board.has_news
    board.is_refused = True
    assert not board.has_news


def test_what_is_new_on_a_board_is_put_on_one_elsewhere() -> None:
    board, copy = Board(), Board()
    board.said = said(0.5, "half", {"page": [1, None]})._replace(at_ms=7)
    for n in range(LINES + 50):
        board.log(f"line {n}")
    copy.copy(**json.loads(json.dumps(board.news())))
    assert (copy.said, copy.lines, copy.logged) == (board.said, board.lines, LINES + 50)
    assert not board.has_news
    board.log("one more")
    news = board.news()
    assert news["lines"] == ["one more"]
    copy.copy(**news)
    assert (copy.said, copy.lines, copy.logged) == (board.said, board.lines, LINES + 51)


def test_lines_from_elsewhere_are_no_longer_than_others() -> None:
    copy = Board()
    copy.copy(None, 1, ["x" * 3000], waits=None)
    assert copy.lines == ("x" * 2000,)


@pytest.mark.parametrize("stored", [b"", b"x", b"[]", b'{"progress":"x"}', b'{"progress":2}'])
def test_what_somebody_else_wrote_is_no_progress(stored: bytes) -> None:
    assert (
        trioq.Job(uid="0" * 32, name="it", queue="low", payload={}, noted=stored).previous is None
    )
