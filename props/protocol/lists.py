"""Which schedules there are while deployments come and go, searched state by state.

Engines of deployments with different lists, or with none, are started, stopped, killed and reaped
in any order; they say what they list, and bring it if they are asked. A request may be executed
again and late, an answer may be lost, hours pass, and a client puts and removes one of the names.
The decision is the model's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import attrs

from props.protocol.walk import Found, Move, walk
from trioq.core.model.declarations import Declaration
from trioq.core.model.listing import Listing
from trioq.core.model.schedules import Schedules
from trioq.core.schedules.listed import NOTHING, Heard, Listed, SaidList, Unlisted

COMES_BACK = "an older list holds while engines with the newer live"
OF_THE_DEAD = "an engine that is gone changed something"
CLIENTS = "what a client has put is changed"
TOO_EARLY = "a schedule is retired within an hour"
LIVES_ON = "a schedule that is retired makes ticks"
NOT_WHOLE = "there is something else than all engines list"
UNTOLD = "an engine hasn't heard of a schedule that isn't listed any more"

APP = "app"
HOUR_MS = 3_600_000
FAR_MS = 1 << 50
MINE = b"mine"

#: What deployments list, by their digests: each row is its own.
LISTS = {NOTHING: (), "1": ("a",), "2": ("a", "b")}


class Asked(NamedTuple):
    """What the rule goes by, besides what is listed."""

    schedules: Schedules
    boot: str
    said: SaidList
    live: set[str]
    now_ms: int


Hear = Callable[[Listing, Asked], Heard]


class Engine(NamedTuple):
    """A boot."""

    boot: str
    has: str
    is_asked: bool = False
    """For what it lists."""
    is_alive: bool = True
    """Else it is known until it is reaped."""
    told: frozenset[Unlisted] = frozenset()


class Request(NamedTuple):
    """A copy that comes late."""

    boot: str
    has: str
    with_rows: bool


class Server(NamedTuple):
    """What is kept."""

    boots: tuple[tuple[str, str], ...] = ()
    known: tuple[tuple[str, int | None], ...] = ()
    """What was heard of, and since when nobody says it."""
    held: str | None = None
    owned: frozenset[str] = frozenset()
    unlisted: tuple[Unlisted, ...] = ()
    rows: tuple[tuple[str, bytes], ...] = ()
    ticks: frozenset[str] = frozenset()

    @property
    def holds(self) -> str | None:
        return self.known[-1][0] if self.known else None


class State(NamedTuple):
    """The server, the engines, and what may still happen."""

    starts: int
    kills: int = 0
    late: int = 0
    lost: int = 0
    clients: int = 0
    hours: int = 1
    now: int = 0
    server: Server = Server()
    engines: tuple[Engine, ...] = ()
    net: tuple[Request, ...] = ()
    had: frozenset[str] = frozenset()
    """Digests that were heard of, and not gone since."""

    @property
    def live(self) -> set[str]:
        return {each.boot for each in self.engines}


def moves(state: State, hear: Hear) -> Iterator[Move[State]]:
    """All that can happen next."""
    if state.starts and len(state.engines) < 2:
        for has in LISTS:
            began = Engine(f"{state.starts}", has)
            after = state._replace(starts=state.starts - 1, engines=(*state.engines, began))
            # It says something before anything else of it can happen, or dies unheard.
            yield from _says(after, began, hear)
    for engine in state.engines:
        if engine.is_alive:
            yield from _says(state, engine, hear)
            yield Move(_without(state, engine), f"{engine} signs off")
            if state.kills:
                dead = _with(state, engine._replace(is_alive=False))
                yield Move(dead._replace(kills=state.kills - 1), f"{engine} is killed")
        else:
            yield Move(_without(state, engine), f"{engine} is reaped")
    for request in state.net:
        rest = tuple(each for each in state.net if each != request)
        after, _, broken = _executed(state._replace(net=rest), request, hear)
        yield Move(after, f"late: {request}", True, broken)
    if state.hours:
        # Who hasn't come back by now doesn't.
        had = state.had & {each.has for each in state.engines}
        yield Move(state._replace(hours=state.hours - 1, now=state.now + 1, had=had), "an hour")
    if state.clients:
        yield from _client(state._replace(clients=state.clients - 1))


def _says(state: State, engine: Engine, hear: Hear) -> Iterator[Move[State]]:
    request = Request(engine.boot, engine.has, engine.is_asked)
    after, heard, broken = _executed(state, request, hear)
    told = engine.told | set(heard.unlisted)
    answered = engine._replace(is_asked=heard.word == "rows", told=told)
    yield Move(_with(after, answered), f"{engine} says it", True, broken)
    if state.lost:
        yield Move(after._replace(lost=state.lost - 1), f"{engine} hears no answer", True, broken)
    if state.late:
        later = state._replace(late=state.late - 1, net=(*state.net, request))
        yield Move(later, f"{request} is on its way")


def _client(state: State) -> Iterator[Move[State]]:
    server, rows = state.server, dict(state.server.rows)
    for row in (MINE, b""):
        if "a" in server.owned or rows.get("a", b"") == row:
            continue
        changed = tuple(sorted({**rows, "a": row}.items())) if row else _but(server.rows, "a")
        ticks = server.ticks | {"a"} if row else server.ticks - {"a"}
        after = server._replace(rows=changed, ticks=ticks)
        yield Move(state._replace(server=after), "a client puts or removes a")


def _but(rows: tuple[tuple[str, bytes], ...], name: str) -> tuple[tuple[str, bytes], ...]:
    return tuple(each for each in rows if each[0] != name)


def _with(state: State, engine: Engine) -> State:
    engines = (engine if each.boot == engine.boot else each for each in state.engines)
    return state._replace(engines=tuple(engines))


def _without(state: State, engine: Engine) -> State:
    return state._replace(engines=tuple(e for e in state.engines if e.boot != engine.boot))


def _executed(state: State, asks: Request, hear: Hear) -> tuple[State, Heard, str | None]:
    listing, schedules = _loaded(state.server)
    listed = tuple(Listed(name, asks.has.encode(), FAR_MS) for name in LISTS[asks.has])
    said = SaidList(APP, asks.has, listed if asks.with_rows else None)
    heard = hear(listing, Asked(schedules, asks.boot, said, state.live, _ms(state)))
    after = state._replace(server=_kept(listing, schedules))
    after = after._replace(had=_heard_of(state, after, asks))
    return after, heard, _broken(state, after, asks)


def _loaded(server: Server) -> tuple[Listing, Schedules]:
    listing, schedules = Listing(), Schedules(rows=dict(server.rows))
    listing.boots = {boot: (has, APP) for boot, has in server.boots}
    if server.known:
        listing.known[APP] = [Declaration(has, 0, gone) for has, gone in server.known]
    if server.held is not None:
        listing.held[APP] = server.held
    listing.owners = dict.fromkeys(server.owned, APP)
    listing.unlisted = {each.name: each for each in server.unlisted}
    for name in server.ticks:
        schedules.ticks.put(name, FAR_MS)
    return listing, schedules


def _kept(listing: Listing, schedules: Schedules) -> Server:
    return Server(
        tuple(sorted((boot, has) for boot, (has, _) in listing.boots.items())),
        tuple((each.said, each.gone_ms) for each in listing.known.get(APP, ())),
        listing.held.get(APP),
        frozenset(listing.owners),
        tuple(each for _, each in sorted(listing.unlisted.items())),
        tuple(sorted(schedules.rows.items())),
        frozenset(name for name, _ in schedules.ticks.items()),
    )


def _heard_of(before: State, after: State, asks: Request) -> frozenset[str]:
    """What isn't new. A deployment that was undone is new when it comes again."""
    had, held = before.had, before.server.holds
    if asks.boot not in before.live:
        return had
    if held is not None and after.server.holds != held and held not in _lists_of(before):
        had -= {held}
    return had | {asks.has}


def _lists_of(state: State) -> set[str]:
    return {each.has for each in state.engines}


def _ms(state: State) -> int:
    return state.now * HOUR_MS


def _broken(state: State, later: State, asks: Request) -> str | None:
    """The promise that a request broke."""
    before, after = state.server, later.server
    if asks.boot not in state.live:
        return OF_THE_DEAD if after != before else None
    said = dict(before.boots)
    live = {each.has for each in state.engines if each.boot in said}
    is_known = asks.has in state.had
    if asks.has == NOTHING:  # which nobody remembers, until there is a list
        is_known &= NOTHING in said.values() or NOTHING in dict(before.known)
    if before.holds != after.holds and before.holds in live and is_known:
        return COMES_BACK
    if (dict(before.rows).get("a") == MINE) != (dict(after.rows).get("a") == MINE):
        return CLIENTS
    since = {each.name: each.since_ms for each in before.unlisted}
    hour_ago_ms = (state.now - 1) * HOUR_MS
    if any(since.get(n, hour_ago_ms + 1) > hour_ago_ms for n in before.ticks - after.ticks):
        return TOO_EARLY
    retired = {each.name for each in after.unlisted if each.retired_ms is not None}
    return LIVES_ON if retired & after.ticks else None


def _at_its_end(state: State) -> State:
    """Who died is reaped, and nothing more happens."""
    living = tuple(each for each in state.engines if each.is_alive)
    return State(0, hours=0, now=state.now, server=state.server, engines=living)


def _ends_wrong(state: State, hear: Hear) -> str | None:
    """What is wrong once everybody has said it a few times."""
    for _ in range(3):
        for _ in range(3):
            for boot in sorted(state.live):
                engine = next(each for each in state.engines if each.boot == boot)
                state = next(_says(state, engine, hear)).state
        news = {e for e in state.server.unlisted if (e.retired_ms or e.since_ms) == _ms(state)}
        if any(news - each.told for each in state.engines):
            return UNTOLD
        state = state._replace(now=state.now + 1)
    server = state.server
    if len(_lists_of(state)) == 1:
        (has,) = _lists_of(state)
        rows = dict(server.rows)
        wanted = {name for name in LISTS[has] if rows.get(name) != MINE}
        there = server.owned - {each.name for each in server.unlisted}
        if there != wanted or any(rows.get(name) != has.encode() for name in wanted):
            return NOT_WHOLE
    return None


def search(start: State, hear: Hear | None = None) -> tuple[int, Found | None]:
    """How many states can be reached, and the first broken promise."""
    rule = hear or model

    @cache
    def ends_wrong(state: State) -> str | None:
        return _ends_wrong(state, rule)

    return walk(
        start,
        lambda state: moves(state, rule),
        broken=lambda state: ends_wrong(_at_its_end(state)),
        is_over=lambda state: True,
        stuck="",
    )


def model(listing: Listing, asked: Asked) -> Heard:
    """The rule itself."""
    return _hears_all(listing, asked) if asked.boot in asked.live else Heard("gone")


# -- rules that somebody might think of instead ---------------------------------------------------


def _told_once(listing: Listing, asked: Asked) -> Heard:
    """News are answered to who finds them."""
    before = set(listing.unlisted.values())
    heard = model(listing, asked)
    return attrs.evolve(heard, unlisted=tuple(e for e in heard.unlisted if e not in before))


def _is_put(listing: Listing, asked: Asked) -> Heard:
    """A list is put once, whoever has some of its names."""
    heard = model(listing, asked)
    listing.held = {app: digest.lstrip("~") for app, digest in listing.held.items()}
    return heard


def _hears_all(listing: Listing, asked: Asked) -> Heard:
    """A boot that isn't registered is heard."""
    live = asked.live | {asked.boot}
    return listing.hear(asked.boot, asked.said, live, asked.schedules, asked.now_ms)


def _of_all(listing: Listing, asked: Asked) -> Heard:
    """Whoever says something last has it."""
    listing.known.pop(asked.said.app, None)
    return model(listing, asked)


def _at_once(listing: Listing, asked: Asked) -> Heard:
    """What isn't listed any more is retired at once."""
    heard = model(listing, asked)
    for name in listing.unlisted:
        asked.schedules.ticks.drop(name)
    return heard


def _takes(listing: Listing, asked: Asked) -> Heard:
    """What is listed is the app's."""
    for each in asked.said.schedules or ():
        listing.owners.setdefault(each.name, asked.said.app)
    return model(listing, asked)


#: What is searched to the end.
SOUND = {
    "three are started": State(starts=3, hours=0),
    "engines are killed": State(starts=2, kills=1),
    "time passes": State(starts=2, hours=2),
    "answers are lost": State(starts=2, lost=1),
    "requests come late": State(starts=2, late=1, hours=0),
    "a client has a name": State(starts=2, clients=2, hours=0),
}

#: And what each of these breaks.
VARIANTS: dict[str, tuple[State, Hear, str]] = {
    "news are told once": (State(starts=2), _told_once, UNTOLD),
    "a list is put once": (State(starts=1, clients=2), _is_put, NOT_WHOLE),
    "who is gone is heard": (State(starts=2, late=1), _hears_all, OF_THE_DEAD),
    "whoever says something last has it": (State(starts=2), _of_all, COMES_BACK),
    "what isn't listed is retired at once": (State(starts=2), _at_once, TOO_EARLY),
    "what is listed is the app's": (State(starts=1, clients=1), _takes, CLIENTS),
}
