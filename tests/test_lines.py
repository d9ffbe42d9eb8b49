"""Lines to a stream that isn't read: nobody waits, nothing grows, and what was lost is told."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from tests.support import wait_until
from trioq import lines
from trioq.lines import Lines, lines_to
from trioq.observe.log_setup import logger


class Pipe:
    """A stream whose reader reads when it's told to."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        self.stream: TextIO = os.fdopen(writer, "w")

    def read(self) -> str:
        """All there is, until nothing more comes."""
        text = b""
        while select.select([self.reader], [], [], 0.2)[0]:
            text += os.read(self.reader, 1 << 20)
        return text.decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.read()
    made.stream.close()
    os.close(made.reader)


LINE = "x" * 1023


def overflown(pipe: Pipe) -> tuple[Lines, int]:
    """Half as many lines again as fit, and how many that are."""
    to = Lines(pipe.stream)
    count = lines.QUEUE_BYTES * 3 // 2 // (len(LINE) + 1)
    for number in range(count):
        to.msg(f"{number:08}{LINE[8:]}")
    return to, count


def test_who_writes_to_a_pipe_that_nobody_reads_goes_on(pipe: Pipe) -> None:
    to, count = overflown(pipe)
    kept = lines.QUEUE_BYTES // (len(LINE) + 1)
    # What the thread has in its hands lies in the pipe, or is counted still.
    assert count - kept - 8 <= to.dropped <= count - kept


def test_who_was_full_takes_lines_again_when_half_is_read(pipe: Pipe) -> None:
    to, _ = overflown(pipe)
    left = lines.QUEUE_BYTES * 6 // 10
    while left > 0:
        left -= len(os.read(pipe.reader, min(left, 1 << 16)))
    lost = to.dropped

    def takes() -> bool:
        nonlocal lost
        before, lost = lost, to.dropped
        to.msg("once more")
        return to.dropped == before == lost

    assert wait_until(takes)


def test_what_was_dropped_is_told_where_it_is_missing_and_the_next_lines_follow(
    pipe: Pipe,
) -> None:
    to, count = overflown(pipe)
    lost = to.dropped
    read = pipe.read()
    to.msg("afterwards")
    read += pipe.read()
    *before, told, last = read.splitlines()
    assert [int(line[:8]) for line in before if not line.startswith("trioq")] == list(
        range(count - lost)
    )
    assert f"{lost} lines were dropped" in [*before, told][-1] + read
    assert read.count("lines were dropped") == 1
    assert last == "afterwards"


def test_the_line_about_dropped_lines_is_like_all_others(pipe: Pipe) -> None:
    log = logger("info", "json", pipe.stream, namespace="t")
    before = lines.dropped()
    while lines.dropped() == before:
        log.info(LINE)
    read = pipe.read()
    told = [json.loads(line) for line in read.splitlines() if "log_lines_dropped" in line]
    assert [(line["level"], line["namespace"], line["dropped"]) for line in told] == [
        ("warning", "t", 1)
    ]


def test_a_disk_that_was_full_is_told_of_when_it_takes_lines_again(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream, open("/dev/full", "w") as full:
        own = os.dup(stream.fileno())
        to = Lines(stream)
        os.dup2(full.fileno(), stream.fileno())
        to.msg("lost")
        assert to.flush()
        os.dup2(own, stream.fileno())
        os.close(own)
        to.msg("kept")
        assert to.flush()
        wait_until(lambda: "dropped" in (tmp_path / "log").read_text())
    kept, told = (tmp_path / "log").read_text().splitlines()
    assert kept == "kept"
    assert "1 lines were dropped" in told


def test_a_stream_that_does_not_block_gets_every_line(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    to = Lines(pipe.stream)
    for _ in range(100):
        to.msg(LINE)
    assert len(pipe.read().splitlines()) == 100
    assert to.dropped == 0


def test_a_line_that_the_stream_cannot_spell_is_written_all_the_same(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        to = Lines(stream)
        to.msg("q✓ \udcff")
        assert to.flush()
    assert (tmp_path / "log").read_text() == "q\\u2713 \\udcff\n"


def test_there_is_one_way_to_a_stream_and_it_ends_with_it(tmp_path: Path) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "trioq:lines"}

    before = threads()  # of earlier tests, which may end meanwhile
    with (tmp_path / "log").open("w") as stream:
        assert lines_to(stream) is lines_to(stream)
        (ours,) = threads() - before
    del stream
    wait_until(lambda: not ours.is_alive())


END = """
import sys
from trioq.observe.log_setup import logger
log = logger("info", "json")
for number in range({count}):
    log.info("line", number=number)
"""


def test_the_last_lines_of_a_program_are_written() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", END.format(count=5000)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(ended.stderr.splitlines()[-1])["number"] == 4999


def test_a_program_whose_lines_nobody_reads_ends_all_the_same(pipe: Pipe) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", END.format(count=5000)],
        stderr=pipe.stream, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0


FORKED = """
import os, threading
from trioq.observe.log_setup import logger
log = logger("info", "json")
for _ in range(50):
    threading.Thread(target=log.info, args=("parent",)).start()
    child = os.fork()
    if not child:
        log.info("child")
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.filterwarnings("ignore")
def test_a_forked_child_writes_its_own_lines_once_and_its_parents_never() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    events = [json.loads(line)["event"] for line in ended.stderr.splitlines()]
    assert (events.count("parent"), events.count("child")) == (50, 50)
