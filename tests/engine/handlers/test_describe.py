"""What is told of an error: where, why, and no more than fits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.handlers.attempts import (
    as_async,
    failure_of,
    raising,
)
from trioq.engine.handlers.describe import MESSAGE_BYTES, TRACEBACK_BYTES, clip, clip_front


@pytest.mark.trio
async def test_an_error_tells_the_frames_of_the_handler_and_not_ours() -> None:
    def deep() -> None:
        raise ValueError("boo")

    async def handler() -> None:
        deep()

    for function in (handler, deep):
        traceback = (await failure_of(function)).error.traceback
        assert "in deep\n" in traceback
        assert "trioq/engine" not in traceback
        assert "site-packages" not in traceback


@pytest.mark.trio
async def test_an_error_tells_what_caused_it() -> None:
    async def handler() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    traceback = (await failure_of(handler)).error.traceback

    assert traceback.index("KeyError: 'first'") < traceback.index("ValueError: second")


@pytest.mark.trio
async def test_an_error_that_hides_what_came_before_it_tells_nothing_of_that() -> None:
    async def handler() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    traceback = (await failure_of(handler)).error.traceback

    assert traceback.endswith("ValueError: second")
    assert "first" not in traceback


@pytest.mark.parametrize("character", ["x", "é", "\udc80", "\U0001f600"])
@pytest.mark.trio
async def test_errors_are_bounded_and_valid_utf8(character: str) -> None:
    def recurse(n: int) -> None:
        if n:
            recurse(n - 1)
        raise ValueError(character * 10_000_000)

    error = (await failure_of(lambda: recurse(500))).error

    assert len(error.message.encode()) <= MESSAGE_BYTES
    assert len(error.traceback.encode()) <= TRACEBACK_BYTES
    assert "in recurse\n" in error.traceback


@pytest.mark.trio
async def test_half_a_surrogate_pair_is_escaped() -> None:
    failed = await failure_of(as_async(raising(ValueError("a\udc80b"))))

    assert failed.error.message == r"a\udc80b"


@pytest.mark.trio
async def test_of_a_long_traceback_the_end_is_kept_in_whole_lines() -> None:
    def even(n: int) -> None:
        if n == 0:
            raise ValueError("boo")
        odd(n - 1)

    def odd(n: int) -> None:
        even(n - 1)

    def again_and_again(times: int) -> None:
        try:
            even(100)
        except ValueError:
            if times:
                again_and_again(times - 1)
            raise

    traceback = (await failure_of(lambda: again_and_again(10))).error.traceback

    assert len(traceback.encode()) <= TRACEBACK_BYTES
    assert traceback.startswith("…\n  ")
    assert traceback.endswith("\nValueError: boo")


@pytest.mark.parametrize("limit", range(10, 30))
def test_clipped_texts_are_as_long_as_they_may_be(limit: int) -> None:
    for text in (
        "a" * 20,
        "é" * 10,
        "\U0001f600" * 5,
        "a\ud800" * 3,
        "",
        "ab\ncd" * 5,
        "a" * 40 + "\n",
    ):
        whole = text.encode("utf-8", "backslashreplace").decode()
        for clipped, part in ((clip(text, limit), 0), (clip_front(text, limit), -1)):
            assert len(clipped.encode()) <= limit
            if len(whole.encode()) <= limit:
                assert clipped == whole
            else:
                assert clipped[-1 - part] == "…"
                kept = clipped.strip("…\n")
                assert kept
                assert kept in whole


class BrokenLoader:
    def get_source(self, name: str) -> str:
        raise ValueError(name)


@pytest.mark.trio
async def test_an_error_whose_lines_cannot_be_read_is_told_without_them() -> None:
    scope: dict[str, Any] = {"__loader__": BrokenLoader(), "__name__": "strange"}
    exec(compile("def handler():\n    raise ValueError('boo')", "strange.py", "exec"), scope)

    error = (await failure_of(scope["handler"])).error

    assert (error.message, error.traceback) == ("boo", "<no traceback: ValueError>")


@pytest.mark.trio
async def test_a_group_of_very_many_nested_errors_is_bounded() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(5000):  # deeper than Python's stack
        error = ExceptionGroup("g", [error])

    deep = await failure_of(as_async(raising(error)))
    wide = await failure_of(as_async(raising(ExceptionGroup("g", [ValueError("a")] * 10_000))))

    assert deep.error.message == "innermost"
    assert wide.error.message.startswith("10000 errors: ValueError: a; ")
    assert len(wide.error.message.encode()) <= MESSAGE_BYTES
