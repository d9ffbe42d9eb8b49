"""How many processes there are, and when one is replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.settings.observed.place import Place, in_thread, row
from tests.support import PATIENCE_S, trioq_started, wait_until


@contextmanager
def serving(place: Place, **others: Any) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """``trioq serve``; its log lines that tell of something."""
    place.configure(observability__log_format="json", **others)
    with (place.directory / "log").open("w") as log:
        process = trioq_started("serve", place.path, cwd=place.directory, stderr=log)

    def told(event: str) -> list[dict[str, Any]]:
        text = (place.directory / "log").read_text()
        whole = text[: text.rfind("\n") + 1]
        return [line for line in map(json.loads, whole.splitlines()) if line["event"] == event]

    try:
        yield told
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


async def replaced(place: Place, why: str) -> None:
    """A process is replaced, for this reason."""

    def look() -> None:
        with serving(place, commands__told__argv=["true"]) as told:
            wait_until(lambda: told("child_ready"))
            place.put("told")
            line = wait_until(lambda: told("child_draining"))[0]
            assert why in line["why"]
            wait_until(lambda: [each for each in told("child_ended") if each["process"] == 1])

    await in_thread(look)


@row("serve.processes", 2)
async def processes(place: Place) -> None:
    def look() -> None:
        with serving(place) as told:
            assert [line["process"] for line in wait_until(lambda: two(told))] == [1, 2]

    def two(told: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return ready if len(ready := told("child_ready")) == 2 else []

    await in_thread(look)


@row("serve.max_jobs", 1)
async def max_jobs(place: Place) -> None:
    await replaced(place, "it has run 1 jobs")


@row("serve.max_age", "10ms")
async def max_age(place: Place) -> None:
    await replaced(place, " s old")


@row("serve.max_rss", "+1B")
async def max_rss(place: Place) -> None:
    await replaced(place, "more than at its start")
