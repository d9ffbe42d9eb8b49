"""``--queues a,b``: an engine that claims from some of the queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

#: What it is called, in faults too.
QUEUES = "--queues"


def queues_in(text: str) -> tuple[str, ...]:
    """The names in ``a,b``."""
    return tuple(name for each in text.split(",") if (name := each.strip()))


def _read(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else queues_in(value)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The name that is being written, after those that are."""
    from trioq.cli.common import complete_queues  # loads what an engine's start has no use for

    before, comma, last = incomplete.rpartition(",")
    found = complete_queues(ctx, param, last)
    return [CompletionItem(before + comma + str(item.value)) for item in found]


def with_queues(command: F) -> F:
    """An option that gives their names as ``queues``, or None where it isn't said."""
    option = click.option(
        QUEUES, metavar="A,B", callback=_read, shell_complete=_complete,
        help="Claim from these alone.",
    )  # fmt: skip
    return option(command)
