"""Doing one of them: who may, what was said, what went wrong; and a line of it in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trioq.core.config.rules import did_you_mean
from trioq.errors import (
    EnqueueError,
    EnqueueUnknown,
    IdMismatch,
    IdTaken,
    JobUnknown,
    QueueFull,
)
from trioq.web.desk import Desk
from trioq.web.operations.audit import audit
from trioq.web.operations.fields import structured
from trioq.web.operations.operation import Acting, Operation
from trioq.web.operations.table import OPERATIONS
from trioq.web.problems import Problem
from trioq.web.who.roles import User


async def perform(
    desk: Desk, user: User, name: str, fields: Mapping[str, Any], *, is_form: bool = False
) -> dict[str, Any]:
    """Do it, if the user may; each that was asked for leaves a line in the log, done or not.

    Args:
      desk: Of the namespace.
      user: Who wants it.
      name: The operation's.
      fields: What it is told.
      is_form: They are a form's: texts, of which an empty one says nothing.

    Returns:
      What came of it, as JSON; ``done`` is a sentence for people.

    Raises:
      Problem: 403: the role isn't enough. 404: there is no such operation, or job, or queue. 409:
        the state of things forbids it. 422: the fields are wrong, all faults at once. 502, 503:
        as of :meth:`.Desk.ask`.

    Cancellation: as of :meth:`.Desk.ask`; what was begun is done, and told in the log as lost.
    """
    outcome = "cancelled"
    try:
        told = await _perform(desk, user, name, fields, is_form=is_form)
        outcome = "done"
        return told
    except Problem as problem:
        outcome = f"{problem.status} {problem.title}"
        raise
    except Exception as error:
        outcome = f"failed: {type(error).__name__}"
        raise
    finally:
        audit(user, name, fields, outcome)


def may(user: User, name: str) -> Operation:
    """The operation, if there is one and the user may do it.

    Raises:
      Problem: 404 or 403.
    """
    if (operation := OPERATIONS.get(name)) is None:
        detail = f"there is no operation {name[:60]!r}{did_you_mean(name[:60], OPERATIONS)}"
        raise Problem(404, "No such operation", detail)
    if not user.may(operation.role):
        detail = (
            f"{name} takes the role {operation.role.name}, and {user.name} has {user.role.name}"
        )
        raise Problem(403, "Not allowed", detail)
    return operation


async def _perform(
    desk: Desk, user: User, name: str, fields: Mapping[str, Any], *, is_form: bool
) -> dict[str, Any]:
    operation = may(user, name)
    what = structured(operation.takes, fields, is_form=is_form)
    try:
        return await desk.ask(lambda admin: operation.run(Acting.at(desk, admin, user), what))
    except Problem:
        raise
    except (QueueFull, IdTaken, IdMismatch) as error:
        raise Problem(409, "Not as things are", str(error)) from error
    except JobUnknown as error:
        raise Problem(404, "No such job", str(error)) from error
    except EnqueueUnknown as error:
        detail = f"{error}; with the same id it can be asked for again"
        raise Problem(503, "It isn't known whether it was done", detail) from error
    except (EnqueueError, ValueError, TypeError) as error:
        raise Problem(422, "Wrong fields", str(error)) from error
