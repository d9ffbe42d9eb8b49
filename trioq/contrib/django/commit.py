"""Jobs that are queued when what they are about has been committed."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from django.db import transaction

from trioq import Call, SyncHandle
from trioq.contrib.django.clients import client

R = TypeVar("R")


def new_id() -> str:
    """An id for a job that isn't queued yet."""
    return secrets.token_hex(16)


def in_transaction(using: str | None) -> bool:
    """Whether a commit is to come."""
    return bool(transaction.get_connection(using).in_atomic_block)


def when_committed(do: Callable[[], None], using: str | None) -> Callable[[], bool]:
    """Have it done after the commit; at once where there is no transaction.

    Returns:
      Tells whether Django doesn't know of it any more: it was done, or will never be.
    """
    connection = transaction.get_connection(using)
    transaction.on_commit(do, using=using)
    if not connection.in_atomic_block:
        return lambda: False
    # Django forgets what was to be done when it rolls back, to a savepoint as well.
    return lambda: all(each[1] is not do for each in connection.run_on_commit)


class OnCommit(Generic[R]):
    """A job that is queued once a transaction is committed; its id is known before."""

    def __init__(self, id: str) -> None:
        self.id = id
        self._queued: SyncHandle[R] | None = None
        self._error: Exception | None = None
        self._is_forgotten: Callable[[], bool] = lambda: False

    @property
    def state(self) -> Literal["waiting", "queued", "failed", "dropped"]:
        """``waiting``: for the commit; ``queued``: it was, whatever has become of it since;
        ``failed``: it was committed, and then there was an error, and the job may or may not be
        queued; ``dropped``: it never will be, as there was a rollback, or what was to be done
        before it after the commit has failed."""
        if self._queued is not None:
            return "queued"
        if self._error is not None:
            return "failed"
        return "dropped" if self._is_forgotten() else "waiting"

    @property
    def handle(self) -> SyncHandle[R]:
        """The handle of the job.

        Raises:
          LookupError: It isn't queued; the message says why.
        """
        if self._queued is not None:
            return self._queued
        why = {
            "waiting": "isn't queued yet: it will be when the transaction is committed",
            "failed": f"could not be queued after the commit: {self._error}",
            "dropped": "was never queued: its transaction was rolled back, or what was to be done"
            " after the commit before it raised an error",
        }
        raise LookupError(f"job {self.id} {why[self.state]}") from self._error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}: {self.state}>"


def on_commit(
    what: Call[R] | str, payload: Any = None, *, using: str | None = None, **options: Any
) -> OnCommit[R]:
    """Queue a job when the transaction is committed; at once where there is none.

    Args:
      what, payload, options: As of :meth:`trioq.SyncClient.enqueue`. Without an ``id`` it gets
          one, so that it has a name before it is queued.
      using: The alias of the database; default: Django's.

    Raises:
      TypeError: It is a task, which waits by itself, or a function; and where there is no
          transaction, what ``enqueue`` raises. Else that comes out where the transaction ends: it
          is committed then, and the job isn't queued.
    """
    if hasattr(what, "enqueue"):
        raise TypeError(
            "on_commit takes handler.call(…) or a handler's name, not a task, which waits for the"
            " commit by itself: task.enqueue(…)"
        )
    if inspect.isroutine(what):
        raise TypeError(
            "on_commit takes handler.call(…) or a handler's name, not a function:"
            " django.db.transaction.on_commit takes those"
        )
    made: OnCommit[R] = OnCommit(str(options.pop("id", None) or new_id()))

    def do() -> None:
        try:
            made._queued = client().enqueue(what, payload, id=made.id, **options)
        except Exception as error:
            made._error = error
            raise

    made._is_forgotten = when_committed(do, using)
    return made
