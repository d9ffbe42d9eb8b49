"""A job's history: what is written for each failed attempt, and what is read of any line."""

from __future__ import annotations

from trioq.core.formats import history
from trioq.core.formats.history import Attempt, Omitted
from trioq.core.outcome import Error

ERROR = Error("ValueError", "no", "Traceback …")
FIRST = Attempt(1, ERROR, "e", 1_000)
LAST = Attempt(33, ERROR, "e", 2_000, dead="failures", trace="00-1-2-01")


def test_a_line_comes_back_as_it_was() -> None:
    assert history.decode(history.encode(FIRST)) == (FIRST,)
    assert history.decode(history.encode(LAST)) == (LAST,)


def test_a_history_tells_what_was_left_out_and_what_cannot_be_read() -> None:
    lines = [
        history.encode(FIRST),
        history.encode_omitted(7),
        b"no json",
        b"[1]",
        b"\xff",
        b'{"attempt":"x","type":3,"message":"\\ud800","at_ms":1e99,"engine":[]}',
        history.encode(LAST),
    ]
    first, omitted, text, array, raw, odd, last = history.decode(b"\n".join(lines))

    assert (first, last) == (FIRST, LAST)
    assert omitted == Omitted(7)
    assert text == Attempt(0, Error("", "no json"))
    assert array == Attempt(0, Error("", "[1]"))
    assert raw == Attempt(0, Error("", "\\xff"))
    assert odd == Attempt(0, Error("", "\\ud800"))
    assert history.decode(None) == history.decode(b"") == ()


def test_failures_that_were_left_out_count() -> None:
    assert history.failures([FIRST, Omitted(7), LAST]) == 9


def test_who_died_without_a_run_has_failed_no_attempt() -> None:
    (died,) = history.decode(history.died_without_run("dropped", "the queue was full"))
    assert history.failures([died]) == 0
    assert history.failures([FIRST, died]) == 1
    assert history.failures(history.decode(b"nonsense")) == 1


def test_the_last_trace_and_the_last_error_are_those_of_the_last_line() -> None:
    lines = b"\n".join([history.encode(FIRST), history.encode(LAST)])

    assert history.last_trace(lines) == "00-1-2-01"
    assert history.last_error(history.decode(lines)) == ERROR
    assert history.last_trace(None) is history.last_trace(b"[1]") is None
    assert history.last_error([FIRST, Omitted(7)]) is None


def test_a_life_begins_after_a_death_and_where_attempts_count_anew() -> None:
    second = Attempt(2, ERROR)
    lost = Attempt(0, ERROR, dead="worker_lost")

    assert not history.starts_new_life(FIRST, second)
    assert not history.starts_new_life(second, lost)
    assert history.starts_new_life(second, FIRST)
    assert history.starts_new_life(second, second)
    assert history.starts_new_life(LAST, FIRST)
    assert history.starts_new_life(lost, lost)
    assert not history.starts_new_life(Omitted(3), FIRST)


def test_of_a_log_a_line_keeps_the_end_that_fits() -> None:
    log = tuple(f"line {n} ü" for n in range(1000))
    encoded = history.encode(Attempt(1, Error("OSError", "no"), log=log))
    (line,) = history.decode(encoded)
    assert isinstance(line, Attempt)
    assert 100 < len(line.log) == len(log[-len(line.log) :])
    assert line.log == log[-len(line.log) :]
    assert len(encoded) < 5000
