"""Who waits for a job's end, searched state by state, as far as one job and one client go.

What is told is lost where nobody listens, and may be lost otherwise; a request may be executed
after its sender has gone; the server may come back as it was. From every state there must be a way,
on which nothing else goes wrong, to the client's knowing the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

from props.protocol.walk import Found, Move, walk

WAITS_FOR_EVER = "somebody waits for ever, even if nothing else goes wrong"
TOLD_UNKNOWN = "told unknown, and it has ended"

Asked = Literal["", "look and register", "look", "register"]
Answer = Literal["", "live", "over", "unknown"]


class Setup(NamedTuple):
    """What may go wrong, and the rules."""

    lost_pushes: int = 0
    lost_connections: int = 0
    rollbacks: int = 0
    checks: bool = True
    """Whether it asks again now and then; else once for each connection that it listens on."""
    at_once: bool = True
    """Who registers is looked at by the same request."""
    ends_are_kept: bool = True
    reads_answers: bool = True
    """Whether an answer can be what tells it of the end."""


class State(NamedTuple):
    """The server, the client, and what is under way between them."""

    lost_pushes: int
    lost_connections: int
    rollbacks: int
    over: bool = False
    noted: bool = False
    listens: bool = False
    asked: bool = False
    """Since it listens."""
    request: Asked = ""
    answer: Answer = ""
    looked: bool = False
    """The answer is to a look that is to be followed by a register."""
    late: Asked = ""
    """A request whose sender waits for no answer any more."""
    push: bool = False
    told: Answer = ""
    before: tuple[bool, bool] | None = None
    """What the server may come back as."""


def moves(state: State, setup: Setup) -> Iterator[Move[State]]:
    """All that can happen next."""
    yield from _job(state)
    if not state.told:
        yield from _client(state, setup)
    if state.request:
        answered = _executed(state, state.request, setup)
        looked = state.request == "look"
        yield Move(answered._replace(request="", looked=looked), f"the server: {state.request}")
    if state.late:
        executed = _executed(state, state.late, setup)
        late = executed._replace(answer=state.answer, late="")
        yield Move(late, f"the server, late: {state.late}", free=False)
    yield from _faults(state)


def _job(state: State) -> Iterator[Move[State]]:
    if not state.over:
        hears = state.noted and state.listens
        ended = state._replace(over=True, noted=False, push=state.push or hears)
        yield Move(ended, "the job ends")


def _client(state: State, setup: Setup) -> Iterator[Move[State]]:
    if not state.listens:
        yield Move(state._replace(listens=True, asked=False), "the client listens")
    elif state.answer:
        heard = state._replace(answer="", looked=False, asked=True)
        if state.answer != "live" and setup.reads_answers:
            heard = heard._replace(told=state.answer)
        elif state.looked:
            heard = heard._replace(request="register", asked=False)
        yield Move(heard, f"the client is answered {state.answer}")
    elif not state.request and (setup.checks or not state.asked):
        what: Asked = "look and register" if setup.at_once else "look"
        yield Move(state._replace(request=what), f"the client sends {what}")
    if state.push:
        yield Move(state._replace(push=False, told="over"), "the client is told of the end")


def _executed(state: State, request: Asked, setup: Setup) -> State:
    if request == "register":
        return state._replace(noted=True, answer="live")
    if state.over:
        return state._replace(answer="over" if setup.ends_are_kept else "unknown")
    return state._replace(noted=state.noted or request != "look", answer="live")


def _faults(state: State) -> Iterator[Move[State]]:
    if state.push and state.lost_pushes:
        lost = state._replace(push=False, lost_pushes=state.lost_pushes - 1)
        yield Move(lost, "what was told is lost", free=False)
    if state.listens and state.lost_connections:
        cut = _cut(state)._replace(lost_connections=state.lost_connections - 1)
        yield Move(cut, "the connection is lost", free=False)
    if state.before is None and state.rollbacks:
        kept = state._replace(before=(state.over, state.noted))
        yield Move(kept, "the server saves what it has", free=False)
    if state.before is not None and state.rollbacks:
        over, noted = state.before
        back = _cut(state)._replace(over=over, noted=noted, rollbacks=0)
        yield Move(back, "the server comes back as it was", free=False)


def _cut(state: State) -> State:
    return state._replace(
        listens=False, push=False, request="", answer="", looked=False,
        late=state.request or state.late,
    )  # fmt: skip


def search(setup: Setup) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken."""
    return walk(
        State(setup.lost_pushes, setup.lost_connections, setup.rollbacks),
        partial(moves, setup=setup),
        broken=lambda state: TOLD_UNKNOWN if state.told == "unknown" else None,
        is_over=lambda state: bool(state.told),
        stuck=WAITS_FOR_EVER,
    )


#: What is searched to the end.
SOUND = {
    "nothing is lost, and nothing asked again": Setup(checks=False),
    "connections are lost, and nothing asked again": Setup(lost_connections=3, checks=False),
    "the server goes back, and nothing is asked again": Setup(
        lost_connections=1, rollbacks=1, checks=False
    ),
    "what was told is lost": Setup(lost_pushes=2, lost_connections=2),
    "all of it": Setup(lost_pushes=2, lost_connections=2, rollbacks=1),
}

#: Rules that somebody might think of instead, and what each breaks.
VARIANTS = {
    "a waiter looks, and then registers": (Setup(checks=False, at_once=False), WAITS_FOR_EVER),
    "an end is pushed and not kept": (
        Setup(lost_pushes=1, ends_are_kept=False), TOLD_UNKNOWN,
    ),
    "a waiter is told by a push only": (Setup(reads_answers=False), WAITS_FOR_EVER),
    "a waiter doesn't ask again": (Setup(lost_pushes=1, checks=False), WAITS_FOR_EVER),
}  # fmt: skip
