"""What is wanting where something of our own can't be started."""

from __future__ import annotations

import errno

import pytest

from trioq.core.wants import THREADS, WANTS, want_of


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (OSError(errno.EMFILE, "Too many open files"), WANTS[errno.EMFILE]),
        (OSError(errno.ENFILE, "Too many open files in system"), WANTS[errno.ENFILE]),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), WANTS[errno.EAGAIN]),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), WANTS[errno.ENOMEM]),
        (MemoryError(), WANTS[errno.ENOMEM]),
        (RuntimeError("can't start new thread"), THREADS),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), None),
        (OSError("without a number"), None),
        (RuntimeError("something else"), None),
        (ValueError("can't start new thread"), None),
    ],
)
def test_an_engine_is_short_of_what_the_system_says_and_of_nothing_else(
    error: Exception, want: str | None
) -> None:
    assert want_of(error) == want
