"""The server, as far as the protocol goes: its verbs are the scripts, its state plain values.

Jobs are small integers, dealt to the queues in turn; each queue has one parked list. A list
holds the jobs of all queues, those of the first queue first. Fields named ``ghost_…`` exist
only in the model: they remember what really happened, so that properties can ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Job = int
Queue = int
Boot = tuple[int, int]
"""An engine's process, and which of its registrations."""

MAX_REAPS = 2

Verb = Literal["ack", "retry", "dead", "release", "park", "cancel", "rest", "bind"]
"""``rest`` is a release that lets the limit rest, ``bind`` one that says what the job takes."""
VERBS: tuple[Verb, ...] = ("ack", "retry", "dead", "release", "park", "cancel")
RETURNS: tuple[Verb, ...] = ("retry", "release", "park", "rest", "bind")
"""Those that put a job back."""

#: So many suspects of a queue are looked at, the next ones first.
LOOKED = 16


class Rules(NamedTuple):
    """What the server and the engines do; the defaults are trioq's, all else is a variant."""

    # the server
    numbers: Literal["strict", "ignored", "repeats known", "gaps allowed"] = "strict"
    beat_registers: bool = False
    reap_compares: bool = True
    senders_are_numbered: bool = True
    blames_all: bool = False
    looks_again: bool = True
    cancel_looks_again: bool = True
    asks_are_remembered: bool = True
    returns_look_at_asks: bool = True
    reap_looks_at_asks: bool = True
    sign_off_looks_at_asks: bool = True
    cancelled_is_remembered: bool = True
    asks_are_repeated: bool = True
    sign_off_names: Literal["boot", "engine"] = "boot"
    limit_is_kept: bool = True
    reap_frees: bool = True
    sign_off_frees: bool = True
    refused_free_nothing: bool = True
    repeats_take_nothing: bool = True
    freed_is_told: bool = True
    rest_is_kept: bool = True
    rest_end_is_told: bool = True
    bindings_are_noted: bool = True
    pause_is_kept: bool = True
    resume_is_told: bool = True
    pause_end_is_told: bool = True
    # the engines
    resends: bool = True
    register_resent: bool = False
    same_boot_again: bool = False
    resend_grows: bool = False
    waiting_is_replaced: bool = False
    replays_outcomes: bool = False
    one_suspect: bool = True
    self_check: bool = True
    unbound_are_bound: bool = True
    client_renumbers: bool = False


class Entry(NamedTuple):
    """A running job: whose it is, and by which claim."""

    boot: Boot
    n: int
    i: int
    job: Job
    suspect: bool
    ghost_claim: int
    is_unbound: bool = False
    """It takes nothing of the limit, since nobody had said what it takes."""


class Registered(NamedTuple):
    """What the server knows of a boot."""

    boot: Boot
    n: int
    refused: frozenset[Job]
    beats: int
    cancelled: frozenset[Job] = frozenset()
    """Whom its last step would have put back, and cancelled."""
    asked: int = 0
    """How many asks it was ever sent."""


class Ask(NamedTuple):
    """Somebody doesn't want a running job: whose it is, by which claim, and as which ask."""

    boot: Boot
    job: Job
    n: int
    nth: int
    ghost_number: int
    """The write that asked."""


class Settlement(NamedTuple):
    """One settlement of a step."""

    verb: Verb
    job: Job
    n: int
    ghost_claim: int


class Sent(NamedTuple):
    """A step, as it is sent."""

    n: int
    want: int
    suspect: bool
    settlements: tuple[Settlement, ...]
    asked: int = 0
    """How many asks its engine has heard of."""


class Claim(NamedTuple):
    """A job that an engine holds."""

    job: Job
    n: int
    suspect: bool
    ghost_claim: int
    is_unbound: bool = False


Word = Literal["ok", "gone", "alive", "look again"]
CancelWord = Literal["cancelled", "asked", "dead", "unknown"]


class Reply(NamedTuple):
    """A step's answer."""

    word: Literal["ok", "again", "old", "gone"]
    refused: frozenset[Job] = frozenset()
    claims: tuple[Claim, ...] = ()
    held: int = 0
    cancelled: frozenset[Job] = frozenset()
    asked: int = 0
    asks: frozenset[tuple[Job, int]] = frozenset()
    """Jobs and the steps that claimed them."""


class Server(NamedTuple):
    """All of it. Lists have their oldest first, queue by queue; in ``ready``, cancelled jobs lie
    until a claim passes over them."""

    queues: int = 1
    ready: tuple[Job, ...] = ()
    suspects: tuple[Job, ...] = ()
    parked: tuple[Job, ...] = ()
    scheduled: tuple[Job, ...] = ()
    limit: int = 0
    """So many jobs may run at the same time; 0: any number."""
    unbound: frozenset[Job] = frozenset()
    """Those of which nobody has said that they take of it."""
    slots: int = 0
    """How many claims hold one of the limit's."""
    room: tuple[Job, ...] = ()
    """Those that the limit has refused, by age."""
    open: frozenset[Queue] = frozenset()
    """Queues with somebody in the room whom somebody should look at."""
    rest: Literal["none", "rests", "over"] = "none"
    """Whether nobody may start for a time, whatever is free; when that is over, a step sees it."""
    pause: Literal["none", "paused", "over"] = "none"
    """The same of what somebody has paused: the jobs that take this value of the limit's key."""
    running: frozenset[Entry] = frozenset()
    asks: frozenset[Ask] = frozenset()
    boots: frozenset[Registered] = frozenset()
    done: tuple[Job, ...] = ()
    dead: tuple[Job, ...] = ()
    cancelled: tuple[Job, ...] = ()
    dropped: frozenset[Job] = frozenset()
    """The cancelled ones that still lie in ``ready`` or ``parked``."""
    sender: int = 0
    answer: CancelWord | None = None
    """How the sender's last write was answered, if that was a cancel."""
    reaps: tuple[int, ...] = ()
    ghost_claims: tuple[int, ...] = ()
    """How often each job was claimed."""
    ghost_accepted: frozenset[tuple[Job, int]] = frozenset()
    """Claims whose settlement was accepted."""
    ghost_excused: tuple[int, ...] = ()
    """How often each job was put back by its own engine, or taken from it by a reap."""
    ghost_reaped: frozenset[Boot] = frozenset()
    ghost_cancels: frozenset[tuple[int, Job]] = frozenset()
    """The writes that have cancelled something, at once or later, and what."""
    ghost_asked: frozenset[tuple[Job, int]] = frozenset()
    """Claims that were asked to end."""
    ghost_bound: frozenset[Job] = frozenset()
    """Those whose takes an engine has found out."""
    ghost_stopped: frozenset[tuple[Job, int]] = frozenset()
    """Claims whose settlement would have put the job back, and cancelled it."""

    def of(self, boot: Boot) -> Registered | None:
        return next((r for r in self.boots if r.boot == boot), None)

    def held_by(self, boot: Boot) -> list[Entry]:
        """In the order of the claims."""
        return sorted(e for e in self.running if e.boot == boot)

    def queues_of(self, boot: Boot) -> frozenset[Queue]:
        """Where the jobs came from that it holds: what a reap or a sign-off reads first."""
        return frozenset(e.job % self.queues for e in self.running if e.boot == boot)

    def ask_of(self, entry: Entry) -> Ask | None:
        """What somebody asked of this claim."""
        mine = (entry.boot, entry.job, entry.n)
        return next((ask for ask in self.asks if ask[:3] == mine), None)

    def in_line(self, jobs: Iterable[Job]) -> tuple[Job, ...]:
        """Queue by queue; within each, in this order."""
        return tuple(sorted(jobs, key=lambda job: job % self.queues))

    def places(self, job: Job) -> int:
        """In how many places a job is."""
        lists = (
            self.suspects, self.scheduled, self.room, self.done, self.dead, self.cancelled,
            [each for each in self.ready + self.parked if each not in self.dropped],
        )  # fmt: skip
        return sum(each.count(job) for each in lists) + sum(e.job == job for e in self.running)


def register(server: Server, boot: Boot) -> Server:
    """``again`` and ``ok`` look alike to who sends it: it learns that it is registered."""
    if server.of(boot):
        return server
    return server._replace(boots=server.boots | {Registered(boot, 0, frozenset(), 0)})


def beat(server: Server, boot: Boot, rules: Rules) -> Server:
    known = server.of(boot)
    if known is None:
        return register(server, boot) if rules.beat_registers else server
    return _known(server, known, known._replace(beats=known.beats + 1))


def step(server: Server, boot: Boot, sent: Sent, rules: Rules) -> tuple[Server, Reply, str | None]:
    """The state after it, the answer, and what the fence let through that it shouldn't have."""
    n, _, _, settlements, _ = sent
    known = server.of(boot)
    if known is None:
        return server, Reply("gone"), None
    if rules.numbers != "ignored":
        if n == known.n:
            again = _again(server, known, sent, rules)
            if not rules.repeats_take_nothing and server.limit:
                server = server._replace(slots=server.slots + len(again.claims))
            return server, again, None
        if rules.numbers != "repeats known" and n < known.n:
            return server, Reply("old"), None
        if rules.numbers == "strict" and n != known.n + 1:
            return server, Reply("gone"), None
    server, refused, stopped, wrong = _settle(server, boot, settlements, rules)
    ready = server.in_line(server.ready + server.scheduled)
    server = _rested(server._replace(ready=ready, scheduled=()), rules)
    if server.pause == "over":
        server = resume(server, told=rules.pause_end_is_told)
    claim = _claim_limited if server.limit else _claim
    server, claims = claim(server, boot, sent, rules)
    takes = not all(claim.is_unbound for claim in claims)
    if takes and server.rest == "rests":
        wrong = "a job was started while its limit rests"
    if takes and server.pause == "paused":
        wrong = "a job was started while its key is paused"
    after = known._replace(n=n, refused=refused, beats=known.beats + 1, cancelled=stopped)
    server = _known(server, known, after)
    asks = _news(server, after, sent)
    held = len(server.held_by(boot))
    return server, Reply("ok", refused, claims, held, stopped, after.asked, asks), wrong


def reap(
    server: Server, boot: Boot, seen: int, queues: frozenset[Queue], rules: Rules
) -> tuple[Server, Word, list[Job]]:
    """The state after it, the answer, and who was blamed.

    Args:
      queues: The ones in its KEYS: where its sender thinks that the jobs came from.
    """
    known = server.of(boot)
    if known is None:
        return server, "gone", []
    if rules.reap_compares and known.beats != seen:
        return server, "alive", []
    entries = server.held_by(boot)
    if rules.looks_again and not server.queues_of(boot) <= queues:
        return server, "look again", []
    if rules.reap_frees:
        server = _freed(server, entries, rules)
    asked = [e for e in entries if rules.reap_looks_at_asks and server.ask_of(e)]
    server, alone = _stopped(server, asked), len(entries) == 1
    entries = [e for e in entries if e not in asked]
    blamed = [e.job for e in entries if e.suspect or alone or rules.blames_all]
    reaps = tuple(r + (job in blamed) for job, r in enumerate(server.reaps))
    died = tuple(job for job in blamed if reaps[job] >= MAX_REAPS)
    back = tuple(e.job for e in entries if e.job not in died and e.job % server.queues in queues)
    for entry in entries:
        if not entry.is_unbound:
            server = _excused(server, entry.job)
    server = server._replace(
        suspects=server.in_line(back + server.suspects),
        dead=_sorted(server.dead + died),
        reaps=reaps,
        ghost_reaped=server.ghost_reaped | {boot},
    )
    return _without(server, known), "ok", blamed


def sign_off(
    server: Server, boot: Boot, queues: frozenset[Queue], rules: Rules
) -> tuple[Server, Word]:
    """The state after it, and the answer. KEYS are as in a reap."""
    known = server.of(boot)
    if rules.sign_off_names == "engine":
        known = next((r for r in server.boots if r.boot[0] == boot[0]), None)
    if known is None:
        return server, "gone"
    if rules.looks_again and not server.queues_of(known.boot) <= queues:
        return server, "look again"
    entries = server.held_by(known.boot)
    if rules.sign_off_frees:
        server = _freed(server, entries, rules)
    asked = [e for e in entries if rules.sign_off_looks_at_asks and server.ask_of(e)]
    server = _stopped(server, asked)
    back = [e for e in entries if e not in asked and e.job % server.queues in queues]
    return _without(_put_back(server, back), known), "ok"


def resume(server: Server, *, told: bool) -> Server:
    """Nothing is paused any more; whoever has waited will be looked at, if that is told."""
    return _looked_into(server, told)._replace(pause="none")


def enqueue(server: Server, number: int, job: Job, rules: Rules) -> Server:
    if number <= server.sender and rules.senders_are_numbered:
        return server
    ready = server.in_line((*server.ready, job))
    return server._replace(ready=ready, sender=max(number, server.sender), answer=None)


def cancel(
    server: Server, number: int, job: Job, boots: frozenset[Boot], rules: Rules
) -> tuple[Server, CancelWord | Literal["look again", "old"]]:
    """The state after it, and the answer.

    Args:
      boots: Those whose running jobs are among its KEYS: all that its sender has read of.
    """
    if number < server.sender:
        return server, "old"
    if number == server.sender:
        assert server.answer is not None, "a number is one write's"
        return server, server.answer
    word = _cancel_word(server, job, boots, rules)
    if word == "look again":
        return server, word
    if word == "asked":
        server = _asked(server, number, job)
        if not rules.asks_are_remembered:
            return server, word
    elif word == "cancelled":
        lies = job in server.ready or job in server.parked
        left = {each % server.queues for each in _except(server.room, {job})}
        server = server._replace(
            open=server.open & left,
            cancelled=_sorted((*server.cancelled, job)),
            dropped=server.dropped | {job} if lies else server.dropped,
            suspects=_except(server.suspects, {job}), scheduled=_except(server.scheduled, {job}),
            room=_except(server.room, {job}),
            ghost_cancels=server.ghost_cancels | {(number, job)},
        )  # fmt: skip
    return server._replace(sender=number, answer=word), word


def _cancel_word(
    server: Server, job: Job, boots: frozenset[Boot], rules: Rules
) -> CancelWord | Literal["look again"]:
    if rules.cancel_looks_again and not {known.boot for known in server.boots} <= boots:
        return "look again"
    if job in server.done or job in server.cancelled:
        return "unknown"
    if job in server.dead:
        return "dead"
    if any(entry.job == job and entry.boot in boots for entry in server.running):
        return "asked"
    return "cancelled"


def _asked(server: Server, number: int, job: Job) -> Server:
    """Who asks again for the same claim is told so; the first ask stays."""
    entry = next(entry for entry in server.running if entry.job == job)
    asked = server._replace(ghost_asked=server.ghost_asked | {(job, entry.ghost_claim)})
    known = server.of(entry.boot)
    if known is None or server.ask_of(entry):
        return asked
    ask = Ask(entry.boot, job, entry.n, known.asked + 1, number)
    return _known(asked, known, known._replace(asked=ask.nth))._replace(asks=server.asks | {ask})


def _news(server: Server, known: Registered, sent: Sent) -> frozenset[tuple[Job, int]]:
    """The asks that an engine hasn't heard of."""
    return frozenset(
        (ask.job, ask.n) for ask in server.asks if ask.boot == known.boot and ask.nth > sent.asked
    )


def _stopped(server: Server, entries: list[Entry]) -> Server:
    """Claims end that somebody has asked to end: their jobs are cancelled."""
    for entry in entries:
        ask = server.ask_of(entry)
        numbers = {(ask.ghost_number, entry.job)} if ask else set[tuple[int, Job]]()
        server = server._replace(
            cancelled=_sorted((*server.cancelled, entry.job)),
            asks=server.asks - {ask},
            ghost_cancels=server.ghost_cancels | numbers,
        )
    return server


# -- below -------------------------------------------------------------------------------------


def _again(server: Server, known: Registered, sent: Sent, rules: Rules) -> Reply:
    entries = server.held_by(known.boot)
    claims = _claims(e for e in entries if e.n == known.n)
    stopped = known.cancelled if rules.cancelled_is_remembered else frozenset[Job]()
    asks = _news(server, known, sent) if rules.asks_are_repeated else frozenset[tuple[Job, int]]()
    return Reply("again", known.refused, claims, len(entries), stopped, known.asked, asks)


def _settle(
    server: Server, boot: Boot, settlements: tuple[Settlement, ...], rules: Rules
) -> tuple[Server, frozenset[Job], frozenset[Job], str | None]:
    """The state after it, who was refused, who was cancelled instead of being put back, and what
    the fence let through that it shouldn't have."""
    refused, stopped, wrong, back = set[Job](), set[Job](), None, list[Entry]()
    held = {e.job: e for e in server.running if e.boot == boot}
    for verb, job, n, ghost_claim in settlements:
        entry = held.get(job)
        if entry is None or entry.n != n:
            refused.add(job)
            if not rules.refused_free_nothing:
                server = server._replace(slots=max(0, server.slots - 1))
            continue
        if entry.ghost_claim != ghost_claim:
            wrong = "a settlement was accepted for a claim it wasn't made for"
        server = _freed(server, [entry], rules)
        server = server._replace(
            running=server.running - {entry},
            ghost_accepted=server.ghost_accepted | {(job, entry.ghost_claim)},
        )
        ask = server.ask_of(entry)
        if verb == "cancel":
            server = _stopped(server, [entry])
            continue
        if ask and verb in RETURNS and rules.returns_look_at_asks:
            stopped.add(job)
            server = _stopped(server, [entry])
            stops = server.ghost_stopped | {(job, entry.ghost_claim)}
            server = server._replace(ghost_stopped=stops)
            continue
        server = server._replace(asks=server.asks - {ask})
        if verb == "ack":
            server = server._replace(done=_sorted((*server.done, job)))
        elif verb == "dead":
            server = server._replace(dead=_sorted((*server.dead, job)))
        elif verb == "retry":
            server = _excused(server, job)
            server = server._replace(scheduled=_sorted((*server.scheduled, job)))
        elif verb == "park":
            server = _excused(server, job)
            server = server._replace(parked=server.in_line((*server.parked, job)))
        else:
            server = server._replace(rest="rests") if verb == "rest" else server
            if verb == "bind":
                server, wrong = _bound(server, job, rules, wrong)
            back.append(entry)
    return _put_back(server, sorted(back)), frozenset(refused), frozenset(stopped), wrong


def _bound(server: Server, job: Job, rules: Rules, wrong: str | None) -> tuple[Server, str | None]:
    """The job takes of the limit from now on."""
    if job in server.ghost_bound:
        wrong = "what a job takes was found out twice"
    unbound = server.unbound - {job} if rules.bindings_are_noted else server.unbound
    return server._replace(unbound=unbound, ghost_bound=server.ghost_bound | {job}), wrong


def _freed(server: Server, entries: Iterable[Entry], rules: Rules) -> Server:
    """These claims are over: whoever waits for what they had will be looked at."""
    count = sum(not entry.is_unbound for entry in entries)
    if not (server.limit and count):
        return server
    server = _looked_into(server, rules.freed_is_told)
    return server._replace(slots=max(0, server.slots - count))


def _rested(server: Server, rules: Rules) -> Server:
    """If a rest is over, whoever waits will be looked at."""
    if server.rest != "over":
        return server
    return _looked_into(server, rules.rest_end_is_told)._replace(rest="none")


def _looked_into(server: Server, told: bool) -> Server:
    """Whoever waits in the room will be looked at, if somebody is told."""
    waited_in = frozenset(job % server.queues for job in server.room)
    return server._replace(open=server.open | waited_in) if told else server


def _claim_limited(
    server: Server, boot: Boot, sent: Sent, rules: Rules
) -> tuple[Server, tuple[Claim, ...]]:
    """One job after the other; whom the limit refuses waits in its room, and holds nothing."""
    n, want, suspect, _, _ = sent
    most, met, counts = server.limit + (not rules.limit_is_kept), 0, list(server.ghost_claims)
    entries = list[Entry]()

    def start(job: Job, *, is_suspect: bool = False) -> None:
        nonlocal met
        met += 1
        counts[job] += 1
        unbound = job in server.unbound
        entries.append(Entry(boot, n, len(entries) + 1, job, is_suspect, counts[job], unbound))

    def taken() -> int:
        return server.slots + sum(not entry.is_unbound for entry in entries)

    def is_full() -> bool:
        rests = server.rest == "rests" and rules.rest_is_kept
        is_paused = server.pause == "paused" and rules.pause_is_kept
        return rests or is_paused or taken() >= most

    for queue in range(server.queues):
        suspects = _first(server, server.suspects, queue, LOOKED)
        found = [job for job in suspects if job in server.unbound or not is_full()][:1]
        if suspect and found and met < want:
            start(found[0], is_suspect=True)
            server, suspect = server._replace(suspects=_except(server.suspects, {*found})), False
        for kind in ("parked", "room", "ready"):
            for job in _first(server, getattr(server, kind), queue, len(counts)):
                waits = {each for each in server.room if each % server.queues == queue}
                if met >= want or (kind == "room" and (queue not in server.open or is_full())):
                    break
                server = server._replace(**{kind: _except(getattr(server, kind), {job})})
                if job in server.dropped:
                    met += 1
                    server = server._replace(dropped=server.dropped - {job})
                elif kind == "room" or job in server.unbound or not (waits or is_full()):
                    start(job)
                else:
                    server = server._replace(room=server.in_line(sorted((*server.room, job))))
            waits = {each for each in server.room if each % server.queues == queue}
            if kind == "room" and (not waits or (met < want and is_full())):
                server = server._replace(open=server.open - {queue})
    server = server._replace(
        slots=taken(), running=server.running | set(entries), ghost_claims=tuple(counts)
    )
    return server, _claims(entries)


def _claims(entries: Iterable[Entry]) -> tuple[Claim, ...]:
    return tuple(Claim(e.job, e.n, e.suspect, e.ghost_claim, e.is_unbound) for e in entries)


def _claim(
    server: Server, boot: Boot, sent: Sent, rules: Rules
) -> tuple[Server, tuple[Claim, ...]]:
    n, want, suspect, _, _ = sent
    found: list[tuple[Job, bool]] = []
    for queue in range(server.queues):
        if suspect and len(found) < want:
            found += [(job, True) for job in _first(server, server.suspects, queue, 1)]
            suspect = not any(is_suspect for _, is_suspect in found)
        for waiting in (server.parked, server.ready):
            room = max(0, want - len(found))
            found += [(job, False) for job in _first(server, waiting, queue, room)]
    taken = {job for job, _ in found}
    counts = list(server.ghost_claims)
    entries = list[Entry]()
    for job, is_suspect in found:
        if job not in server.dropped:
            counts[job] += 1
            entries.append(Entry(boot, n, len(entries) + 1, job, is_suspect, counts[job]))
    server = server._replace(
        suspects=_except(server.suspects, taken), parked=_except(server.parked, taken),
        ready=_except(server.ready, taken), dropped=server.dropped - taken,
        running=server.running | set(entries), ghost_claims=tuple(counts),
    )  # fmt: skip
    return server, _claims(entries)


def _first(server: Server, waiting: tuple[Job, ...], queue: Queue, count: int) -> list[Job]:
    return [job for job in waiting if job % server.queues == queue][:count]


def _except(waiting: tuple[Job, ...], taken: set[Job]) -> tuple[Job, ...]:
    return tuple(job for job in waiting if job not in taken)


def _put_back(server: Server, entries: list[Entry]) -> Server:
    """To the heads of the lists, in the order of the claims."""
    for entry in entries:
        if not entry.is_unbound:  # else nobody has started it
            server = _excused(server, entry.job)
    ready = tuple(e.job for e in entries if not e.suspect)
    suspects = tuple(e.job for e in entries if e.suspect)
    return server._replace(
        ready=server.in_line(ready + server.ready),
        suspects=server.in_line(suspects + server.suspects),
    )


def _excused(server: Server, job: Job) -> Server:
    excused = tuple(times + (j == job) for j, times in enumerate(server.ghost_excused))
    return server._replace(ghost_excused=excused)


def _known(server: Server, before: Registered, after: Registered) -> Server:
    return server._replace(boots=server.boots - {before} | {after})


def _without(server: Server, known: Registered) -> Server:
    return server._replace(
        boots=server.boots - {known},
        running=frozenset(e for e in server.running if e.boot != known.boot),
        asks=frozenset(ask for ask in server.asks if ask.boot != known.boot),
    )


def _sorted(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    """Where order means nothing, states that differ in it are one."""
    return tuple(sorted(jobs))
