"""Who may have a probe of a breaker that all engines share, searched state by state.

Two boots and one breaker that is half-open. A request may be executed twice and late, an answer may
get lost, a boot may die with its probe. Never do more probes run than there may be, and from every
state there is a way, on which nothing else goes wrong, to a closed breaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from props.protocol.walk import Found, Move, walk

T = TypeVar("T")

TOO_MANY = "more probes run than there may be"
SHUT_FOR_EVER = "the breaker stays shut, even if nothing else goes wrong"


class Setup(NamedTuple):
    """What may go wrong, and the rules."""

    samples: int = 2
    """Good probes that close it."""
    late: int = 0
    lost: int = 0
    deaths: int = 0
    failures: int = 0
    unused: int = 0
    """Probes that find no job."""
    counts_grow: bool = True
    """What is told are counts of all that ever happened; else of what is new."""
    grants_in_all: bool = True
    """An answer tells how many were granted so far; else how many it grants."""
    gone_have_none: bool = True
    """A boot that is reaped has no probe any more."""
    by_a_clock: bool = False
    """A probe that takes long is free for another."""
    looks_at_turns: bool = True


class Request(NamedTuple):
    """What a boot tells, and asks."""

    boot: int
    turn: int
    good: int
    ended: int
    want: int


class Engine(NamedTuple):
    """A boot, as it knows itself."""

    alive: bool = True
    turn: int = 0
    granted: int = 0
    used: int = 0
    running: int = 0
    good: int = 0
    ended: int = 0
    told: tuple[int, int] = (0, 0)
    asks: bool = False
    """Its request is under way, or was lost."""


class Share(NamedTuple):
    """A boot, as the server knows it."""

    registered: bool = True
    granted: int = 0
    good: int = 0
    ended: int = 0

    @property
    def out(self) -> int:
        return max(0, self.granted - self.ended)


class State(NamedTuple):
    """The server, the boots, and what is under way between them."""

    setup: Setup
    turn: int = 0
    is_open: bool = False
    good: int = 0
    shares: tuple[Share, ...] = (Share(), Share())
    engines: tuple[Engine, ...] = (Engine(), Engine())
    requests: frozenset[Request] = frozenset()
    answers: tuple[tuple[int, int, int], ...] = ()
    """To whom, of which turn, how many are granted."""
    late: tuple[Request, ...] = ()

    @property
    def is_closed(self) -> bool:
        return self.good >= self.setup.samples


def moves(state: State) -> Iterator[Move[State]]:
    """All that can happen next, until it is closed or nobody lives."""
    if _is_over(state):
        return
    for boot, engine in enumerate(state.engines):
        if engine.alive:
            yield from _engine(state, boot, engine)
        elif state.shares[boot].registered:
            reaped = _with(state.shares, boot, state.shares[boot]._replace(registered=False))
            yield Move(state._replace(shares=reaped), f"boot {boot} is reaped")
    for request in state.requests:
        done = _executed(state, request)
        under_way = state.requests - {request}
        answered = done._replace(
            requests=under_way, answers=(*state.answers, _answer(state, done, request))
        )
        yield Move(answered, f"the server: {request}")
        setup = state.setup
        if setup.lost:
            lost = done._replace(requests=under_way, setup=setup._replace(lost=setup.lost - 1))
            yield Move(_asks(lost, request.boot, False), f"the answer to {request} is lost", False)
        if setup.late:
            copied = state._replace(
                setup=setup._replace(late=setup.late - 1), late=(*state.late, request)
            )
            yield Move(copied, f"{request} is under way twice", False)
    for request in state.late:
        rest = tuple(each for each in state.late if each is not request)
        yield Move(_executed(state, request)._replace(late=rest), f"late: {request}", False)
    if state.is_open:
        half = state._replace(is_open=False, turn=state.turn + 1, good=0, shares=_fresh(state))
        yield Move(half, "it turns half-open")


def _engine(state: State, boot: int, engine: Engine) -> Iterator[Move[State]]:
    def now(text: str, free: bool = True, **changed: object) -> Move[State]:
        engines = _with(state.engines, boot, engine._replace(**changed))
        return Move(state._replace(engines=engines), f"boot {boot} {text}", free)

    setup = state.setup
    if not engine.asks:
        counts = engine.good, engine.ended
        if not setup.counts_grow:
            counts = engine.good - engine.told[0], engine.ended - engine.told[1]
        request = Request(boot, engine.turn, *counts, engine.used + 1)
        sent = now("asks", asks=True, told=(engine.good, engine.ended)).state
        yield Move(sent._replace(requests=state.requests | {request}), f"boot {boot} asks")
    for answer in state.answers:
        if answer[0] == boot:
            rest = tuple(each for each in state.answers if each is not answer)
            heard = _heard(engine, answer, setup)._replace(asks=False)
            engines = _with(state.engines, boot, heard)
            yield Move(
                state._replace(engines=engines, answers=rest), f"boot {boot} is told {answer[1:]}"
            )
    if engine.granted > engine.used:
        yield now("begins a probe", used=engine.used + 1, running=engine.running + 1)
        if setup.unused:
            back = now("gives a probe back", used=engine.used + 1, ended=engine.ended + 1).state
            left = setup._replace(unused=setup.unused - 1)
            yield Move(back._replace(setup=left), f"boot {boot} gives a probe back", False)
    if engine.running:
        over = {"running": engine.running - 1, "ended": engine.ended + 1}
        yield now("has a good probe", good=engine.good + 1, **over)
        if setup.failures and not state.is_open and state.turn == engine.turn:
            # The server hears of it at once: what matters here is what comes after.
            failed = now("has a probe that fails", **over).state
            opened = failed._replace(
                setup=setup._replace(failures=setup.failures - 1),
                is_open=True, turn=state.turn + 1, good=0, shares=_fresh(state),
            )  # fmt: skip
            yield Move(opened, f"boot {boot} has a probe that fails, and it opens", False)
        if setup.by_a_clock and state.shares[boot].out:
            share = state.shares[boot]
            freed = _with(state.shares, boot, share._replace(ended=share.ended + 1))
            yield Move(state._replace(shares=freed), f"boot {boot}'s probe takes long", False)
    if setup.deaths:
        died = now("dies", alive=False, running=0, asks=False).state
        left = setup._replace(deaths=setup.deaths - 1)
        answers = tuple(each for each in state.answers if each[0] != boot)
        yield Move(died._replace(setup=left, answers=answers), f"boot {boot} dies", False)


def _executed(state: State, request: Request) -> State:
    share = state.shares[request.boot]
    is_of_now = request.turn == state.turn or not state.setup.looks_at_turns
    if state.is_open or not (share.registered and is_of_now):
        return state
    good, ended = request.good, request.ended
    if state.setup.counts_grow:
        good, ended = max(0, good - share.good), max(0, ended - share.ended)
    share = share._replace(good=share.good + good, ended=share.ended + ended)
    state = state._replace(
        good=min(state.good + good, state.setup.samples),
        shares=_with(state.shares, request.boot, share),
    )
    out = sum(
        each.out for each in state.shares if each.registered or not state.setup.gone_have_none
    )
    more = min(1 + state.good - out, request.want - share.granted)
    if more > 0:
        share = share._replace(granted=share.granted + more)
    return state._replace(shares=_with(state.shares, request.boot, share))


def _answer(before: State, state: State, request: Request) -> tuple[int, int, int]:
    granted = state.shares[request.boot].granted
    if not state.setup.grants_in_all:
        granted -= before.shares[request.boot].granted
    return request.boot, state.turn, granted


def _heard(engine: Engine, answer: tuple[int, int, int], setup: Setup) -> Engine:
    _, turn, granted = answer
    if turn != engine.turn:
        engine = Engine(turn=turn)  # what still runs is of a turn that is over
    if setup.grants_in_all:
        return engine._replace(granted=max(engine.granted, granted))
    return engine._replace(granted=engine.granted + granted)


def _asks(state: State, boot: int, asks: bool) -> State:
    engine = state.engines[boot]._replace(asks=asks)
    return state._replace(engines=_with(state.engines, boot, engine))


def _fresh(state: State) -> tuple[Share, ...]:
    return tuple(Share(registered=each.registered) for each in state.shares)


def _with(all: tuple[T, ...], at: int, one: T) -> tuple[T, ...]:
    return (*all[:at], one, *all[at + 1 :])


def _is_over(state: State) -> bool:
    return state.is_closed or not any(each.alive for each in state.engines)


def _broken(state: State) -> str | None:
    running = sum(each.running for each in state.engines if each.turn == state.turn)
    is_too_much = not state.is_open and not state.is_closed and running > 1 + state.good
    return TOO_MANY if is_too_much else None


def search(setup: Setup) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken."""
    return walk(State(setup), moves, broken=_broken, is_over=_is_over, stuck=SHUT_FOR_EVER)


#: What is searched to the end.
SOUND = {
    "nothing goes wrong": Setup(),
    "requests come late": Setup(late=2),
    "answers are lost": Setup(lost=2),
    "a boot dies": Setup(deaths=1, lost=1),
    "a probe finds no job": Setup(unused=1, late=1),
    "a probe fails, and requests come late": Setup(samples=1, failures=1, late=1),
}

#: Rules that somebody might think of instead, and what each breaks.
VARIANTS = {
    "what is told is what is new": (Setup(unused=1, late=1, counts_grow=False), TOO_MANY),
    "an answer tells what it grants": (Setup(lost=1, grants_in_all=False), SHUT_FOR_EVER),
    "a probe outlives its boot": (Setup(deaths=1, gone_have_none=False), SHUT_FOR_EVER),
    "a probe ends by a clock": (Setup(by_a_clock=True), TOO_MANY),
    "what was found before it changed counts": (
        Setup(failures=1, late=1, looks_at_turns=False), TOO_MANY,
    ),
}  # fmt: skip
