"""Calls with one caller's id, searched state by state.

Each call enqueues, is told who has the id, and goes on as its mode says: it replaces that job, asks
for another run after it, or takes the id from a dead one. Each request may come at any later
moment, also after its caller is gone. Meanwhile jobs are claimed, end, fail and run again, die, are
revived and cancelled, and engines are reaped. Of two payloads the newer is the one that was taken
later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from props.protocol.walk import Found, Move, walk

OLD = "an older payload runs after a newer one"
BESIDE = "the next run runs beside the one before it"
TWO = "two wait under one id"
NOTHING = "an id is held by nothing"
LOST = "a call's payload never runs, and no newer one"
UNASKED = "a call supersedes a run that isn't asked to end"
DROPPED = "who runs isn't tried again, and nobody is its next run"
STUCK = "not every job can end, even if nothing else goes wrong"

Mode = Literal["existing", "replace", "again", "supersede"]


class Rules(NamedTuple):
    """What the scripts and the clients do."""

    running_is_replaced: bool = False
    take_compares: bool = True
    """From whom the id is taken has it, and runs by the claim that was seen."""
    in_one_write: bool = True
    """The new job is written and the id is its own, or neither."""
    is_last: bool = True
    """Who has lost its id isn't put back to a queue,"""
    as_long_as: Literal["the id is held", "its next run lives", "it was asked"] = "the id is held"
    """and for how long that is so."""
    has_back: bool = True
    """Who is put back has the id again."""
    revive_looks: bool = True
    """Nobody is revived whose id a live job has."""
    reap_looks: bool = True
    """Nor by a reap."""
    waits: bool = True
    """The new job waits for the end of the other one."""
    take_turns: bool = True
    """Whatever a call brings waits while another one that a call brought runs."""
    end_frees: bool = True
    """And that is then free."""
    end_compares: bool = True
    """Who ends lets its id go only if it has it."""
    pending_is_enough: bool = False
    """Who supersedes and finds the next run waiting leaves it at that."""
    quiet_stays_quiet: bool = True
    """A cancel of who was only asked quietly is heard."""


class Setup(NamedTuple):
    """What may happen."""

    modes: tuple[Mode, ...] = ("again", "again")
    """Of the calls, which may come at the same time."""
    fails: int = 0
    reaps: int = 0
    deaths: int = 0
    cancels: int = 0
    revivals: int = 0
    leaves: int = 0
    """Callers that don't wait for an answer."""
    id_dead: Literal["block", "free"] = "block"
    rules: Rules = Rules()


class Job(NamedTuple):
    """One that there ever was."""

    payload: int
    where: Literal["waits", "runs", "dead", "done", "cancelled"] = "waits"
    claim: int = 0
    """The last one of it."""
    ask: Literal["", "quiet", "loud"] = ""
    takes: bool = False
    """While it runs, it holds what others of the id wait for."""
    holds: bool = False
    after: int = -1
    """Which job it is the next run of."""
    is_revived: bool = False


class Request(NamedTuple):
    """On its way to the server."""

    what: Literal["enqueue", "replace", "dead", "again", "supersede", "stop"]
    caller: int
    job: int = -1
    claim: int = 0
    is_live: bool = True
    """Whether its caller waits for the answer."""


class Caller(NamedTuple):
    """A call as it goes on."""

    asks: Request | None = None
    is_over: bool = False


class State(NamedTuple):
    """The server, the calls, and what is under way between them."""

    left: Setup
    callers: tuple[Caller, ...]
    jobs: tuple[Job, ...] = ()
    holder: int = -1
    newest: int = 0
    """Of payloads that were taken, how many; and the number of the last."""
    started: int = 0
    """The newest one that was ever begun with."""
    unwanted: int = 0
    """The newest one that somebody has cancelled before it ran."""
    net: frozenset[Request] = frozenset()

    def job(self, at: int, **changes: object) -> State:
        """With this one changed."""
        jobs = list(self.jobs)
        jobs[at] = jobs[at]._replace(**changes)  # type: ignore[arg-type]
        return self._replace(jobs=tuple(jobs))


class Act(NamedTuple):
    """What the server does in a move."""

    what: Literal[
        "enqueue", "replace", "take", "claim", "done", "retry", "dead", "reap", "cancel", "revive"
    ]
    job: int
    """Of a take, whose id is taken; of an enqueue, the new one if there is one."""
    request: Request | None = None
    answer: str = ""


Way = tuple[Move[State], Act | None]


def beginning(setup: Setup) -> State:
    """Nobody has called."""
    return State(setup, (Caller(),) * len(setup.modes))


def ways(state: State, setup: Setup) -> Iterator[Way]:
    """All that can happen next, and what the server does in it."""
    for who, caller in enumerate(state.callers):
        if not caller.is_over and caller.asks is None:
            yield _move(_asks(state, Request("enqueue", who)), f"{who} calls"), None
        elif caller.asks is not None and (paid := _pay(state, "leaves")):
            left = caller.asks._replace(is_live=False)
            net = paid.net - {caller.asks} | {left}
            gone = _caller(paid._replace(net=net), who, Caller(is_over=True))
            yield _move(gone, f"{who} waits no longer", free=False), None
    for request in state.net:
        yield _executed(state._replace(net=state.net - {request}), setup, request)
    for at, job in enumerate(state.jobs):
        yield from _lives(state, setup, at, job)


def _move(state: State, text: str, *, free: bool = True, broken: str | None = None) -> Move[State]:
    return Move(state, text, free, broken)


def _pay(state: State, what: str) -> State | None:
    left = getattr(state.left, what) - 1
    return state._replace(left=state.left._replace(**{what: left})) if left >= 0 else None


def _caller(state: State, who: int, caller: Caller) -> State:
    return state._replace(callers=(*state.callers[:who], caller, *state.callers[who + 1 :]))


def _asks(state: State, request: Request) -> State:
    asking = _caller(state, request.caller, Caller(request))
    return asking._replace(net=asking.net | {request})


# -- what a call comes to ------------------------------------------------------------------------


def _executed(state: State, setup: Setup, request: Request) -> Way:
    """The server executes a request, and its caller hears of it, if it still waits."""
    what, who, at = request.what, request.caller, request.job
    if what == "enqueue":
        after, answer, act = _enqueued(state, setup, request)
    elif what == "replace":
        after, answer, act = _replaced(state, setup, request)
    elif what == "stop":
        after, answer, act = _stopped(state, request)
    else:
        after, answer, act = _taken(state, setup, request)
    text = f"the server executes {what} of {who}, seen {at}: {answer}"
    if request.is_live:
        after = _told(after, setup, request, answer)
    supersedes = request.is_live and setup.modes[who] == "supersede"
    is_done = after.callers[who].is_over and answer.startswith("replaced")
    broken = UNASKED if supersedes and is_done and _runs_on(after) else None
    return _move(after, text, free=request.is_live, broken=broken), act


def _runs_on(state: State) -> bool:
    """Whether the next run waits for one that nobody has asked to end."""
    before = _runs_before(state, state.jobs[state.holder])
    return before >= 0 and state.jobs[before].ask != "loud"


def _runs_before(state: State, job: Job) -> int:
    """Which one holds what this one waits for; -1: none."""
    holds = (at for at, other in enumerate(state.jobs) if other.holds and job.takes)
    return next(holds, -1)


def _told(state: State, setup: Setup, request: Request, answer: str) -> State:
    mode, who = setup.modes[request.caller], request.caller
    over, word = _caller(state, who, Caller(is_over=True)), answer.partition(" ")[0]
    if request.what == "enqueue" and word == "existing" and mode != "existing":
        return _asks(state, Request("replace", who, state.holder))
    if word == "moved":
        return _asks(state, Request("enqueue", who))
    if word == "dead" and setup.id_dead == "free":
        return _asks(state, Request("dead", who, request.job))
    if word == "running" and mode in ("again", "supersede"):
        return _asks(state, Request(mode, who, request.job, int(answer.split()[1])))
    if word == "replaced" and (runs := answer.split()[1:]) and not setup.rules.pending_is_enough:
        return _asks(state, Request("stop", who, int(runs[0])))
    return over


def _takes_turns(setup: Setup, request: Request) -> bool:
    return setup.rules.take_turns and setup.modes[request.caller] != "existing"


def _enqueued(state: State, setup: Setup, request: Request) -> tuple[State, str, Act]:
    if state.holder >= 0:
        return state, "existing", Act("enqueue", state.holder, request, "existing")
    state = _brought(state, takes=_takes_turns(setup, request))
    at = len(state.jobs) - 1
    return state._replace(holder=at), "ok", Act("enqueue", at, request, "ok")


def _brought(state: State, **more: object) -> State:
    """One more job, with the newest payload."""
    job = Job(state.newest + 1)._replace(**more)  # type: ignore[arg-type]
    return state._replace(jobs=(*state.jobs, job), newest=job.payload)


def _replaced(state: State, setup: Setup, request: Request) -> tuple[State, str, Act]:
    at, job, rules = request.job, state.jobs[request.job], setup.rules
    word = "replaced"
    if state.holder != at or job.where in ("done", "cancelled"):
        word = "moved"
    elif job.where == "dead":
        word = "dead"
    elif job.where == "runs" and not rules.running_is_replaced:
        word = f"running {job.claim}"
    if word == "replaced":
        takes = job.takes or rules.take_turns
        state = state.job(at, payload=state.newest + 1, takes=takes)
        state = state._replace(newest=state.newest + 1)
        if setup.modes[request.caller] == "supersede" and (runs := _runs_before(state, job)) >= 0:
            word = f"replaced {runs}"
    return state, word, Act("replace", at, request, word)


def _stopped(state: State, request: Request) -> tuple[State, str, Act | None]:
    """As any cancel."""
    at = request.job
    match state.jobs[at].where:
        case "runs":
            return state.job(at, ask="loud"), "asked", Act("cancel", at)
        case "waits":
            return _over(state, Rules(), at, "cancelled"), "cancelled", Act("cancel", at)
    return state, "nothing to do", None


def _taken(state: State, setup: Setup, request: Request) -> tuple[State, str, Act]:
    rules = setup.rules
    at, job, what = request.job, state.jobs[request.job], request.what
    is_seen = job.where == "runs" and job.claim == request.claim
    is_seen = job.where == "dead" if what == "dead" else is_seen
    if rules.take_compares and not (is_seen and state.holder == at):
        return state, "moved", Act("take", at, request, "moved")
    if what == "dead":
        state = _brought(state, takes=_takes_turns(setup, request))
    else:
        ask = "loud" if what == "supersede" else job.ask or "quiet"
        state = state.job(
            at, ask=ask if job.where == "runs" else "", takes=True, holds=job.where == "runs"
        )
        state = _brought(state, takes=rules.waits, after=at)
    if rules.in_one_write:
        state = state._replace(holder=len(state.jobs) - 1)
    return state, "ok", Act("take", at, request, "ok")


# -- what becomes of jobs ------------------------------------------------------------------------


def _lives(state: State, setup: Setup, at: int, job: Job) -> Iterator[Way]:
    rules = setup.rules
    if job.where == "waits":
        others = any(other.holds for i, other in enumerate(state.jobs) if i != at)
        if not (job.takes and others):
            yield _claimed(state, at, job)
        if paid := _pay(state, "cancels"):
            over = _over(paid, rules, at, "cancelled")
            over = over._replace(unwanted=max(over.unwanted, job.payload))
            yield _move(over, f"{at} is cancelled", free=False), Act("cancel", at)
    elif job.where == "dead" and (paid := _pay(state, "revivals")):
        if rules.revive_looks and _is_held(paid, at):
            yield _move(paid, f"{at} stays dead", free=False), Act("revive", at, answer="refused")
        else:
            revived = paid.job(at, where="waits", is_revived=True)
            revived = _has_back(revived, rules, at)
            yield _move(revived, f"{at} is revived", free=False), Act("revive", at)
    elif job.where == "runs":
        yield _move(_over(state, rules, at, "done"), f"{at} is done"), Act("done", at)
        if paid := _pay(state, "fails"):
            back, broken = _back(paid, rules, at, job, looks=rules.is_last)
            text = f"{at} fails, and is to run again"
            yield _move(back, text, free=False, broken=broken), Act("retry", at)
        if paid := _pay(state, "reaps"):
            looks = rules.is_last and rules.reap_looks
            back, broken = _back(paid, rules, at, job, looks=looks)
            text = f"the engine of {at} is reaped"
            yield _move(back, text, free=False, broken=broken), Act("reap", at)
        if paid := _pay(state, "deaths"):
            dead = paid.job(at, where="dead", holds=job.holds and not rules.end_frees, ask="")
            yield _move(dead, f"{at} dies", free=False), Act("dead", at)
        if job.ask != "loud" and (paid := _pay(state, "cancels")):
            heard = rules.quiet_stays_quiet or not job.ask
            asked = paid.job(at, ask="loud" if heard else job.ask)
            broken = None if heard else "a cancel isn't heard"
            yield (
                _move(asked, f"{at} is asked to end", free=False, broken=broken),
                Act("cancel", at),
            )


def _claimed(state: State, at: int, job: Job) -> Way:
    broken = None
    if not job.is_revived and job.payload < state.started:
        broken = OLD
    for i, other in enumerate(state.jobs):
        if other.where == "runs" and (job.after == i or _take_turns(state, job, other)):
            broken = BESIDE
    state = state.job(at, where="runs", claim=job.claim + 1, holds=job.takes)
    state = state._replace(started=max(state.started, job.payload))
    return _move(state, f"{at} is claimed", broken=broken), Act("claim", at)


def _take_turns(state: State, job: Job, other: Job) -> bool:
    """Whether both came with a mode that says so."""
    brought = {mode != "existing" for mode in state.left.modes}
    return brought == {True} and not (job.is_revived or other.is_revived)


def _lives_still(job: Job) -> bool:
    return job.where in ("waits", "runs")


def _is_held(state: State, at: int) -> bool:
    """Whether another job has the id, and lives."""
    return state.holder not in (-1, at) and _lives_still(state.jobs[state.holder])


def _has_back(state: State, rules: Rules, at: int) -> State:
    return state if _is_held(state, at) or not rules.has_back else state._replace(holder=at)


def _back(
    state: State, rules: Rules, at: int, job: Job, *, looks: bool
) -> tuple[State, str | None]:
    """To its queue, unless it was asked to end; and what that breaks."""
    counts = {
        "": False,
        "loud": True,
        "quiet": {
            "the id is held": _is_held(state, at),
            "its next run lives": any(j.after == at and _lives_still(j) for j in state.jobs),
            "it was asked": True,
        }[rules.as_long_as],
    }[job.ask]
    if looks and counts:
        broken = DROPPED if job.ask == "quiet" and not _is_held(state, at) else None
        return _over(state, rules, at, "cancelled"), broken
    back = state.job(at, where="waits", holds=job.holds and not rules.end_frees, ask="")
    return _has_back(back, rules, at), None


def _over(state: State, rules: Rules, at: int, how: str) -> State:
    holds = state.jobs[at].holds and not rules.end_frees
    state = state.job(at, where=how, holds=holds, ask="")
    if state.holder == at or not rules.end_compares:
        state = state._replace(holder=-1)
    return state


# -- what is promised --------------------------------------------------------------------------


def _broken(state: State) -> str | None:
    if sum(job.where == "waits" for job in state.jobs) > 1:
        return TWO
    if state.holder >= 0 and state.jobs[state.holder].where in ("done", "cancelled"):
        return NOTHING
    promised = max((job.payload for job in state.jobs if job.where == "waits"), default=0)
    if max(promised, state.started, state.unwanted) < state.newest:
        return LOST
    return None


def _is_over(state: State) -> bool:
    is_told = all(caller.is_over for caller in state.callers)
    return is_told and not any(job.where in ("waits", "runs") for job in state.jobs)


def moves(state: State, setup: Setup) -> Iterator[Move[State]]:
    """All that can happen next."""
    return (move for move, _ in ways(state, setup))


def search(setup: Setup) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken."""
    step: Callable[[State], Iterator[Move[State]]] = partial(moves, setup=setup)
    return walk(beginning(setup), step, broken=_broken, is_over=_is_over, stuck=STUCK)


#: What is searched to the end.
SOUND = {
    "calls for one more run": Setup(("again", "again", "again"), fails=1, leaves=1),
    "calls that supersede": Setup(("supersede", "again", "supersede"), fails=1),
    "runs that fail": Setup(("again", "again", "again"), fails=2, cancels=1),
    "engines that are reaped": Setup(("again", "supersede"), reaps=2, fails=1, leaves=2),
    "a run that dies, and is revived": Setup(
        ("again", "again", "again"), deaths=2, revivals=1, fails=1
    ),
    "whoever is dead loses its id": Setup(
        ("again", "supersede", "replace"), deaths=1, revivals=1, id_dead="free", leaves=1
    ),
    "cancels": Setup(("again", "again", "again"), cancels=2, fails=1),
    "cancels, and engines that are reaped": Setup(
        ("again", "supersede", "again"), cancels=2, reaps=1, fails=1, deaths=1, revivals=1
    ),
    "every mode": Setup(("existing", "replace", "again", "supersede"), fails=1),
    "who calls leaves": Setup(("replace", "again", "again"), leaves=2, reaps=1),
}

#: Rules that somebody might think of instead, and what each breaks.
VARIANTS = {
    "who runs is replaced": (
        Setup(("replace", "replace"), rules=Rules(running_is_replaced=True)), LOST,
    ),
    "an id is taken from whoever has it by then": (
        Setup(("again", "again"), fails=1, rules=Rules(take_compares=False)), TWO,
    ),
    "a job takes the id in a second write": (
        Setup(("again", "again", "again"), rules=Rules(in_one_write=False)), TWO,
    ),
    "who fails runs again though a newer one waits": (
        Setup(("again", "again"), fails=1, rules=Rules(is_last=False)), TWO,
    ),
    "a reap doesn't look whether a newer one waits": (
        Setup(("again", "again"), reaps=1, rules=Rules(reap_looks=False)), TWO,
    ),
    "the next run doesn't wait": (
        Setup(("again", "again"), rules=Rules(waits=False)), BESIDE,
    ),
    "a run keeps what the next one waits for": (
        Setup(("again", "again"), rules=Rules(end_frees=False)), STUCK,
    ),
    "whoever ends lets the id go": (
        Setup(("again", "again", "again"), rules=Rules(end_compares=False)), TWO,
    ),
    "who finds the next run waiting asks nobody to end": (
        Setup(("again", "again", "supersede"), rules=Rules(pending_is_enough=True)), UNASKED,
    ),
    "who fails isn't tried again though its next run was cancelled": (
        Setup(("again", "again"), fails=1, cancels=1, rules=Rules(as_long_as="it was asked")),
        DROPPED,
    ),
    "who fails looks for the run that was asked for, and not for who has the id": (
        Setup(
            ("again", "again", "again"),
            fails=1, cancels=1, rules=Rules(as_long_as="its next run lives"),
        ), TWO,
    ),
    "who is tried again hasn't its id back": (
        Setup(("again", "again", "again"), fails=1, cancels=1, rules=Rules(has_back=False)), TWO,
    ),
    "who comes once the next run was cancelled waits for nobody": (
        Setup(("again", "again", "again"), cancels=1, rules=Rules(take_turns=False)), BESIDE,
    ),
    "whoever is dead is revived": (
        Setup(
            ("again", "again"),
            deaths=1, revivals=1, id_dead="free", rules=Rules(revive_looks=False),
        ), TWO,
    ),
    "a quiet ask can't be made louder": (
        Setup(("again", "again"), cancels=1, rules=Rules(quiet_stays_quiet=False)),
        "a cancel isn't heard",
    ),
}  # fmt: skip
