"""The clients are one: what can be said to one can be said to each."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest

import trioq
import trioq.aio
from trioq.client.schedules import Schedules
from trioq.client.sync_schedules import SyncSchedules

SAME = [
    (trioq.Client, trioq.SyncClient),
    (Schedules, SyncSchedules),
    (trioq.Handle, trioq.SyncHandle),
]
METHODS = [
    (one, other, name)
    for one, other in SAME
    for name, member in vars(one).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


def taken(function: Any) -> list[tuple[str, Any, Any, str]]:
    """What it takes. Handles are those of its own client."""
    parameters = inspect.signature(function).parameters.values()
    return [
        (each.name, each.kind, each.default, str(each.annotation).replace("SyncHandle", "Handle"))
        for each in parameters
    ]


@pytest.mark.parametrize(("one", "other", "name"), METHODS, ids=str)
def test_async_and_sync_clients_take_the_same(one: type, other: type, name: str) -> None:
    here, there = getattr(one, name), getattr(other, name)
    assert taken(here) == taken(there)
    overloads = [list(map(taken, typing.get_overloads(each))) for each in (here, there)]
    assert overloads[0] == overloads[1]


def test_what_opens_a_client_takes_the_same_everywhere() -> None:
    assert taken(trioq.connect) == taken(trioq.connect_sync) == taken(trioq.aio.connect)


def test_a_client_in_asyncio_is_the_client() -> None:
    assert issubclass(trioq.aio.Client, trioq.Client)
    own = {name for name in vars(trioq.aio.Client) if not name.startswith("_")}
    assert own == {"close"}
