"""What holds for a job that doesn't say otherwise: who is asked first."""

from __future__ import annotations

import pytest

from trioq.core.job import Options, Record
from trioq.core.keep import Keep
from trioq.core.retry import Retry
from trioq.engine.handlers import Function
from trioq.engine.runs.rules import Rules

CALL_S, HANDLER_S, QUEUE_S, WORKER_S = 1.0, 2.0, 3.0, 4.0


async def noop() -> None:
    pass


def record(*, queue: str = "low", **options: float) -> Record:
    return Record("uid", "noop", queue, b"{}", options=Options(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call_s", "handler_s", "queue", "expected_s"),
    [
        (CALL_S, HANDLER_S, "timed", CALL_S),
        (CALL_S, None, "low", CALL_S),
        (None, HANDLER_S, "timed", HANDLER_S),
        (None, HANDLER_S, "low", HANDLER_S),
        (None, None, "timed", QUEUE_S),
        (None, None, "low", WORKER_S),
    ],
)
def test_a_timeout_is_the_calls_then_the_handlers_then_the_queues_then_the_workers(
    call_s: float | None, handler_s: float | None, queue: str, expected_s: float
) -> None:
    rules = Rules(Retry(), WORKER_S, {"timed": QUEUE_S}, 1)
    options = {} if call_s is None else {"timeout_s": call_s}
    handler = Function("noop", noop, timeout_s=handler_s)
    assert rules.timeout_of(handler, record(queue=queue, **options)) == expected_s


def test_a_call_says_how_often_it_is_tried_and_the_handler_or_the_worker_how_long_it_waits() -> (
    None
):
    workers, handlers = Retry(max_attempts=9, base=9.0), Retry(max_attempts=5, base=5.0)
    rules = Rules(workers, WORKER_S, {}, 1)
    plain, own = Function("noop", noop), Function("noop", noop, retry=handlers)
    assert rules.retry_of(plain, record()) == workers
    assert rules.retry_of(own, record()) == handlers
    assert rules.retry_of(plain, record(max_attempts=2)) == Retry(max_attempts=2, base=9.0)
    assert rules.retry_of(own, record(max_attempts=2)) == Retry(max_attempts=2, base=5.0)


@pytest.mark.parametrize(
    ("call_s", "handler_s", "for_ms"),
    [(1.5, 60.0, 1_500), (None, 60.0, 60_000), (0.0001, None, 1), (None, None, None)],
)
def test_a_result_is_kept_for_as_long_as_the_call_says_or_else_the_handler(
    call_s: float | None, handler_s: float | None, for_ms: int | None
) -> None:
    rules = Rules(Retry(), WORKER_S, {}, 100)
    wanted = record() if call_s is None else record(result_s=call_s)
    expected = None if for_ms is None else Keep(for_ms, 100)
    assert rules.result_of(Function("noop", noop, result_s=handler_s), wanted) == expected
    unknown = None if call_s is None else expected
    assert rules.result_of(None, wanted) == unknown
