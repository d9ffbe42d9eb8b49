"""Which errors count for a breaker, and what a handler may say of its own."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from trioq import Breaker
from trioq.core.blame import Errors, in_words
from trioq.core.breaker import Settings

DEFAULT = Settings(0.5, window_s=60, cooldown_s=30, min_samples=20)


class Away(ConnectionError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError, UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError, IndexError,
        ZeroDivisionError, AssertionError, AttributeError, NameError,
    ],
)  # fmt: skip
def test_what_python_raises_on_a_wrong_value_is_the_jobs_own_fault(error: type[Exception]) -> None:
    assert not Breaker().counts(error)
    assert Breaker(on=error).counts(error), "unless the handler says otherwise"


@pytest.mark.parametrize(
    "error", [OSError, Away, TimeoutError, RuntimeError, Exception, MemoryError]
)
def test_all_else_counts(error: type[Exception]) -> None:
    assert Breaker().counts(error)


def test_only_the_classes_that_are_named_count_and_what_is_made_of_them() -> None:
    breaker = Breaker("api", on=[ConnectionError, KeyError])
    assert [breaker.counts(kind) for kind in (Away, KeyError, OSError, LookupError)] == [
        True, True, False, False,
    ]  # fmt: skip


def test_what_counts_is_said_in_words() -> None:
    assert in_words(Breaker().named) == (
        "timeouts and all errors but ValueError, TypeError, LookupError, ArithmeticError,"
        " AssertionError, AttributeError and NameError, and what ends a job for good"
    )
    named = Breaker(on=(OSError, json.JSONDecodeError)).named
    assert in_words(named) == "timeouts and OSError, json.decoder.JSONDecodeError"


def test_of_several_errors_one_that_counts_is_enough() -> None:
    assert Errors().counts([ValueError, OSError])
    assert not Errors().counts([ValueError, KeyError])
    assert not Errors(breaker=None).counts([OSError])


def test_what_a_breaker_does_not_say_is_as_the_configuration_says() -> None:
    assert Breaker().settings(DEFAULT) == DEFAULT
    said = Breaker(failure_threshold=0.9, window="2m", cooldown=timedelta(seconds=5), min_samples=3)
    assert said.settings(DEFAULT) == Settings(0.9, 120, 5, 3)
    assert said.settings(DEFAULT).probe_lease_s == 120


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": ""}, "the breaker's name: expected a name of 1 to 64 letters"),
        ({"name": "ä b"}, "the breaker's name: expected a name of 1 to 64 letters"),
        ({"on": ()}, "breaker=None"),
        ({"on": "ValueError"}, "on has 'ValueError': expected classes of exceptions"),
        ({"on": [ValueError("x")]}, "on has a ValueError: expected classes of exceptions"),
        ({"on": int}, "on has a type: expected classes of exceptions"),
        ({"failure_threshold": 0}, "failure_threshold: expected a number above 0"),
        ({"failure_threshold": 1.1}, "got 1.1"),
        ({"failure_threshold": True}, "got true"),
        ({"window": 0}, "the breaker's window: expected a duration above 0s"),
        ({"window": "soon"}, "got 'soon'"),
        ({"window": timedelta(0)}, "got 0.0"),
        ({"cooldown": 0}, "the breaker's cooldown: expected a duration above 0s"),
        ({"cooldown": float("nan")}, "got nan"),
        ({"min_samples": 0}, "min_samples: expected a whole number from 1 to 10000000, got 0"),
        ({"min_samples": 2.5}, "got 2.5"),
        ({"shared": "yes"}, "the breaker's shared: expected true or false, got 'yes'"),
    ],
)
def test_what_can_not_be_is_refused_with_what_would_be_right(
    wrong: dict[str, Any], told: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(told)):
        Breaker(**wrong)


def test_two_agree_if_they_open_alike_whatever_counts_for_each() -> None:
    one = Breaker("api", window="1m", on=OSError)
    assert one.agrees(Breaker("api", window=60, on=KeyError))
    assert not one.agrees(Breaker("api", window=61))
