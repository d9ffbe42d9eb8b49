"""A process without an engine, that says of itself what its arguments tell it to.

python -m tests.processes.child FD NUMBER [WORD=VALUE …]
"""

from __future__ import annotations

import signal
import sys

import trio

from trioq.processes.inside import Inside

PAGE = """\
# HELP jobs_total Done.
# TYPE jobs_total counter
jobs_total {count}
# HELP running Now.
# TYPE running gauge
running {count}
"""


async def main(fd: int, number: int, words: dict[str, str]) -> int:
    """Its exit code."""
    is_later = str(number) not in words.get("not", "").split(",")
    if (code := words.get("exit")) is not None and is_later:
        return int(code)
    ready, over, signalled = trio.Event(), trio.Event(), {"SIGTERM": 0, "SIGWINCH": 0}
    grown: list[bytes] = []

    def health() -> tuple[bool, dict[str, int]]:
        if "grows" in words:
            grown.append(b"x" * int(words["grows"]))
        return words.get("ill") != str(number), signalled

    inside = Inside.on(
        fd,
        page=lambda: PAGE.format(count=number),
        health=health,
        jobs=lambda: int(words.get("jobs", "0")),
        orphaned=over.set,
    )

    async def obey() -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGWINCH) as signals:
            if words.get("slow") != str(number):
                ready.set()
            async for told in signals:
                signalled[signal.Signals(told).name] += 1
                if told == signal.SIGTERM and "deaf" not in words:
                    over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(obey)
        nursery.start_soon(inside.run, ready)
        await over.wait()
        await inside.say_last()
        nursery.cancel_scope.cancel()
    return int(words.get("last", "0"))


if __name__ == "__main__":
    told = dict(word.split("=") for word in sys.argv[3:])
    sys.exit(trio.run(main, int(sys.argv[1]), int(sys.argv[2]), told))
