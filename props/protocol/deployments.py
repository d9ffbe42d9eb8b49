"""Which settings of a limit hold while deployments come and go, searched state by state.

Engines of two deployments, and of one without the limit, are started, stopped, killed and reaped
in any order, and declare what they have whenever they like; a declaration may be executed a second
time and late. Somebody sets something by hand. The decision is the model's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

import attrs

from props.protocol.walk import no_garbage
from trioq.core.limits import LimitSettings
from trioq.core.model.declarations import GRACE_MS, Declaration
from trioq.core.model.deployed import Deployed

#: What a deployment without the limit has of it.
NONE = 0

COMES_BACK = "settings that are older came back while engines with the newer live"
NEVER_COMES_BACK = "what all engines declare doesn't hold"
ENDS_EARLY = "a limit ended while an engine with it was on its way back"
BY_HAND = "what was set by hand ended, and no deployment came"
OF_THE_DEAD = "an engine that is gone changed something"

Declare = Callable[[Deployed, str, Mapping[str, LimitSettings], set[str], int], bool]


class Engine(NamedTuple):
    """A boot."""

    boot: int
    has: int
    """What its deployment says: a number, or none."""
    alive: bool = True
    """Else it is known until it is reaped."""


class State(NamedTuple):
    """The server, the engines, and what may still happen."""

    starts: int
    kills: int = 0
    late: int = 0
    hands: int = 0
    ticks: int = 2
    """How often so much time passes that nobody is expected back."""
    now: int = 0
    engines: tuple[Engine, ...] = ()
    declared: tuple[tuple[int, int], ...] = ()
    known: tuple[tuple[int, int | None], ...] = ()
    """What was declared, and since which tick nobody does."""
    is_by_hand: bool = False
    copies: tuple[Engine, ...] = ()
    ghost_had: frozenset[int] = frozenset()
    """Deployments that were heard of, and not gone since."""

    @property
    def holds(self) -> int:
        return self.known[-1][0] if self.known else NONE


class Found(NamedTuple):
    """A broken promise, and the shortest way to it."""

    promise: str
    path: tuple[str, ...]


class Move(NamedTuple):
    """One thing that happens."""

    state: State
    text: str
    broken: str | None = None


def model(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """The rule itself. Whether something else holds now."""
    return boot in live and bool(deployed.declare(boot, limits, live, now_ms))


def moves(state: State, declare: Declare) -> Iterator[Move]:
    """All that can happen next."""
    if state.starts and len(state.engines) < 3:
        for has in (NONE, 1, 2):
            began = Engine(state.starts, has)
            started = state._replace(starts=state.starts - 1, engines=(*state.engines, began))
            # It declares before anything else of it can happen, or dies unheard.
            yield _declared(started, began, declare)
    for engine in state.engines:
        others = tuple(each for each in state.engines if each is not engine)
        if engine.alive:
            yield _declared(state, engine, declare)
            yield Move(_left(state, others), f"{engine} signs off")
            if state.kills:
                dead = (*others, engine._replace(alive=False))
                yield Move(
                    state._replace(kills=state.kills - 1, engines=dead), f"{engine} is killed"
                )
            if state.late:
                copies = (*state.copies, engine)
                yield Move(
                    state._replace(late=state.late - 1, copies=copies), f"{engine} says it twice"
                )
        else:
            yield Move(_left(state, others), f"{engine} is reaped")
    for engine in state.copies:
        rest = tuple(each for each in state.copies if each is not engine)
        yield _declared(state._replace(copies=rest), engine, declare, "late: ")
    if state.hands and state.known:
        yield Move(state._replace(hands=state.hands - 1, is_by_hand=True), "somebody sets it")
    if state.ticks:
        # Who hasn't come back by now doesn't.
        had = frozenset(each.has for each in state.engines)
        later = state._replace(
            ticks=state.ticks - 1, now=state.now + 1, ghost_had=state.ghost_had & had
        )
        yield Move(later, "time passes")


def _left(state: State, others: tuple[Engine, ...]) -> State:
    return state._replace(engines=others)


def _declared(state: State, engine: Engine, declare: Declare, how: str = "") -> Move:
    deployed = Deployed(
        {str(boot): _limits(has) for boot, has in state.declared},
        {"a": [Declaration(_settings(has), 0, _ms(gone)) for has, gone in state.known]}
        if state.known
        else {},
    )
    has_changed = declare(
        deployed, str(engine.boot), _limits(engine.has), _live(state), state.now * GRACE_MS
    )
    after = state._replace(
        declared=tuple(
            (int(boot), limits["a"].concurrency) for boot, limits in deployed.declared.items()
        ),
        known=tuple(
            (
                each.said.concurrency,
                each.gone_ms if each.gone_ms is None else state.now - _age(each, state),
            )
            for each in deployed.known.get("a", ())
        ),
        is_by_hand=state.is_by_hand and not has_changed,
    )
    after = after._replace(ghost_had=_heard_of(state, after, engine))
    return Move(after, f"{how}{engine} declares", _broken(state, after, engine))


def _heard_of(before: State, after: State, engine: Engine) -> frozenset[int]:
    """What isn't new. A deployment that was undone is new when it comes again."""
    had = before.ghost_had
    if str(engine.boot) not in _live(before):
        return had
    if after.holds != before.holds and before.holds not in {e.has for e in before.engines}:
        had -= {before.holds}
    return had | {engine.has}


def _live(state: State) -> set[str]:
    return {str(each.boot) for each in state.engines}


def _age(each: Declaration[LimitSettings], state: State) -> int:
    assert each.gone_ms is not None
    return state.now - each.gone_ms // GRACE_MS


def _ms(tick: int | None) -> int | None:
    return None if tick is None else tick * GRACE_MS


@cache
def _settings(has: int) -> LimitSettings:
    return LimitSettings(concurrency=has)


def _limits(has: int) -> Mapping[str, LimitSettings]:
    return {"a": _settings(has)} if has else {}


def _broken(before: State, after: State, engine: Engine) -> str | None:
    has_changed = after.holds != before.holds
    if str(engine.boot) not in _live(before):
        return OF_THE_DEAD if has_changed or before.is_by_hand > after.is_by_hand else None
    live = {each.has for each in before.engines if each.boot in dict(before.declared)}
    is_deployed = engine.has not in before.ghost_had
    if has_changed and after.holds == NONE and before.holds in before.ghost_had:
        return ENDS_EARLY
    if has_changed and before.holds in live and not is_deployed:
        return COMES_BACK
    if before.is_by_hand and not after.is_by_hand and not has_changed:
        return BY_HAND
    return None


def _ends_wrong(state: State, declare: Declare) -> bool:
    """Whether, once who died is reaped and everybody has said it a few times, something else holds
    than all say."""
    state = state._replace(engines=tuple(each for each in state.engines if each.alive))
    all_have = {each.has for each in state.engines}
    if len(all_have) != 1:
        return False
    for _ in range(3):
        for engine in state.engines:
            state = _declared(state, engine, declare).state
        state = state._replace(now=state.now + 1)
    return all_have != {state.holds}


@no_garbage()
def search(start: State, declare: Declare = model) -> tuple[int, Found | None]:
    """How many states can be reached, and the first broken promise."""
    came: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if _ends_wrong(state, declare):
            return len(came), Found(NEVER_COMES_BACK, _path(came, state))
        for move in moves(state, declare):
            if move.broken:
                path = (*_path(came, state), move.text)
                return len(came), Found(move.broken, path)
            if move.state not in came:
                came[move.state] = state, move.text
                queue.append(move.state)
    return len(came), None


def _path(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    path = list[str]()
    while (step := came[state]) is not None:
        state, text = step
        path.append(text)
    return tuple(reversed(path))


# -- rules that somebody might think of instead ---------------------------------------------------


def _by_its_start(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """Whoever was started last has it."""
    before = deployed.known
    is_new = boot not in deployed.declared
    has_changed = model(deployed, boot, limits, live, now_ms)
    if is_new and limits and boot in live:
        deployed.known = {"a": [Declaration(limits["a"], now_ms)]}
        return True
    if boot in live and not limits and not deployed.known:
        deployed.known = before
        return False
    return has_changed


def _never_back(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """What is older never holds again."""
    before = deployed.known.get("a", ())
    has_changed = model(deployed, boot, limits, live, now_ms)
    after = deployed.known.get("a", ())
    if before and (not after or after[-1].said in [each.said for each in before[:-1]]):
        deployed.known = {"a": [attrs.evolve(each, gone_ms=None) for each in before]}
        return False
    return has_changed


def _at_once(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """A limit that nobody declares is over at once."""
    return model(deployed, boot, limits, live, now_ms) | model(
        deployed, boot, limits, live, now_ms + GRACE_MS
    )


def _of_all(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """Whoever has ever declared something lives."""
    return model(deployed, boot, limits, live | deployed.declared.keys(), now_ms)


def _hears_all(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """A boot that isn't registered is heard."""
    return bool(deployed.declare(boot, limits, live, now_ms))


def _anew(
    deployed: Deployed, boot: str, limits: Mapping[str, LimitSettings], live: set[str], now_ms: int
) -> bool:
    """Each start ends what was set by hand."""
    is_new = boot not in deployed.declared
    return model(deployed, boot, limits, live, now_ms) or (is_new and boot in live)


#: What is searched to the end.
SOUND = {
    "nobody is killed": State(starts=4, ticks=3),
    "engines are killed, and something is set": State(starts=3, kills=2, hands=1),
    "declarations come late": State(starts=3, late=1, hands=1),
}

#: And what each of these breaks.
VARIANTS: Mapping[str, tuple[State, Declare, str]] = {
    "whoever was started last has it": (State(starts=3), _by_its_start, COMES_BACK),
    "what is older never holds again": (State(starts=3), _never_back, NEVER_COMES_BACK),
    "a limit ends at once": (State(starts=3), _at_once, ENDS_EARLY),
    "it isn't asked who lives": (State(starts=3), _of_all, NEVER_COMES_BACK),
    "who is gone is heard": (State(starts=3, late=1), _hears_all, OF_THE_DEAD),
    "each start ends what is set": (State(starts=3, hands=1), _anew, BY_HAND),
}
