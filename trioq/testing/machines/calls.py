"""Calls of a store as values: to be made on two stores, and again, and their answers compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
from hypothesis import strategies as st

from trioq.core.calls import (
    Enqueued,
    Enqueuer,
    Gone,
    Rate,
    Reaped,
    Replaced,
    Revived,
    StepReply,
    Taking,
)
from trioq.core.schedules.tick import Ticked
from trioq.errors import QueueFull

MAX_REAPS = 2
LINE = b'{"attempt":1,"type":"ValueError"}'
QUEUES = ("high", "low")

#: Calls whose repetition does something, as it should: a sign of life is another one, and a
#: batch of parked jobs may be followed by the next.
REPEATED_ON_PURPOSE = ("beat", "expire_parked")

queue_names = st.sampled_from(QUEUES)
senders = st.sampled_from(["s1", "s2"])


@attrs.frozen
class Call:
    """A request that has left its client: it may be executed now, later, and again."""

    verb: str
    args: tuple[Any, ...]
    rate: Rate | None = None
    who: Enqueuer | None = None
    taking: Taking | None = None

    def on(self, store: Any) -> Callable[[], Any]:
        more: dict[str, Any] = {"rate": self.rate} if self.rate else {}
        more |= {"who": self.who} if self.who else {}
        more |= {"taking": self.taking} if self.taking else {}
        return lambda: getattr(store, self.verb)(*self.args, **more)


@attrs.frozen
class Granted:
    """A claim that an engine was told of."""

    engine: str
    uid: str
    n: int
    attempts: int
    suspect: bool = False


def outcome(call: Callable[[], Any]) -> Any:
    """The answer of a call, or the error as something that can be compared."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)


def kinds(call: Call, answer: Any) -> Iterator[str]:
    """What kind of answer this is, in words."""
    match answer:
        case StepReply(word=word):
            yield f"step: {word}"
            for settlement in call.args[0].settlements:
                is_refused = settlement.uid in answer.refused
                yield f"{settlement.verb}: {'refused' if is_refused else 'accepted'}"
            yield from ("step: claims a suspect" for claim in answer.claims if claim.suspect)
            yield from ("step: cancels what was asked to end" for _ in answer.cancelled)
            yield from ("step: tells of an ask" for _ in answer.asks)
            yield from ("step: tells of a door" for door in answer.behind.values() if "\t" in door)
            yield from ("step: tells what was noted" for _ in answer.notes)
            yield from ("step: tells what is paused" for _ in answer.paused)
        case Revived(count=count):
            yield f"{call.verb}: {'something' if count else 'nothing'}"
        case Gone(word=word) | Reaped(word=word):
            yield f"{call.verb}: {word}"
            yield from ("reap: kills" for _ in getattr(answer, "dead", ()))
            yield from (
                "reap: cancels what was asked to end" for _ in getattr(answer, "cancelled", ())
            )
        case Enqueued():
            yield from (f"enqueue: {other.state}" for other in answer.existing.values())
            yield from ("enqueue: seen" for _ in answer.seen)
            yield from ["enqueue: waits"] if answer.wait_us else []
            if call.taking is not None:
                yield f"take: {'moved' if answer.moved else call.taking.how}"
        case Replaced(word=word):
            yield f"replace: {word}"
            yield from ["replace: tells who runs before"] if answer.after else []
        case Ticked(word=word):
            yield f"tick: {word}"
        case list() if call.verb == "cancel":
            yield from (f"cancel: {word}" for word in answer)
        case frozenset() if call.verb == "note":
            yield f"note: {'refused' if answer else 'kept'}"
        case tuple():
            yield f"{call.verb}: {answer[0]}"
        case int():
            yield f"{call.verb}: {'something' if answer else 'nothing'}"


def changed_nothing(call: Call, answer: Any) -> bool:
    """Whether the answer says so (I18)."""
    match answer:
        case Gone() | ("TrioqBug", _):
            return True
        case False:
            return call.verb == "register"
        case Ticked(word="moved" | "alive") | Enqueued(moved=True):
            return True
        case Replaced(word=word):
            return word != "replaced"
        case StepReply(word="again") | Reaped("alive" | "gone"):
            return True
        case list() if call.verb == "cancel":
            # Asked once more, a bell may ring again.
            return set(answer) <= {"dead", "unknown"}
        case (QueueFull.__name__, _):
            return True
    return False


def same_news(first: Any, second: Any) -> bool:
    """Whether the repetition tells what the first answer told."""
    match first, second:
        case StepReply(), StepReply():
            return (first.claims, first.refused) == (second.claims, second.refused)
        case Enqueued(), Enqueued():
            return attrs.evolve(first, wait_us=0) == attrs.evolve(second, wait_us=0)
        case True, False:
            return True  # registered; it is known already
        case Reaped("reaped"), Reaped("gone"):
            return True
    return bool(first == second)
