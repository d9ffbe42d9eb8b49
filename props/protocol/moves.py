"""Everything that can happen next, with its price."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Literal, NamedTuple, cast

from props.protocol import server as scripts
from props.protocol.server import Boot, CancelWord, Claim, Job, Queue, Reply, Sent, Settlement
from props.protocol.world import (
    CLIENT,
    Answer,
    Client,
    Process,
    Request,
    Setup,
    World,
    hung_up,
)

#: Settlements that don't end a job well: each is paid for.
ODD = {*scripts.RETURNS, "cancel"} - {"bind"}


class Move(NamedTuple):
    """One thing that happens."""

    world: World
    text: str
    about: tuple[Any, ...] = ()
    free: bool = True
    """No fault: it may be relied on to happen."""
    broken: str | None = None
    """The promise that it broke."""
    executes: Request | None = None
    """What the server does in it."""

    def __str__(self) -> str:
        return self.text.format(*self.about)


def moves(world: World, setup: Setup) -> Iterator[Move]:
    """All that can happen next."""
    for who, process in enumerate(world.processes):
        yield from _engine(world, setup, who, process)
    yield from _client(world, setup)
    for message in world.net:
        if isinstance(message, Request):
            yield from _executed(world, setup, message)
        elif message.boot == CLIENT:
            yield _written(world, message)
        else:
            yield from _answered(world, setup, message)
    yield from _reaper(world, setup)
    yield from _rollback(world, setup)
    if world.server.rest == "rests":
        over = world.server._replace(rest="over")
        yield Move(world._replace(server=over), "the limit has rested")
    yield from _operator(world, setup)


def pay(world: World, what: str) -> World | None:
    """The world in which one more of this has happened; None: there were enough."""
    left = getattr(world.left, what) - 1
    return world._replace(left=world.left._replace(**{what: left})) if left >= 0 else None


def _with(world: World, who: int, process: Process) -> World:
    processes = list(world.processes)
    processes[who] = process
    return world._replace(processes=tuple(processes))


def _send(world: World, *requests: Request) -> World:
    return world._replace(net=world.net | set(requests))


def _waits_for_nothing(world: World, who: int) -> bool:
    """Whether no answer will come on the connection that this one listens to."""
    return not any(
        m.boot[0] == who and (isinstance(m, Answer) or (m.live and m.verb != "beat"))
        for m in world.net
    )


# -- an engine ---------------------------------------------------------------------------------


def _engine(world: World, setup: Setup, who: int, process: Process) -> Iterator[Move]:
    boot = (who, process.boot)
    if process.stage == "new":
        asked = _with(world, who, process._replace(stage="asked"))
        yield Move(
            _send(asked, Request("register", boot, (), 0, True)),
            "engine {} sends register",
            (boot,),
        )
        return
    if process.stage == "working" and process.sent is None:
        yield from _next_step(world, setup, who, process)
        if stopped := pay(world, "stops"):
            yield Move(
                _signs_off(stopped, who, process), "engine {} stops: sends sign_off", (boot,),
                free=False,
            )  # fmt: skip
    else:
        lost = _waits_for_nothing(world, who)
        if broken := world if lost else pay(world, "resends"):
            hung = broken._replace(net=hung_up(broken.net, who))
            yield from _unanswered(hung, setup, who, process, free=lost)
            if setup.rules.waiting_is_replaced and _is_waiting(process) and process.held:
                yield _replaces(hung, who, process)
    if killed := pay(world, "kills"):
        killed = killed._replace(net=hung_up(killed.net, who))
        yield Move(
            _with(killed, who, Process(process.boot + 1)),
            "engine {} is killed",
            (boot,),
            free=False,
        )
    if process.stage == "working" and (beating := pay(world, "beats")):
        request = Request("beat", boot, (), world.left.beats, True)
        yield Move(_send(beating, request), "engine {} sends beat", (boot,), free=False)


def _unanswered(
    world: World, setup: Setup, who: int, process: Process, *, free: bool
) -> Iterator[Move]:
    """The connection is gone: what an engine does about its request."""
    boot, rules = (who, process.boot), setup.rules
    sends = process.sends + 1
    again = process._replace(sends=sends)
    if process.stage == "asked":
        if rules.register_resent:
            request = Request("register", boot, (), sends, True)
            yield Move(
                _send(_with(world, who, again), request), "engine {} sends register again", (boot,),
                free,
            )  # fmt: skip
        else:
            yield Move(
                _with(world, who, Process(process.boot + 1)),
                "engine {} had no answer to register: takes a new boot", (boot,), free,
            )  # fmt: skip
    elif process.stage == "leaving":
        yield Move(_signs_off(world, who, process), "engine {} sends sign_off again", (boot,), free)
        yield Move(
            _with(world, who, Process(process.boot + 1)),
            "engine {} had no answer to sign_off: leaves the rest to the reapers", (boot,), free,
        )  # fmt: skip
    elif process.sent is not None and not rules.resends:
        yield Move(
            _with(world, who, process._replace(sent=None)), "engine {} gives step {} up",
            (boot, process.n), free,
        )  # fmt: skip
    elif process.sent is not None:
        sent = process.sent
        if rules.resend_grows:
            all_of_it = tuple(_settlement("ack", claim) for claim in sorted(process.held))
            sent = sent._replace(settlements=all_of_it)
            again = again._replace(sent=sent)
        request = Request("step", boot, sent, sends, True)
        yield Move(
            _send(_with(world, who, again), request), "engine {} sends step {} again",
            (boot, sent.n), free,
        )  # fmt: skip


def _is_waiting(process: Process) -> bool:
    """Whether its step in flight only waits for something to claim."""
    sent = process.sent
    return sent is not None and sent.want > 0 and not sent.settlements


def _replaces(world: World, who: int, process: Process) -> Move:
    """A job has ended meanwhile: its number carries that now."""
    all_of_it = tuple(_settlement("ack", claim) for claim in sorted(process.held))
    free_again = process._replace(n=process.n - 1)
    return _makes_step(world, who, free_again, Sent(process.n, 0, False, all_of_it), free=False)


def _signs_off(world: World, who: int, process: Process) -> World:
    """It has read where its jobs came from; its claims and what is in flight are void."""
    boot, sends = (who, process.boot), process.sends + 1
    leaving = Process(process.boot, "leaving", sends=sends, old=process.old)
    request = Request("sign_off", boot, (world.server.queues_of(boot),), sends, True)
    return _send(_with(world, who, leaving), request)


def _next_step(world: World, setup: Setup, who: int, process: Process) -> Iterator[Move]:
    """Every useful step: what is held is settled in every way, or runs on."""
    boot, server = (who, process.boot), world.server
    holds = sorted(process.held | process.old)
    suspect = not (setup.rules.one_suspect and any(claim.suspect for claim in process.held))
    claimable = bool(server.ready or server.parked or server.scheduled)
    may_start = server.rest != "rests" and server.pause != "paused"
    has_slots = not server.limit or (server.slots < server.limit and may_start)
    claimable |= bool(server.open) or server.rest == "over" or server.pause == "over"
    claimable |= suspect and has_slots and bool(server.suspects)
    claimable |= suspect and not server.unbound.isdisjoint(server.suspects)
    limited = bool(server.room or server.suspects)  # what is settled here is handed on
    for settlements in _ways_to_settle(holds, process, setup):
        odd = _odd(settlements, setup)
        if odd > world.left.odd:
            continue
        for want in {0, setup.want if claimable or (settlements and limited) else 0}:
            if not settlements and not want:
                continue
            sent = Sent(process.n + 1, want, suspect, settlements)
            yield _makes_step(world, who, process, sent, odd=odd)
    known = server.of(boot)
    if setup.endless and known is not None and known.asked != process.asked:
        # A beat was answered with the count of its asks.
        yield _makes_step(world, who, process, Sent(process.n + 1, 0, suspect, ()))
    if not claimable and (waiting := pay(world, "waits")):
        # What comes while it waits for a bell is claimed at that moment, whatever is by then.
        waits = Sent(process.n + 1, setup.want, suspect, ())
        yield _makes_step(waiting, who, process, waits, free=False)
    if not holds and not claimable and _is_news(server, boot, setup):
        # The poll of an idle engine; one that would change nothing is left out.
        yield _makes_step(world, who, process, Sent(process.n + 1, 0, suspect, ()))


def _is_news(server: scripts.Server, boot: Boot, setup: Setup) -> bool:
    return server.of(boot) is None or (setup.rules.self_check and bool(server.held_by(boot)))


def _odd(settlements: tuple[Settlement, ...], setup: Setup) -> int:
    """How many of them have to be paid for; not those that were asked for."""
    return 0 if setup.endless else sum(s.verb in ODD for s in settlements)


def _makes_step(
    world: World, who: int, process: Process, sent: Sent, *, odd: int = 0, free: bool = True
) -> Move:
    boot = (who, process.boot)
    sent = sent._replace(asked=process.asked)
    free = free and not odd
    world = world._replace(left=world.left._replace(odd=world.left.odd - odd))
    sender = process._replace(n=sent.n, sent=sent, sends=1)
    what = [f"{s.verb} {s.job}" for s in sent.settlements]
    return Move(
        _send(_with(world, who, sender), Request("step", boot, sent, 1, True)),
        "engine {} sends step {}: {}, wants {}", (boot, sent.n, what, sent.want), free,
    )  # fmt: skip


def _ways_to_settle(
    holds: list[Claim], process: Process, setup: Setup
) -> Iterator[tuple[Settlement, ...]]:
    if setup.endless:
        holds = [claim for claim in holds if (claim.job, claim.n) in process.heard]
    choices = [[_settlement(verb, claim) for verb in _verbs(claim, setup)] for claim in holds]
    if not setup.at_once:
        for some in product(*([*each, None] for each in choices)):
            yield tuple(filter(None, some))
        return
    if holds:
        yield ()
    yield from product(*choices)


def _verbs(claim: Claim, setup: Setup) -> tuple[scripts.Verb, ...]:
    """Of one that takes nothing its engine finds out what it takes."""
    is_bound_now = claim.is_unbound and setup.rules.unbound_are_bound
    return ("bind",) if is_bound_now else setup.verbs


def _settlement(verb: scripts.Verb, claim: Claim) -> Settlement:
    return Settlement(verb, claim.job, claim.n, claim.ghost_claim)


def _answered(world: World, setup: Setup, answer: Answer) -> Iterator[Move]:
    """An engine gets an answer."""
    who = answer.boot[0]
    process = world.processes[who]
    world = world._replace(net=world.net - {answer})
    if answer.verb == "register":
        known = process._replace(stage="working", sends=0)
        yield Move(_with(world, who, known), "engine {} is registered", (answer.boot,))
    elif answer.verb == "sign_off" and answer.body == ("look again",):
        yield Move(
            _signs_off(world, who, process), "engine {} is told to look again", (answer.boot,)
        )
    elif answer.verb == "sign_off":
        fresh = Process(process.boot + 1, old=process.old)
        yield Move(_with(world, who, fresh), "engine {} has signed off", (answer.boot,))
    else:
        yield _step_answered(world, setup, who, cast(Reply, answer.body[0]))


def _step_answered(world: World, setup: Setup, who: int, reply: Reply) -> Move:
    process, rules = world.processes[who], setup.rules
    sent, boot = process.sent, (who, process.boot)
    assert sent is not None
    if reply.word in ("gone", "old"):
        broken = None
        if process.sends == 1 and _accepted(world, sent.settlements):
            broken = "told lost, and it was accepted"
        elif (
            boot not in world.server.ghost_reaped and world.left.rollbacks == setup.budget.rollbacks
        ):
            broken = "an engine lost its boot for no reason"
        world = world._replace(net=hung_up(world.net, who))
        if rules.same_boot_again:
            again = Process(process.boot, n=process.n)
            if rules.replays_outcomes:
                again = again._replace(old=process.held | process.old)
            text = "engine {} is told {}: registers again"
            return Move(_with(world, who, again), text, (boot, reply.word), broken=broken)
        if rules.replays_outcomes:
            process = process._replace(old=process.held | process.old)
        text = "engine {} is told {}: throws its boot away, sends sign_off"
        leaving = _signs_off(world, who, process._replace(sends=0))
        return Move(leaving, text, (boot, reply.word), broken=broken)
    settled = {(s.job, s.n, s.ghost_claim) for s in sent.settlements}
    held = {c for c in process.held if (c.job, c.n, c.ghost_claim) not in settled}
    held |= set(reply.claims)
    starts = list(world.starts)
    started = [
        claim for claim in reply.claims if not (claim.is_unbound and rules.unbound_are_bound)
    ]
    for claim in started:
        starts[claim.job] += 1
    world = world._replace(starts=tuple(starts))
    process = process._replace(
        sent=None, sends=0, held=frozenset(held), asked=reply.asked,
        heard=frozenset(
            each for each in process.heard | reply.asks if each in {(c.job, c.n) for c in held}
        ),
        old=frozenset(c for c in process.old if (c.job, c.n, c.ghost_claim) not in settled),
    )  # fmt: skip
    claimed, refused = [c.job for c in started], sorted(reply.refused)
    text, about = (
        "engine {} is told {}: starts {}, refused {}",
        (boot, reply.word, claimed, refused),
    )
    if rules.self_check and reply.held != len(held):
        world = _signs_off(world, who, process)
        text += "; the count differs: it signs off"
    else:
        world = _with(world, who, process)
    broken = _untrue(world, sent.settlements, reply)
    if any(claim.is_unbound for claim in started):
        broken = "a job runs without what it takes of its limit"
    return Move(world, text, about, broken=broken)


def _accepted(world: World, settlements: tuple[Settlement, ...]) -> bool:
    return any((s.job, s.ghost_claim) in world.server.ghost_accepted for s in settlements)


def _untrue(world: World, settlements: tuple[Settlement, ...], reply: Reply) -> str | None:
    for s in settlements:
        accepted = (s.job, s.ghost_claim) in world.server.ghost_accepted
        if accepted and s.job in reply.refused:
            return "told lost, and it was accepted"
        if not accepted and s.job not in reply.refused:
            return "told accepted, and it was refused"
        stopped = (s.job, s.ghost_claim) in world.server.ghost_stopped
        if stopped and s.job not in reply.cancelled:
            return "told put back, and it was cancelled"
        if not stopped and s.job in reply.cancelled:
            return "told cancelled, and it was not"
    return None


# -- the client --------------------------------------------------------------------------------


def _client(world: World, setup: Setup) -> Iterator[Move]:
    client = world.client
    if client.waiting:
        lost = _waits_for_nothing(world, CLIENT[0])
        if broken := world if lost else pay(world, "resends"):
            again = client._replace(sends=client.sends + 1)
            if setup.rules.client_renumbers:
                again = again._replace(number=client.number + 1)
            hung = broken._replace(net=hung_up(broken.net, CLIENT[0]))
            yield Move(_writes(hung, again), "{} is sent again", (_what(client),), lost)
        return
    sent = client._replace(number=client.number + 1, waiting=True, sends=1)
    if client.next < len(world.starts):
        yield Move(_writes(world, sent), "the client sends {}", (_what(sent),))
    if paid := pay(world, "cancels"):
        for job in range(client.next):
            cancels = sent._replace(cancels=job)
            yield Move(
                _writes(paid, cancels), "the client sends {}", (_what(cancels),), setup.endless
            )


def _what(client: Client) -> str:
    return f"enqueue {client.next}" if client.cancels is None else f"cancel {client.cancels}"


def _writes(world: World, client: Client) -> World:
    """The client sends what it waits for; it has read which engines there are."""
    if client.cancels is None:
        body: tuple[object, ...] = (client.number, client.next)
        request = Request("enqueue", CLIENT, body, client.sends, True)
    else:
        boots = frozenset(known.boot for known in world.server.boots)
        body = (client.number, client.cancels, boots)
        request = Request("cancel", CLIENT, body, client.sends, True)
    return _send(world._replace(client=client), request)


def _written(world: World, answer: Answer) -> Move:
    """The client gets an answer."""
    world, client = world._replace(net=world.net - {answer}), world.client
    idle = client._replace(waiting=False, sends=0, cancels=None)
    job = client.cancels
    if job is None:
        world = world._replace(client=idle._replace(next=client.next + 1))
        return Move(world, "the client is told that {} is enqueued", (client.next,))
    (word,) = cast(tuple[CancelWord | Literal["look again"]], answer.body)
    if word == "look again":
        again = _writes(world, client._replace(sends=client.sends + 1))
        return Move(again, "the client is told to look again for cancel {}", (job,))
    told = client.told | {(client.number, job, word)}
    return Move(
        world._replace(client=idle._replace(told=told)), "the client is told of cancel {}: {}",
        (job, word),
    )  # fmt: skip


# -- the server --------------------------------------------------------------------------------


def _executed(world: World, setup: Setup, request: Request) -> Iterator[Move]:
    """The server executes a request: in time, or when nobody listens any more."""
    boot, rules = request.boot, setup.rules
    late = "" if request.live else " (a late copy)"
    server, text, about, broken = world.server, "", (), None
    answer: tuple[object, ...] | None = ()
    match request.verb:
        case "register":
            server, text = scripts.register(server, boot), "register of {0}"
        case "beat":
            server, text, answer = scripts.beat(server, boot, rules), "beat of {0}", None
        case "sign_off":
            (queues,) = cast(tuple[frozenset[Queue]], request.body)
            server, word = scripts.sign_off(server, boot, queues, rules)
            text, about, answer = "sign_off of {0}: {2}", (word,), (word,)
        case "enqueue":
            number, job = cast(tuple[int, Job], request.body)
            server = scripts.enqueue(server, number, job, rules)
            text, about = "enqueue {2} as number {3}", (job, number)
        case "cancel":
            number, job, boots = cast(tuple[int, Job, frozenset[Boot]], request.body)
            server, cancelled = scripts.cancel(server, number, job, boots, rules)
            text, about = "cancel {2} as number {3}: {4}", (job, number, cancelled)
            answer = (cancelled,)
        case "step":
            sent = cast(Sent, request.body)
            server, reply, broken = scripts.step(server, boot, sent, rules)
            text, about, answer = "step {2} of {0}: {3}", (sent.n, reply.word), (reply,)
        case "reap":
            seen, queues = cast(tuple[int, frozenset[Queue]], request.body)
            server, word, broken = _reaped(server, boot, seen, queues, setup)
            text, about, answer = "reap of {0}, seen at {2}: {3}", (seen, word), None
    net = world.net - {request}
    if request.live and answer is not None:
        net |= {Answer(cast(Any, request.verb), boot, answer)}
    yield Move(
        world._replace(server=server, net=net), "the server executes " + text + "{1}",
        (boot, late, *about), request.live, broken, request,
    )  # fmt: skip


def _reaped(
    server: scripts.Server, boot: Boot, seen: int, queues: frozenset[Queue], setup: Setup
) -> tuple[scripts.Server, scripts.Word, str | None]:
    known = server.of(boot)
    after, word, blamed = scripts.reap(server, boot, seen, queues, setup.rules)
    if len(blamed) > 1:
        return after, word, "one crash was blamed on two jobs"
    if word == "ok" and known is not None and known.beats != seen:
        return after, word, "an engine that had shown signs of life since was reaped"
    return after, word, None


def _reaper(world: World, setup: Setup) -> Iterator[Move]:
    """Somebody has seen a counter stand still for a lease."""
    for known in world.server.boots:
        who, number = known.boot
        process = world.processes[who]
        queues = world.server.queues_of(known.boot)
        if process.boot == number and process.stage != "new":
            if process.stage == "asked":
                continue  # its lease has only begun
            # Where its jobs came from was read before, maybe when it held none.
            for read in {queues, frozenset[Queue]()}:
                request = Request("reap", known.boot, (known.beats, read), 0, True)
                if request not in world.net and (paused := pay(world, "reaps")):
                    yield Move(
                        _send(paused, request),
                        "engine {} is paused: somebody sends its reap, knows of its queues {}",
                        (known.boot, sorted(read)), free=False,
                    )  # fmt: skip
            continue
        request = Request("reap", known.boot, (known.beats, queues), 0, False)
        server, _, broken = _reaped(world.server, known.boot, known.beats, queues, setup)
        yield Move(
            world._replace(server=server), "the dead engine {} is reaped", (known.boot,),
            broken=broken, executes=request,
        )  # fmt: skip


def _operator(world: World, setup: Setup) -> Iterator[Move]:
    """Somebody pauses what takes of the limit; that is resumed, or its time is over."""
    server = world.server
    if server.pause == "paused":
        resumed = scripts.resume(server, told=setup.rules.resume_is_told)
        yield Move(world._replace(server=resumed), "somebody resumes the key")
        over = server._replace(pause="over")
        yield Move(world._replace(server=over), "the pause of the key is over")
    elif paused := pay(world, "pauses"):
        server = server._replace(pause="paused")
        yield Move(paused._replace(server=server), "somebody pauses the key", free=False)


def _rollback(world: World, setup: Setup) -> Iterator[Move]:
    if not setup.budget.rollbacks:
        return
    if world.snapshot is None:
        if world.left.rollbacks:
            yield Move(
                world._replace(snapshot=world.server), "the server writes itself down", free=False
            )
        return
    back = pay(world, "rollbacks")
    if back is None:
        return
    now = world.server
    server = world.snapshot._replace(
        ghost_claims=now.ghost_claims, ghost_accepted=now.ghost_accepted,
        ghost_excused=now.ghost_excused, ghost_reaped=now.ghost_reaped,
        ghost_asked=now.ghost_asked,
    )  # fmt: skip
    late = {m._replace(live=False) for m in world.net if isinstance(m, Request)}
    net = frozenset(late) if setup.copies_survive else frozenset()
    yield Move(
        back._replace(server=server, net=net, snapshot=None),
        "the server comes back as it was", free=False,
    )  # fmt: skip
