"""A state of everything: the server, its engines and a client, and what is on its way between.

Requests and answers are messages. A request that is sent again gets a copy on a new
connection; the old one stays and may be executed at any later moment, its answer heard by
nobody. Faults are paid from a budget.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from props.protocol.server import Boot, CancelWord, Claim, Job, Rules, Sent, Server, Verb


class Budget(NamedTuple):
    """How many of each may happen."""

    resends: int = 0
    """A connection ends before the answer, and the request is sent again."""
    kills: int = 0
    """An engine's process is killed, and another takes its place."""
    reaps: int = 0
    """A living engine is paused for longer than its lease."""
    rollbacks: int = 0
    """The server comes back as it was at some earlier moment."""
    beats: int = 0
    stops: int = 0
    """An engine ends properly, and another takes its place."""
    odd: int = 0
    """Settlements that put a job back."""
    waits: int = 0
    """A step wants jobs where there are none: it waits for a bell at the server."""
    cancels: int = 0
    """The client doesn't want a job any more, wherever that is."""
    pauses: int = 0
    """Somebody pauses the jobs that take of the limit, until they say so or for a time."""


class Setup(NamedTuple):
    """What is searched: who takes part, and what may go wrong."""

    engines: int = 1
    queues: int = 1
    """Jobs are dealt to them in turn; every engine serves all, the first one first."""
    jobs: int = 1
    """Ready at the beginning."""
    new: int = 0
    """Enqueued by the client, one after the other."""
    budget: Budget = Budget()
    verbs: tuple[Verb, ...] = ("ack",)
    at_once: bool = True
    """A step settles all that its engine holds; else some jobs may run on."""
    endless: bool = False
    """Jobs run until they are asked to end."""
    want: int = 1
    limit: int = 0
    """So many of the jobs may run at the same time; 0: any number."""
    unbound: int = 0
    """Of so many of the jobs it isn't known at first that they take of the limit."""
    copies_survive: bool = False
    """Late copies outlive a rollback of the server."""
    rules: Rules = Rules()


class Process(NamedTuple):
    """An engine, as it sees itself."""

    boot: int = 0
    stage: Literal["new", "asked", "working", "leaving"] = "new"
    n: int = 0
    sent: Sent | None = None
    """The step that waits for its answer."""
    sends: int = 0
    held: frozenset[Claim] = frozenset()
    old: frozenset[Claim] = frozenset()
    """Claims of an earlier boot: always empty, but for a variant."""
    asked: int = 0
    """How many asks it has heard of."""
    heard: frozenset[tuple[Job, int]] = frozenset()
    """Jobs that it was asked to end, and the steps that claimed them."""


class Client(NamedTuple):
    """Enqueues and cancels; its sender numbers the writes."""

    number: int = 0
    next: Job = 0
    waiting: bool = False
    sends: int = 0
    cancels: Job | None = None
    """Whom it is cancelling; None: what it waits for is an enqueue."""
    told: frozenset[tuple[int, Job, CancelWord]] = frozenset()
    """How its cancels were answered: number, job, word."""


class Request(NamedTuple):
    """On its way to the server, or lying somewhere."""

    verb: Literal["register", "beat", "step", "sign_off", "reap", "enqueue", "cancel"]
    boot: Boot
    body: tuple[object, ...]
    copy: int
    live: bool
    """Whether its sender listens for the answer."""


class Answer(NamedTuple):
    """On its way back."""

    verb: Literal["register", "step", "sign_off", "enqueue", "cancel"]
    boot: Boot
    body: tuple[object, ...]


CLIENT: Boot = (-1, 0)


class World(NamedTuple):
    server: Server
    processes: tuple[Process, ...]
    client: Client
    net: frozenset[Request | Answer]
    left: Budget
    snapshot: Server | None = None
    starts: tuple[int, ...] = ()
    """How often each job has begun to run."""


def beginning(setup: Setup) -> World:
    """Jobs are ready; nobody is registered."""
    total = setup.jobs + setup.new
    none = (0,) * total
    server = Server(
        queues=setup.queues, limit=setup.limit, unbound=frozenset(range(setup.unbound)),
        reaps=none, ghost_claims=none, ghost_excused=none,
    )  # fmt: skip
    server = server._replace(ready=server.in_line(range(setup.jobs)))
    return World(
        server, (Process(),) * setup.engines, Client(next=setup.jobs), frozenset(), setup.budget,
        starts=none,
    )  # fmt: skip


def ended(world: World) -> bool:
    """Every job is done, dead or cancelled."""
    server = world.server
    return len(server.done) + len(server.dead) + len(server.cancelled) == len(world.starts)


def hung_up(net: frozenset[Request | Answer], who: int) -> frozenset[Request | Answer]:
    """The network after an engine, or the client, has closed its connection.

    Answers on it are lost. Requests may still be executed. Beats have a connection of their
    own, and nobody waits for their answer.
    """
    left = set[Request | Answer]()
    for message in net:
        if message.boot[0] != who:
            left.add(message)
        elif isinstance(message, Request):
            left.add(message._replace(live=False))
    return frozenset(left)
