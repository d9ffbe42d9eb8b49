"""What ``trioq enqueue`` can ask for where another job has the id, and what it says of that."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, get_args

import click

from trioq.cli.common import duration
from trioq.client.handle import SyncHandle
from trioq.core.calls import IdKeep
from trioq.core.same import IdDead, OnConflict, Same

_OPTIONS = (
    click.option(
        "--on-conflict",
        type=click.Choice(get_args(OnConflict)),
        help="Where another job has the id. Default: existing.",
    ),
    duration("--debounce", "The last enqueue with the id counts, and is ready after this time."),
    duration("--max-wait", "With --debounce: but no later than this after the first one."),
    duration("--cooldown", "The id isn't free sooner than this after the last enqueue with it."),
    duration("--id-retention", "The id is remembered so long after its job's end."),
    click.option(
        "--id-dead",
        type=click.Choice(get_args(IdDead)),
        help="Whether a dead job keeps the id. Default: block, but free with --debounce, and where"
        " --on-conflict is replace, again or supersede.",
    ),
)


def with_same(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for a command that takes them as ``same``."""

    @wraps(command)
    def told(
        *,
        on_conflict: OnConflict | None,
        debounce: float | None,
        max_wait: float | None,
        cooldown: float | None,
        id_retention: float | None,
        id_dead: IdDead | None,
        **others: Any,
    ) -> Any:
        same = Same.said(
            on_conflict=on_conflict, debounce=debounce, max_wait=max_wait,
            cooldown=cooldown, id_retention=id_retention, id_dead=id_dead,
        )  # fmt: skip
        return command(same=same, **others)

    for option in reversed(_OPTIONS):
        told = option(told)
    return told


def settled(
    same: Same, id: str | None, delay: float, at: int | None
) -> tuple[float, IdKeep | None]:
    """After how many seconds the job is ready, and for how long its id is remembered.

    Raises:
      PayloadRejected: No job can have it.
    """
    try:
        after_s, keep = same.settled(id, delay, at, _option)
    except TypeError as error:
        raise click.UsageError(f"{error}.") from None
    return after_s, keep


def _option(argument: str) -> str:
    return "--" + argument.replace("_", "-")


def said(handle: SyncHandle, queue: str) -> str:
    """What came of an enqueue, in a line."""
    match handle.happened:
        case "replaced":
            return f"replaced: {handle.id} is {handle.uid}, which waits in {queue}"
        case "again":
            return f"queued {handle.uid} in {queue}, to run once {handle.id} has"
        case "superseded" if not handle.is_new:
            waits = f"replaced: {handle.id} is {handle.uid}, which waits in {queue}"
            return f"{waits}; the run before it was asked to end"
        case "superseded":
            return f"queued {handle.uid} in {queue}; {handle.id}, which runs, was asked to end"
        case "queued":
            return f"queued {handle.uid} in {queue}"
    return f"not queued: {handle.id} is {handle.uid}, {handle.existing}"
