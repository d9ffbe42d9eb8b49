"""What becomes of a payload that doesn't fit one version of its handler, searched state by state.

One job, and engines whose handlers have signatures; ``?`` is that of an engine of an older version
that says none. Engines start, leave and die at any moment, and what an engine has read of the
others is as old as it may be. A job isn't tried again with a signature that it didn't fit while
another could run it; it isn't dead while one that it fits was there all the time; and it doesn't
lie for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from props.protocol.walk import Found, Move, walk

TRIED_AGAIN = "it was tried again with a signature that it didn't fit, and another was there"
DIED_EARLY = "it is dead, and an engine that it fits was there all the time"
FOR_EVER = "it lies for ever, even if nothing else goes wrong"

SAYS_NONE = "?"

Signatures = frozenset[str]
NOTHING: Signatures = frozenset()


class Setup(NamedTuple):
    """What may happen, and the rules."""

    engines: str = "ab"
    """Of each that lives in the beginning, its handler's signature."""
    fits: str = "b"
    """Those that the payload fits."""
    starts: str = ""
    """Of those that may come later."""
    leaves: int = 0
    given_back: int = 0
    """How often a claim may be given back, by who is about to leave, say."""
    sent_again: int = 0
    """How often a step may be sent again: its answer doesn't say behind which door a job was."""
    door_says: Literal["all", "last", "none"] = "all"
    """Which signatures a job's door is named by: all that it didn't fit, the last of them, none."""
    looks_then: bool = True
    """Who has a payload that doesn't fit looks then who else is there; else it knows of before."""
    opens_in_the_end: bool = True
    """A door that nobody else could open is opened by who is named there."""
    waits_for_who_says_none: bool = True


class Engine(NamedTuple):
    """One, as it knows itself and what it has seen."""

    signature: str
    lives: bool = True
    seen: Signatures | None = None
    """The signatures of those who lived when it looked last; None: it hasn't."""


class Tried(NamedTuple):
    """A job in an engine, and its way there."""

    by: int
    behind: Signatures
    """What its door said."""
    decided: Literal["", "park", "die", "later"] = ""
    ghost_there: frozenset[int] = frozenset()
    """Who lived when that was decided."""


class State(NamedTuple):
    """The job, the engines, and what may still happen."""

    setup: Setup
    engines: tuple[Engine, ...]
    place: Literal["line", "later", "door", "engine", "done", "dead"] = "line"
    door: Signatures = NOTHING
    tried: Tried | None = None
    ghost_unfit: Signatures = NOTHING
    """What it didn't fit, since something went wrong last."""

    @property
    def signatures(self) -> Signatures:
        """Those of engines that live."""
        return frozenset(each.signature for each in self.engines if each.lives)


def moves(state: State) -> Iterator[Move[State]]:
    """All that can happen next, until the job has ended."""
    if state.place in ("done", "dead"):
        return
    yield from _engines_come_and_go(state)
    for number, engine in enumerate(state.engines):
        if engine.lives:
            yield from _claims(state, number, engine)
            looked = _with(state, number, engine._replace(seen=state.signatures))
            if looked != state:
                yield Move(looked, f"{number} looks")
    if state.place == "later":
        yield Move(state._replace(place="line", ghost_unfit=NOTHING), "its time comes")
    if state.tried is not None:
        yield from _runs(state, state.tried)


def _engines_come_and_go(state: State) -> Iterator[Move[State]]:
    setup = state.setup
    for at, signature in enumerate(setup.starts):
        left = setup._replace(starts=setup.starts[:at] + setup.starts[at + 1 :])
        more = (*state.engines, Engine(signature))
        yield Move(state._replace(setup=left, engines=more), f"one starts with {signature}", False)
    for number, engine in enumerate(state.engines):
        if setup.leaves and engine.lives:
            gone = _with(state, number, Engine(engine.signature, lives=False))
            gone = gone._replace(setup=setup._replace(leaves=setup.leaves - 1))
            if state.tried is not None and state.tried.by == number:
                gone = gone._replace(place="line", tried=None, ghost_unfit=NOTHING)
            yield Move(gone, f"{number} leaves", False)


def _claims(state: State, number: int, engine: Engine) -> Iterator[Move[State]]:
    if state.place == "line" or (state.place == "door" and _opens(state, engine)):
        # Who opens a door in the end may have seen who was there a moment too early; it looks then.
        in_the_end = engine.signature in state.door
        again = engine.signature in state.ghost_unfit and not in_the_end
        others = state.signatures - state.ghost_unfit - {SAYS_NONE}
        claimed = state._replace(place="engine", door=NOTHING)
        yield Move(
            claimed._replace(tried=Tried(number, state.door)),
            f"{number} claims it",
            broken=TRIED_AGAIN if again and others else None,
        )
        if state.door and state.setup.sent_again:
            left = state.setup._replace(sent_again=state.setup.sent_again - 1)
            forgot = claimed._replace(setup=left, tried=Tried(number, NOTHING), ghost_unfit=NOTHING)
            yield Move(forgot, f"{number} claims it, in a step that is sent again", False)


def _opens(state: State, engine: Engine) -> bool:
    """Whether it claims from the door where the job lies."""
    if engine.signature == SAYS_NONE:
        return state.setup.door_says == "none"
    if engine.signature not in state.door:
        return True
    seen = engine.seen
    return state.setup.opens_in_the_end and seen is not None and seen <= state.door | {SAYS_NONE}


def _runs(state: State, tried: Tried) -> Iterator[Move[State]]:
    number, engine = tried.by, state.engines[tried.by]
    if state.setup.given_back and not tried.decided:
        left = state.setup._replace(given_back=state.setup.given_back - 1)
        back = state._replace(setup=left, place="line", tried=None, ghost_unfit=NOTHING)
        yield Move(back, f"{number} gives it back", False)
    if engine.signature in state.setup.fits and not tried.decided:
        yield Move(state._replace(place="done", tried=None), f"{number} runs it")
    elif engine.signature == SAYS_NONE:
        yield Move(state._replace(place="dead", tried=None), f"{number} of old doesn't fit it")
    elif not tried.decided:
        yield _decides(state, tried, engine)
    else:
        yield _settles(state, tried)


def _decides(state: State, tried: Tried, engine: Engine) -> Move[State]:
    setup = state.setup
    if setup.looks_then or engine.seen is None:
        engine = engine._replace(seen=state.signatures)
        state = _with(state, tried.by, engine)
    assert engine.seen is not None
    others = engine.seen - tried.behind - {engine.signature}
    decided: Literal["park", "die", "later"] = "die"
    if others - {SAYS_NONE}:
        decided = "park"
    elif SAYS_NONE in others and setup.waits_for_who_says_none:
        decided = "later"
    there = frozenset(number for number, each in enumerate(state.engines) if each.lives)
    tried = tried._replace(decided=decided, ghost_there=there)
    unfit = state.ghost_unfit | {engine.signature}
    decides = state._replace(tried=tried, ghost_unfit=unfit)
    return Move(decides, f"{tried.by} doesn't fit it: {decided}")


def _settles(state: State, tried: Tried) -> Move[State]:
    engine, setup = state.engines[tried.by], state.setup
    over = state._replace(tried=None)
    if tried.decided == "later":
        return Move(over._replace(place="later"), "it is snoozed")
    if tried.decided == "park":
        mine = frozenset({engine.signature})
        door = {"all": tried.behind | mine, "last": mine, "none": NOTHING}[setup.door_says]
        return Move(over._replace(place="door", door=door), f"it is parked: {sorted(door)}")
    fits = [
        number
        for number in tried.ghost_there
        if state.engines[number].lives and state.engines[number].signature in setup.fits
    ]
    return Move(over._replace(place="dead"), "it dies", broken=DIED_EARLY if fits else None)


def _with(state: State, number: int, engine: Engine) -> State:
    engines = (*state.engines[:number], engine, *state.engines[number + 1 :])
    return state._replace(engines=engines)


def _is_over(state: State) -> bool:
    return state.place in ("done", "dead") or not state.signatures - {SAYS_NONE}


def search(setup: Setup) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken."""
    start = State(setup, tuple(Engine(signature) for signature in setup.engines))
    return walk(start, moves, broken=lambda _: None, is_over=_is_over, stuck=FOR_EVER)


#: What is searched to the end.
SOUND = {
    "an old and a new one": Setup(leaves=2, starts="ab", given_back=1),
    "three versions": Setup(engines="abc", fits="c", leaves=2, given_back=1, sent_again=1),
    "it fits nobody": Setup(engines="abc", fits="", leaves=1, starts="a", sent_again=1),
    "it fits who comes later": Setup(engines="ab", fits="c", starts="c", leaves=1),
    "one says none": Setup(engines="a?", fits="?", leaves=1, starts="a?"),
    "two, and one says none": Setup(engines="ab?", fits="b", leaves=2, starts="b"),
}

#: Rules that somebody might think of instead, and what each breaks.
VARIANTS = {
    "a door says what it didn't fit last": (
        Setup(engines="abc", fits="c", door_says="last"), TRIED_AGAIN,
    ),
    "a door says nothing": (Setup(door_says="none"), TRIED_AGAIN),
    "who was there before is asked": (Setup(engines="a", starts="b", looks_then=False), DIED_EARLY),
    "a door is never opened by who is named there": (
        Setup(leaves=1, opens_in_the_end=False), FOR_EVER,
    ),
    "who says none isn't waited for": (
        Setup(engines="a?", fits="?", waits_for_who_says_none=False), DIED_EARLY,
    ),
}  # fmt: skip
