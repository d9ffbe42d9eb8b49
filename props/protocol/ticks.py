"""Engines that make the ticks of a schedule, searched state by state.

They look where it stands, read what it says, and ask the server to move it on; each of these may
come at any later moment. A request may be executed again and late, an answer may be lost, an engine
may die. Meanwhile somebody changes the schedule, removes it, puts it back, or pauses it. Never does
a tick fire twice, and each that came is told of, once, while an engine lives. What a move is, is
the schedule's own decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

from props.protocol.walk import Found, Move, walk
from trioq.core.schedules import schedule
from trioq.core.schedules.due import Misfire
from trioq.core.schedules.schedule import Overlap, Schedule
from trioq.core.schedules.when import Every

TWICE = "a tick fires twice"
TOLD_TWICE = "it is told twice what became of a tick"
UNTOLD = "a schedule moves over a tick, and nothing is told of it"
TOO_EARLY = "a tick fires before it comes"
WRONG_RUN = "a run is cancelled for a tick that isn't after its own"
NEVER = "a tick that came is never made, though an engine lives"

#: Between two moments of the search; a schedule says each so many of them.
MOMENT_MS = 1000


class Rules(NamedTuple):
    """What the script and the engines do."""

    compares: bool = True
    """A schedule moves from where it was seen only."""
    compares_row: bool = True
    """And only if it says what it said then."""
    has_ids: bool = True
    """A tick's job has the tick as its id."""
    from_the_tick: bool = True
    """What comes next is found from the tick; else from the time of the move."""
    writes: Literal["both", "job first", "move first"] = "both"
    looks_again: bool = True
    """Whose run is cancelled is asked for before it is asked whether the schedule stands there."""
    locks: bool = False
    """Who makes a tick holds a lock meanwhile."""


class Setup(NamedTuple):
    """What may happen."""

    time: int = 3
    """Moments."""
    engines: int = 2
    rows: tuple[int, ...] = (1,)
    """Each so many moments: what the schedule says, and what it may say later."""
    changes: int = 0
    removals: int = 0
    pauses: int = 0
    late: int = 0
    lost: int = 0
    deaths: int = 0
    misfire: Misfire = "all"
    overlap: Overlap = "allow"
    rules: Rules = Rules()


class Request(NamedTuple):
    """On its way to the server."""

    engine: int
    number: int
    row: int
    """What was read."""
    seen: int
    next: int
    fires: int | None
    passed: tuple[int, ...]
    is_live: bool = True
    """Whether the engine waits for the answer."""
    part: Literal["both", "job", "move"] = "both"


class Engine(NamedTuple):
    """As it knows itself."""

    stage: Literal["idle", "has seen", "reads", "asks", "dead"] = "idle"
    seen: int = 0
    last_run: int = 0
    number: int = 0


class State(NamedTuple):
    """The server, the engines, and what is under way between them."""

    left: Setup
    engines: tuple[Engine, ...]
    next: int = 1
    row: int | None = 0
    """None: it is removed."""
    now: int = 0
    is_paused: bool = False
    fired: tuple[int, ...] = ()
    promised: frozenset[int] = frozenset()
    """Of which it is told that they fired."""
    told: frozenset[int] = frozenset()
    known: tuple[int, ...] = ()
    """Of each engine, the last number."""
    lock: int | None = None
    net: frozenset[Request] = frozenset()


def beginning(setup: Setup) -> State:
    """It has been put, and nothing has come."""
    return State(setup, (Engine(),) * setup.engines, known=(0,) * setup.engines)


def moves(state: State, setup: Setup) -> Iterator[Move[State]]:
    """All that can happen next."""
    if state.now < setup.time:
        yield Move(state._replace(now=state.now + 1), "time passes")
    for who, engine in enumerate(state.engines):
        if engine.stage != "dead":
            yield from _engine(state, setup, who, engine)
    for request in state.net:
        yield from _server(state, setup, request)
    yield from _people(state, setup)


def _pay(state: State, what: str) -> State | None:
    left = getattr(state.left, what) - 1
    return state._replace(left=state.left._replace(**{what: left})) if left >= 0 else None


def _with(state: State, who: int, engine: Engine) -> State:
    return state._replace(engines=(*state.engines[:who], engine, *state.engines[who + 1 :]))


# -- people ------------------------------------------------------------------------------------


def _people(state: State, setup: Setup) -> Iterator[Move[State]]:
    for row in range(len(setup.rows)):
        if row != state.row and (paid := _pay(state, "changes")):
            yield Move(_put(paid, setup, row), f"it says {setup.rows[row]} from now on", False)
    if state.row is not None and (paid := _pay(state, "removals")):
        yield Move(paid._replace(row=None, next=0), "it is removed", False)
    if paid := _pay(state, "pauses"):
        paused = paid._replace(is_paused=not state.is_paused)
        yield Move(paused, "it is paused, or resumed", False)


def _put(state: State, setup: Setup, row: int) -> State:
    if state.row is None or state.next > state.now:
        state = state._replace(next=_after(setup, row, state.now))
    return state._replace(row=row)


def _after(setup: Setup, row: int, moment: int) -> int:
    each = setup.rows[row]
    return moment - moment % each + each


# -- engines -----------------------------------------------------------------------------------


def _engine(state: State, setup: Setup, who: int, engine: Engine) -> Iterator[Move[State]]:
    if engine.stage == "idle" and state.next:
        seen = engine._replace(stage="has seen", seen=state.next)
        yield Move(_with(state, who, seen), f"engine {who} sees {state.next}")
    elif engine.stage == "has seen" and engine.seen <= state.now:
        last_run = max(state.fired, default=0)
        if setup.rules.looks_again:
            reads = engine._replace(stage="reads", last_run=last_run)
            yield Move(_with(state, who, reads), f"engine {who} reads who ran last")
        else:
            yield _reads(state, setup, who, engine._replace(last_run=last_run))
    elif engine.stage == "has seen" and state.next != engine.seen:
        idle = engine._replace(stage="idle", seen=0)
        yield Move(_with(state, who, idle), f"engine {who} is to look again")
    elif engine.stage == "reads":
        yield _reads(state, setup, who, engine)
    if paid := _pay(state, "deaths"):
        net = frozenset(
            each._replace(is_live=False) if each.engine == who else each for each in state.net
        )
        dead = _with(paid._replace(net=net), who, Engine("dead"))
        yield Move(dead, f"engine {who} dies", False)


def _reads(state: State, setup: Setup, who: int, engine: Engine) -> Move[State]:
    """What the schedule says, and asks for the move."""
    rules, text = setup.rules, f"engine {who} reads what it says"
    has_moved = rules.looks_again and state.next != engine.seen
    if state.row is None or has_moved or (rules.locks and state.lock is not None):
        return Move(_with(state, who, Engine(number=engine.number)), f"{text}: not now")
    fires, passed, following = _decided(state, setup, engine.seen)
    request = Request(who, engine.number + 1, state.row, engine.seen, following, fires, passed)
    if rules.writes != "both" and fires is not None:
        request = request._replace(part="job" if rules.writes == "job first" else "move")
    cancels = setup.overlap == "replace" and fires is not None and engine.last_run
    broken = WRONG_RUN if cancels and fires is not None and engine.last_run >= fires else None
    if rules.locks:
        state = state._replace(lock=who)
    asks = Engine("asks", number=request.number)
    return Move(_with(_send(state, request), who, asks), f"{text}, and asks", broken=broken)


def _send(state: State, request: Request) -> State:
    return state._replace(net=state.net | {request})


def _decided(state: State, setup: Setup, seen: int) -> tuple[int | None, tuple[int, ...], int]:
    assert state.row is not None
    its = Schedule(
        "s", Every(setup.rows[state.row] * MOMENT_MS), "job", "low", misfire=setup.misfire,
        grace_ms=0, overlap=setup.overlap,
    )  # fmt: skip
    now_ms = state.now * MOMENT_MS
    move: schedule.Move | None = its.move(seen * MOMENT_MS, now_ms, is_paused=state.is_paused)
    assert move is not None
    assert move.next_ms is not None
    if not setup.rules.from_the_tick:
        return seen, (), _after(setup, state.row, state.now)
    passed = tuple(mark.tick_ms // MOMENT_MS for mark in move.passed)
    fires = None if move.fires is None else move.fires // MOMENT_MS
    return fires, passed, move.next_ms // MOMENT_MS


# -- the server --------------------------------------------------------------------------------


def _server(state: State, setup: Setup, request: Request) -> Iterator[Move[State]]:
    text = f"the server: {request}"
    rest = state._replace(net=state.net - {request})
    executed, broken = _executed(rest, setup, request)
    if not request.is_live:
        yield Move(executed, text, False, broken)
        yield Move(rest, f"never: {request}", False)
        return
    yield Move(_answered(executed, request), text, broken=broken)
    if paid := _pay(executed, "lost"):
        yield Move(_send(paid, request), f"{text}; the answer is lost", False, broken)
    if paid := _pay(_answered(executed, request), "late"):
        copy = request._replace(is_live=False)
        yield Move(_send(paid, copy), f"{text}; a copy comes later", False, broken)


def _answered(state: State, request: Request) -> State:
    who = request.engine
    if state.lock == who:
        state = state._replace(lock=None)
    if request.part != "both" and request not in state.net:
        other = request._replace(number=request.number + 1, part="both")
        first = state.engines[who].number == request.number
        if first and (request.part == "job" or request.fires in state.promised - {*state.fired}):
            rest: Literal["job", "move"] = "move" if request.part == "job" else "job"
            asks = Engine("asks", number=other.number)
            return _with(_send(state, other._replace(part=rest)), who, asks)
    return _with(state, who, Engine(number=state.engines[who].number))


def _executed(state: State, setup: Setup, request: Request) -> tuple[State, str | None]:
    """The state after it, and the promise that it breaks."""
    rules, who = setup.rules, request.engine
    if request.number <= state.known[who]:
        return state, None
    known = (*state.known[:who], request.number, *state.known[who + 1 :])
    state, broken = state._replace(known=known), None
    if request.part in ("both", "move"):
        is_there = state.next == request.seen if rules.compares else state.next > 0
        says_it = state.row == request.row or not rules.compares_row
        if state.row is None or not (is_there and says_it):
            return state, None
        broken = _untold(state, setup, request)
        told = {*request.passed} | ({request.fires} - {None})
        if told & state.told:
            broken = TOLD_TWICE
        promised = state.promised | ({request.fires} if request.fires is not None else set())
        state = state._replace(
            next=request.next, told=state.told | {each for each in told if each is not None},
            promised=frozenset(each for each in promised if each is not None),
        )  # fmt: skip
    if request.part in ("both", "job") and request.fires is not None:
        is_known = rules.has_ids and request.fires in state.fired
        if not is_known:
            state = state._replace(fired=tuple(sorted((*state.fired, request.fires))))
    return state, broken


def _untold(state: State, setup: Setup, request: Request) -> str | None:
    """By what the schedule says now: each tick from the one to the other."""
    assert state.row is not None
    came, tick = {request.seen}, _after(setup, state.row, request.seen)
    while tick < request.next:
        came.add(tick)
        tick = _after(setup, state.row, tick)
    return UNTOLD if came - {*request.passed, request.fires} - state.told else None


# -- what is promised --------------------------------------------------------------------------


def _broken(state: State) -> str | None:
    if len({*state.fired}) < len(state.fired):
        return TWICE
    return TOO_EARLY if max(state.fired, default=0) > state.now else None


def _is_over(state: State) -> bool:
    if all(engine.stage == "dead" for engine in state.engines):
        return True
    return (state.row is None or state.next > state.now) and not (state.promised - {*state.fired})


def search(setup: Setup) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken."""
    return walk(
        beginning(setup), partial(moves, setup=setup), broken=_broken, is_over=_is_over, stuck=NEVER
    )


#: What is searched to the end.
SOUND = {
    "nothing goes wrong": Setup(),
    "an engine dies": Setup(deaths=1, lost=1),
    "requests come late": Setup(late=2),
    "answers are lost": Setup(lost=1, late=1, misfire="last"),
    "it changes": Setup(rows=(1, 2), changes=2, deaths=1),
    "it changes, and requests come late": Setup(rows=(2, 1), changes=1, late=1, misfire="skip"),
    "it is removed and put back": Setup(rows=(1, 2), removals=1, changes=1, late=1),
    "it is paused": Setup(pauses=2, late=1),
    "runs are replaced": Setup(overlap="replace", late=1, deaths=1),
}

#: Rules that somebody might think of instead, and what each breaks.
VARIANTS = {
    "a schedule moves from wherever it is": (
        Setup(rules=Rules(compares=False)), TOLD_TWICE,
    ),
    "a schedule moves from wherever it is, and jobs have no ids": (
        Setup(rules=Rules(compares=False, has_ids=False)), TOLD_TWICE,
    ),
    "it isn't looked at what the schedule says by now": (
        Setup(rows=(2, 1), changes=1, rules=Rules(compares_row=False)), UNTOLD,
    ),
    "what comes next is found from now": (
        Setup(rules=Rules(from_the_tick=False)), UNTOLD,
    ),
    "the job is written before the move, and has no id": (
        Setup(rules=Rules(writes="job first", has_ids=False)), TWICE,
    ),
    "the job is written after the move": (
        Setup(deaths=1, rules=Rules(writes="move first")), NEVER,
    ),
    "who is replaced is asked for, and not whether it is too late": (
        Setup(overlap="replace", rules=Rules(looks_again=False)), WRONG_RUN,
    ),
    "who makes a tick holds a lock": (
        Setup(deaths=1, rules=Rules(locks=True)), NEVER,
    ),
}  # fmt: skip
