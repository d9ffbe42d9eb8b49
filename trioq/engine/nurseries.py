"""What trio leaves to those who use its nurseries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from trioq.errors import ConfigError, LifespanError, StoreError

PLAIN = StoreError | ConfigError | LifespanError


async def first_of(*events: trio.Event) -> None:
    """Wait for any of these."""
    async with trio.open_nursery() as nursery:
        for event in events:
            nursery.start_soon(cancel_when, event, nursery.cancel_scope)


async def cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    """Cancel the scope as soon as the event is set."""
    await event.wait()
    scope.cancel()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let what the store or a lifespan raised in a nursery, or what is wrong with the
    configuration, come out as it is.

    When Redis says no it says so to several tasks, in nurseries within nurseries. Whoever runs
    an engine wants to write ``except StoreRefused``, also while they cancel it. Everything else
    stays in its group.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        errors = [leaf for leaf in _leaves(group) if not isinstance(leaf, trio.Cancelled)]
        if errors and all(isinstance(error, PLAIN) for error in errors):
            # With its own cause, and without the groups as its context.
            raise errors[0] from errors[0].__cause__
        raise


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
