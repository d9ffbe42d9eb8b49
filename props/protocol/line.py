"""Who waits for room in a queue that is full, searched state by state.

Some clients enqueue into one queue and wait in line where there is no room. Requests may be sent
again, executed late or never, what is told may be lost, a client may leave, die or be silent for
long. Never is anything enqueued twice, nor by who was told that it isn't, nor more than fits, nor
before who waits longer; and whoever is first and fits has a way in on which nothing else goes
wrong, though nobody makes more room.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

from props.protocol.walk import Found, Move, walk

TWICE = "jobs are enqueued twice"
TOLD_NO = "told that there was no room, and they are enqueued"
TOLD_YES = "told that they are enqueued, and they aren't"
TOO_MANY = "more jobs are in a queue than there may be"
OVERTAKEN = "somebody took the room of one who waits longer"
WAITS_FOR_EVER = "there is room, and the first one waits for ever"


class Rules(NamedTuple):
    """What the scripts and the clients do."""

    refusals_are_remembered: bool = True
    """A number that found no room never enqueues anything."""
    resends_have_their_number: bool = True
    newcomers_look: bool = True
    """Who has no place in line finds no room that is kept for others."""
    silent_are_passed: bool = True
    """Who hasn't asked for long isn't waited for."""
    first_is_told: bool = True
    """Who asks, and is the first one, is to try."""
    checks: bool = True
    """Who waits asks now and then."""


class Setup(NamedTuple):
    """Who wants what, and what may go wrong."""

    wants: tuple[int, ...] = (1, 1)
    """How many jobs each client enqueues, at once."""
    most: int = 1
    """The queue's max length."""
    there: int = 1
    claims: int = 2
    """How many jobs are claimed, one after the other."""
    resends: int = 0
    lost: int = 0
    """What is told of room."""
    deaths: int = 0
    leaves: int = 0
    """Clients that wait no longer, and say so."""
    silences: int = 0
    """Clients that live and aren't heard of for so long that nobody waits for them."""
    rules: Rules = Rules()


class Place(NamedTuple):
    """A place in line."""

    nth: int
    who: int
    is_told: bool = False
    is_silent: bool = False
    """It isn't waited for any more."""


class Request(NamedTuple):
    """On its way to the server."""

    verb: Literal["enqueue", "ask", "step aside"]
    who: int
    number: int = 0
    """Behind the last one that the server knows of this client: 0 is that again."""
    nth: int = 0
    is_live: bool = True
    """Whether the client waits for the answer."""


class Answer(NamedTuple):
    """On its way back: where it is in line now, or a word."""

    who: int
    word: Literal["ok", "wait", "room", "live"]
    nth: int = 0


class Client(NamedTuple):
    """As it knows itself."""

    stage: Literal["tries", "enqueues", "waits", "asks", "is through", "has left", "is dead"] = (
        "tries"
    )
    number: int = 0
    """Of its last write, behind the last one that the server knows."""
    nth: int = 0


class Known(NamedTuple):
    """What the server knows of a client: how its last write was answered."""

    word: Literal["", "ok", "wait"] = ""
    nth: int = 0


class State(NamedTuple):
    """The server, the clients, and what is under way between them."""

    left: Setup
    clients: tuple[Client, ...]
    known: tuple[Known, ...]
    enqueued: tuple[int, ...]
    """How often the jobs of each were."""
    there: int
    line: tuple[Place, ...] = ()
    lined_up: int = 0
    net: frozenset[Request | Answer] = frozenset()
    told: frozenset[int] = frozenset()
    """Who is being told of room."""


IS_OUT = ("is through", "has left", "is dead")


def beginning(setup: Setup) -> State:
    """Nobody has tried yet."""
    n = len(setup.wants)
    return State(setup, (Client(),) * n, (Known(),) * n, (0,) * n, setup.there)


def moves(state: State, setup: Setup) -> Iterator[Move[State]]:
    """All that can happen next."""
    for who, client in enumerate(state.clients):
        if client.stage not in IS_OUT:
            yield from _client(state, setup, who, client)
    for message in state.net:
        rest = state._replace(net=state.net - {message})
        if isinstance(message, Answer):
            yield _answered(rest, setup, message)
            continue
        executed, broken = _executed(rest, setup, message)
        yield Move(executed, f"the server: {message}", message.is_live, broken)
    for who in state.told:
        rest = state._replace(told=state.told - {who})
        if state.clients[who].stage in ("waits", "asks"):
            yield Move(_tries(rest, who), f"client {who} is told of room")
        if lost := _pay(rest, "lost"):
            yield Move(lost, f"client {who} isn't told of room", False)
    if state.there and (paid := _pay(state, "claims")):
        claimed = _makes_way(paid._replace(there=paid.there - 1), setup)
        yield Move(claimed, "a job is claimed", False)
    yield from _silences(state, setup)


def _pay(state: State, what: str) -> State | None:
    left = getattr(state.left, what) - 1
    return state._replace(left=state.left._replace(**{what: left})) if left >= 0 else None


def _with(state: State, who: int, client: Client) -> State:
    clients = (*state.clients[:who], client, *state.clients[who + 1 :])
    return state._replace(clients=clients)


def _send(state: State, message: Request | Answer) -> State:
    return state._replace(net=state.net | {message})


def _tries(state: State, who: int) -> State:
    """It is to try; what it asks is of no interest."""
    return _with(_hung_up(state, who), who, state.clients[who]._replace(stage="tries"))


def _hung_up(state: State, who: int) -> State:
    """Nobody waits for what is under way of a client any more; its writes may still come."""
    net = set[Request | Answer]()
    for message in state.net:
        if message.who != who:
            net.add(message)
        elif isinstance(message, Request) and message.verb != "ask":
            net.add(message._replace(is_live=False))
    return state._replace(net=frozenset(net))


def _client(state: State, setup: Setup, who: int, client: Client) -> Iterator[Move[State]]:
    if client.stage == "tries":
        sends = client._replace(stage="enqueues", number=client.number + 1)
        request = Request("enqueue", who, sends.number, client.nth)
        yield Move(_send(_with(state, who, sends), request), f"client {who} enqueues")
    elif client.stage == "enqueues" and (paid := _pay(state, "resends")):
        more = not setup.rules.resends_have_their_number
        again = client._replace(number=client.number + more)
        request = Request("enqueue", who, again.number, client.nth)
        hung = _with(_hung_up(paid, who), who, again)
        yield Move(_send(hung, request), f"client {who} has no answer, and sends it again", False)
    elif client.stage == "waits":
        if setup.rules.checks:
            asks = _with(state, who, client._replace(stage="asks"))
            yield Move(_send(asks, Request("ask", who)), f"client {who} asks")
        if paid := _pay(state, "leaves"):
            leaves = _with(paid, who, client._replace(stage="has left"))
            request = Request("step aside", who, is_live=False)
            yield Move(_send(leaves, request), f"client {who} steps aside", False)
    if paid := _pay(state, "deaths"):
        dies = _with(_hung_up(paid, who), who, client._replace(stage="is dead"))
        yield Move(dies, f"client {who} dies", False)


def _answered(state: State, setup: Setup, answer: Answer) -> Move[State]:
    who, client, broken = answer.who, state.clients[answer.who], None
    if answer.word == "room":
        return Move(_tries(state, who), f"client {who} is answered: room")
    if answer.word == "ok":
        broken = None if state.enqueued[who] else TOLD_YES
        client = client._replace(stage="is through")
    else:
        nth = answer.nth or client.nth
        client = client._replace(stage="waits", nth=nth)
    text = f"client {who} is answered: {answer.word} {answer.nth}"
    return Move(_with(state, who, client), text, broken=broken)


def _silences(state: State, setup: Setup) -> Iterator[Move[State]]:
    for at, place in enumerate(state.line):
        if place.is_silent or not setup.rules.silent_are_passed:
            continue
        is_out = state.clients[place.who].stage in IS_OUT
        paid = state if is_out else _pay(state, "silences")
        if paid:
            line = (*paid.line[:at], place._replace(is_silent=True), *paid.line[at + 1 :])
            text = f"client {place.who} hasn't asked for long"
            yield Move(paid._replace(line=line), text, is_out)


# -- the scripts -------------------------------------------------------------------------------


def _executed(state: State, setup: Setup, request: Request) -> tuple[State, str | None]:
    """The state after it, and the promise that it breaks."""
    if request.verb == "enqueue":
        return _enqueue(state, setup, request)
    if request.verb == "step aside":
        line = tuple(place for place in state.line if place.who != request.who)
        return _makes_way(state._replace(line=line), setup), None
    return _ask(state, setup, request.who), None


def _ask(state: State, setup: Setup, who: int) -> State:
    mine = _place_of(state, who)
    if mine is None:
        return _send(state, Answer(who, "room"))  # nobody is in line by this name
    heard = mine._replace(is_silent=False)
    state = _first_ones(state._replace(line=tuple(sorted({*state.line} - {mine} | {heard}))))
    is_first = setup.rules.first_is_told and state.line[0] == heard
    return _send(state, Answer(who, "room" if is_first or mine.is_told else "live"))


def _enqueue(state: State, setup: Setup, request: Request) -> tuple[State, str | None]:
    who, number, rules = request.who, request.number, setup.rules
    known = state.known[who]
    if number <= 0:  # again, or old: then nobody waits for the answer
        if request.is_live and known.word:
            state = _send(state, Answer(who, known.word, known.nth))
        return state, None
    mine = _place_of(state, who)
    nth = mine.nth if mine else request.nth
    before = [p for p in state.line if not p.is_silent and (not nth or p.nth < nth)]
    ahead = sum(setup.wants[place.who] for place in before)
    jobs = setup.wants[who]
    line = tuple(place for place in state.line if place.who != who)
    looks = nth or rules.newcomers_look
    if state.there + jobs + (ahead if looks else 0) > setup.most:
        if not nth:
            nth = state.lined_up + 1
            state = state._replace(lined_up=nth)
        state = state._replace(line=tuple(sorted((*line, Place(nth, who)))))
        if rules.refusals_are_remembered:
            state = _remembered(state, who, number, Known("wait", nth))
        return (_send(state, Answer(who, "wait", nth)) if request.is_live else state), None
    enqueued = tuple(times + (each == who) for each, times in enumerate(state.enqueued))
    state = state._replace(there=state.there + jobs, enqueued=enqueued, line=line)
    broken = OVERTAKEN if before and state.there + ahead > setup.most else None
    state = _makes_way(_remembered(state, who, number, Known("ok")), setup)
    return (_send(state, Answer(who, "ok")) if request.is_live else state), broken


def _place_of(state: State, who: int) -> Place | None:
    return next((place for place in state.line if place.who == who), None)


def _remembered(state: State, who: int, number: int, known: Known) -> State:
    """This is the client's last number. Copies of earlier ones do nothing any more."""
    net = set[Request | Answer]()
    for message in state.net:
        if not (isinstance(message, Request) and message.who == who and message.number):
            net.add(message)
        elif message.number > number or message.is_live:
            net.add(message._replace(number=message.number - number))
    client = state.clients[who]
    state = _with(state, who, client._replace(number=max(0, client.number - number)))
    every = (*state.known[:who], known, *state.known[who + 1 :])
    return state._replace(net=frozenset(net), known=every)


def _first_ones(state: State) -> State:
    """Those go that haven't asked for themselves for too long."""
    return state._replace(line=tuple(place for place in state.line if not place.is_silent))


def _makes_way(state: State, setup: Setup) -> State:
    """Who fits is told."""
    state = _first_ones(state)
    length, line = state.there, list(state.line)
    for at, place in enumerate(line):
        length += setup.wants[place.who]
        if length > setup.most:
            break
        if not place.is_told:
            line[at] = place._replace(is_told=True)
            state = state._replace(told=state.told | {place.who})
    return state._replace(line=tuple(line))


# -- what is promised --------------------------------------------------------------------------


def _broken(state: State, setup: Setup) -> str | None:
    if max(state.enqueued) > 1:
        return TWICE
    if state.there > setup.most:
        return TOO_MANY
    left = (client.stage == "has left" for client in state.clients)
    if any(times and has_left for times, has_left in zip(state.enqueued, left, strict=True)):
        return TOLD_NO
    return None


def _is_over(state: State, setup: Setup) -> bool:
    """Whether nobody has a way in but by what others do: all others are out, or wait and don't
    fit."""
    waits = [
        (client.nth, who) for who, client in enumerate(state.clients) if client.stage not in IS_OUT
    ]
    if any(state.clients[who].stage != "waits" for _, who in waits):
        return False
    return not waits or state.there + setup.wants[min(waits)[1]] > setup.most


def search(setup: Setup) -> tuple[int, Found | None]:
    """How many states can be reached, and the first of them in which a promise is broken."""
    return walk(
        beginning(setup),
        partial(moves, setup=setup),
        broken=partial(_broken, setup=setup),
        is_over=partial(_is_over, setup=setup),
        stuck=WAITS_FOR_EVER,
    )


#: What is searched to the end.
SOUND = {
    "nothing goes wrong": Setup((1, 1, 1), claims=3),
    "one wants more than is free": Setup((2, 1, 1), most=2, there=2, claims=3),
    "requests are sent again": Setup(resends=2),
    "what is told is lost": Setup(lost=2, resends=1),
    "one dies": Setup((1, 1, 1), deaths=1, claims=1),
    "the one that dies doesn't fit": Setup((2, 1), most=2, there=2, deaths=1, claims=1, lost=1),
    "one leaves": Setup((1, 1, 1), leaves=1, claims=1),
    "one leaves, and a request comes late": Setup(leaves=1, resends=1, lost=1),
    "one is silent": Setup(silences=1, resends=1),
}

#: Rules that somebody might think of instead, and what each breaks.
VARIANTS = {
    "who found no room may have its number executed later": (
        Setup(leaves=1, resends=1, rules=Rules(refusals_are_remembered=False)), TOLD_NO,
    ),
    "an enqueue that is sent again has another number": (
        Setup((1,), there=0, resends=1, most=2, rules=Rules(resends_have_their_number=False)),
        TWICE,
    ),
    "who comes doesn't look at who waits": (
        Setup(rules=Rules(newcomers_look=False)), OVERTAKEN,
    ),
    "who doesn't ask any more is waited for": (
        Setup(deaths=1, rules=Rules(silent_are_passed=False)), WAITS_FOR_EVER,
    ),
    "who waits is told by a push only": (Setup(lost=1, rules=Rules(checks=False)), WAITS_FOR_EVER),
    "who asks is told only what it was told before": (
        Setup((2, 1), most=2, there=2, deaths=1, claims=1, rules=Rules(first_is_told=False)),
        WAITS_FOR_EVER,
    ),
}  # fmt: skip
