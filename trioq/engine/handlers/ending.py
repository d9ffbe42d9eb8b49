"""What a handler's end makes of its attempt, whatever was raised."""

from __future__ import annotations

import json

import attrs
import trio

from trioq.core.blame import PLAIN_ERRORS, Errors
from trioq.core.flow import told_apart
from trioq.core.outcome import Error, Failed, Outcome, Snoozed, Starved
from trioq.core.shared import NoDeps
from trioq.core.valid import DELAY_S, QUEUE, shown
from trioq.core.wants import NothingLeft
from trioq.engine.handlers.asyncio_loop import TaskLeftBehind
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.command import CommandFailed
from trioq.engine.handlers.describe import (
    MESSAGE_BYTES,
    Raised,
    args_of,
    clip,
    describe,
    is_a,
    leaves_of,
    text_of,
)
from trioq.engine.handlers.isolated import FOREIGN
from trioq.engine.handlers.returned import BadHandler
from trioq.engine.handlers.runners.ends import Ended, RunnerDied, RunnerKilled, RunnerRefused
from trioq.engine.handlers.threads import NoThread, ThreadLeftBehind
from trioq.errors import GiveUp, JobControl, RateLimited, RetryLater, Snooze

#: A job that found no thread within its timeout comes back after this.
NO_THREAD_SNOOZE_S = 1.0

#: What asyncio's functions raise where none of its loops runs begins with one of these.
NO_LOOP = "no running event loop", "There is no current event loop"


def carried(error: BaseException) -> BaseException:
    """What a handler raised, as something that trio's cancel scopes can look at.

    Cancellation stays what it is, also within a group, and all else is carried through.
    """
    cancelled: list[BaseException] = []
    others: list[BaseException] = []
    for leaf in leaves_of(error):
        (cancelled if type(leaf) is trio.Cancelled else others).append(leaf)
    if not cancelled:
        return Raised(error)
    if others:
        rest = others[0] if len(others) == 1 else BaseExceptionGroup("others", others)
        cancelled.append(Raised(rest))
    return BaseExceptionGroup("cancelled", cancelled)


def timed_out(
    timeout_s: float | None,
    error: BaseException | None,
    *,
    swallowed: bool = False,
    errors: Errors = PLAIN_ERRORS,
) -> Outcome:
    """What becomes of a handler that was cancelled at its deadline, and of what it made of it."""
    told, traceback, exception = f"took longer than {timeout_s:g} s", "", None
    leaf = _only_leaf(error) if error is not None else None
    if type(leaf) is NoThread:
        return Snoozed(NO_THREAD_SNOOZE_S)  # a limit never costs an attempt
    if type(leaf) is Ended:
        return leaf.outcome  # by the same deadline, in there
    if type(leaf) is NothingLeft:
        return Starved(leaf.want)
    if swallowed:
        told += " and swallowed its cancellation"
    elif type(leaf) is ThreadLeftBehind:
        told += "; its thread still runs"
    elif type(leaf) is TaskLeftBehind:
        told += "; its task in asyncio still runs"
    elif type(leaf) is RunnerKilled:
        told += "; its process was killed"
    elif error is not None:
        if is_a(leaf, JobControl):
            return outcome_of(error, errors)  # it was asked to end, and ended with a wish
        raised = leaf.error if type(leaf) is RunnerDied else describe(error)
        exception = _kept(error, leaf, errors)
        told += f"; then, while it was cancelled, {raised.type}: {raised.message}"
        traceback = raised.traceback
    why = Error("timeout", clip(told, MESSAGE_BYTES), traceback, kind="timeout")
    return Failed(why, counts=errors.breaker is not None, exception=exception)


def outcome_of(error: BaseException, errors: Errors = PLAIN_ERRORS) -> Outcome:
    """What becomes of a handler that raised this.

    Args:
      errors: What the handler says of them.
    """
    outcome, leaf = _outcome_of(error), _only_leaf(error)
    if not isinstance(outcome, Failed) or type(leaf) is Ended:
        return outcome  # that of a runner says all
    is_told = leaf is not None and any(type(leaf) is kind for kind in errors.told)
    return attrs.evolve(
        outcome,
        args=args_of(leaf) if leaf is not None and is_told else None,
        counts=_counts(outcome, error, errors),
        exception=_kept(error, leaf, errors),
    )


def _counts(failed: Failed, error: BaseException, errors: Errors) -> bool:
    """Whether it speaks against what the handler depends on."""
    if failed.permanent == "bad_handler":
        return errors.breaker is not None  # else each of its jobs would die of it
    return failed.permanent is None and errors.counts(map(type, leaves_of(error)))


def _kept(error: BaseException, leaf: BaseException | None, errors: Errors) -> BaseException | None:
    """What a handler raised, for who wants to hear of it; None: nobody does, or it's our own."""
    if not errors.kept or type(leaf) in (RunnerDied, RunnerRefused, CommandFailed):
        return None
    while type(error) is Raised:
        error = error.error
    return error if leaf is None else leaf


def _outcome_of(error: BaseException) -> Outcome:
    if (leaf := _only_leaf(error)) is None:
        return Failed(describe(error))
    if type(leaf) is BadPayload:
        told = Error("BadPayload", clip(text_of(leaf), MESSAGE_BYTES))
        return Failed(told, permanent="bad_payload")
    if type(leaf) is BadHandler or type(leaf) is NoDeps:
        told = Error("BadHandler", clip(text_of(leaf), MESSAGE_BYTES), describe(leaf).traceback)
        return Failed(told, permanent="bad_handler")
    if type(leaf) is NothingLeft:
        return Starved(leaf.want)
    if type(leaf) is Ended:
        return leaf.outcome
    if type(leaf) is CommandFailed:
        return Failed(leaf.error, permanent=leaf.permanent)
    if type(leaf) is RunnerDied or type(leaf) is RunnerRefused:
        return Failed(leaf.error)
    told = describe(error)
    if is_a(leaf, RetryLater, Snooze, RateLimited):
        return _again(leaf, told)
    if is_a(leaf, GiveUp):
        return Failed(told, permanent="gave_up")
    if type(leaf) is RuntimeError and told.message.startswith(NO_LOOP):
        told = attrs.evolve(told, message=f"{told.message}: {FOREIGN}")
        return Failed(told, permanent="bad_handler")
    return Failed(told)


def _again(asked: BaseException, told: Error) -> Outcome:
    """A wish to run again later, if it's one that can be granted."""
    field = "retry_after" if is_a(asked, RateLimited) else "delay_s"
    try:
        wish = getattr(asked, field)
        if wish is None and is_a(asked, RetryLater):
            return Failed(attrs.evolve(told, kind="retry_later"))
        what, delay_s = shown(wish), float(wish) if DELAY_S.allows(wish) else None
    except BaseException as error:  # of an object that is made to look like a number
        what, delay_s = f"something that can't be read: {describe(error).type}", None
    if delay_s is None or not DELAY_S.allows(delay_s):
        what = f"{told.type}: {field} is {what}: expected {DELAY_S.words}"
        return Failed(Error("ValueError", clip(what, MESSAGE_BYTES), told.traceback))
    if is_a(asked, Snooze):
        return Snoozed(delay_s)
    if is_a(asked, RateLimited):
        return _rest(asked, told, delay_s)
    return Failed(attrs.evolve(told, kind="retry_later"), delay_s=delay_s)


def _rest(asked: BaseException, told: Error, delay_s: float) -> Outcome:
    """A wish that a limit may rest, if it names one."""
    try:
        limit, key = asked.limit, asked.key  # type: ignore[attr-defined]
        if QUEUE.allows(limit):
            key = None if key is None else json.dumps(told_apart(key))
            return Snoozed(delay_s, str.__str__(limit), key)
        what = f"{told.type}: limit is {shown(limit)}: expected a limit's name"
    except BaseException as error:  # of an object that is made to look like a text
        what = f"{told.type}: its limit or its key can't be read: {describe(error).type}"
    return Failed(Error("ValueError", clip(what, MESSAGE_BYTES), told.traceback))


def _only_leaf(error: BaseException) -> BaseException | None:
    """The one exception that this is, or that is in it; None for a group of others."""
    leaves = leaves_of(error)
    return leaves[0] if len(leaves) == 1 else None
