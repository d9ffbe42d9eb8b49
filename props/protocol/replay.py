"""Holds the searched server and the real scripts together: both execute the same requests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, cast, get_args

import attrs

from props.protocol.server import (
    MAX_REAPS,
    Ask,
    Boot,
    CancelWord,
    Entry,
    Job,
    Queue,
    Registered,
    Sent,
    Server,
    Settlement,
)
from props.protocol.world import Request, Setup
from tests.store.drive import Sender
from tests.store.world import Clock
from tests.support import new_job
from trioq.core.calls import Admit, NewJob, Pausing, Step, Unwanted
from trioq.core.formats.pause import of_take
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Cancel, DeadLetter, Park, Release, RetryAt
from trioq.core.settlements import Settlement as RealSettlement
from trioq.errors import TrioqBug
from trioq.store import kept, unwanted
from trioq.store.protocol import LOST
from trioq.store.redis import RedisStore

QUEUES, NAME = ("high", "low"), "noop"
LINE = b'{"attempt":1}'
PAUSE_MS = 1000


@attrs.define
class Replay:
    """The real server, in the words of the searched one. Its store has a clock that stands."""

    store: RedisStore
    setup: Setup
    operator: Sender = attrs.field(init=False)
    jobs: list[NewJob] = attrs.field(factory=list[NewJob], init=False)
    uids: list[str] = attrs.field(factory=list[str], init=False)

    def __attrs_post_init__(self) -> None:
        self.operator = Sender(self.store)
        total = self.setup.jobs + self.setup.new
        takes = ("all",) if self.setup.limit else ()
        if takes:
            self.store.set_limits({"all": LimitSettings(concurrency=self.setup.limit)}, 1)
        # Their ids remember how they ended.
        self.jobs = [
            new_job(
                self.queues[job % len(self.queues)], NAME, id=f"id{job}",
                takes=takes if job >= self.setup.unbound else (),
            )
            for job in range(total)
        ]  # fmt: skip
        self.uids = [job.uid for job in self.jobs]
        self.store.enqueue("the beginning", 1, self.jobs[: self.setup.jobs])

    @property
    def queues(self) -> tuple[str, ...]:
        return QUEUES[: self.setup.queues]

    def execute(self, request: Request) -> None:
        """Let the scripts do what the search has done."""
        engine, store = name(request.boot), self.store
        match request.verb:
            case "register":
                store.register(engine, b"{}")
            case "beat":
                store.beat(engine)
            case "sign_off":
                (read,) = cast(tuple[frozenset[Queue]], request.body)
                self._knowing("sign_off", engine, read, engine, *store._ending())
            case "enqueue":
                number, job = cast(tuple[int, Job], request.body)
                # A late copy is told "old", which nobody hears; where somebody does, it is a bug.
                with contextlib.suppress(TrioqBug):
                    store.enqueue("the client", number, [self.jobs[job]])
            case "cancel":
                number, job, boots = cast(tuple[int, Job, frozenset[Boot]], request.body)
                self._cancel(number, job, sorted(map(name, boots)))
            case "reap":
                seen, read = cast(tuple[int, frozenset[Queue]], request.body)
                self._knowing("reap", engine, read, engine, seen, MAX_REAPS, LOST, *store._ending())
            case "step":
                store.step(self._step(engine, cast(Sent, request.body)))

    def pause(self, before: str, after: str, clock: Clock) -> None:
        """Let somebody pause what takes of the limit, or resume it, or let the time go by for which
        it was paused; what a step ends it ends by itself."""
        match before, after:
            case (("none" | "over"), "paused"):
                self.store.pause(
                    *self.operator.next(), of_take("all"), True, Pausing(for_ms=PAUSE_MS)
                )
            case "paused", "none":
                self.store.pause(*self.operator.next(), of_take("all"), False)
            case "paused", "over":
                clock.ms += PAUSE_MS
            case _:
                pass

    def state(self, like: Server) -> Server:
        """What the real server holds; ``like`` lends what only the search knows."""
        keys, call = self.store.keys, self.store.lane.call
        records = set(call("HKEYS", keys.fixed("jobs")))
        ever = range(int(call("HGET", keys.fixed("stats"), "enqueued") or 0))
        over = [job for job in ever if self.uids[job].encode() not in records]
        cancelled = tuple(job for job in over if self._tomb(job).startswith(b"cancelled"))
        number, answer = self._last_write()
        boots = self._boots(like)
        return like._replace(
            ready=self._lists(lambda queue: keys.of("ready", queue)),
            suspects=self._lists(lambda queue: keys.of("suspects", queue)),
            parked=self._lists(lambda queue: keys.of("parked", queue, NAME)),
            scheduled=tuple(sorted(
                job for queue in self.queues
                for job in self._jobs_of(call("ZRANGE", keys.of("scheduled", queue), 0, -1))
            )),
            unbound=frozenset(
                job for job in range(self.setup.unbound)
                if not call("HEXISTS", keys.fixed("flow"), self.uids[job])
                and (job not in over or job in like.unbound)
            ),
            slots=int(call("HGET", keys.fixed("slots"), "all") or 0),
            room=tuple(
                self.uids.index(member.decode().split("\0")[2])
                for member in call("ZRANGE", keys.fixed("limited"), 0, -1)
            ),
            open=frozenset(
                self.queues.index(member.decode().split("\0")[0])
                for member in call("ZRANGE", keys.fixed("open"), 0, -1)
            ),
            running=frozenset(e for known in boots for e in self._running(known.boot, like)),
            asks=frozenset(ask for known in boots for ask in self._asks(known.boot, like)),
            boots=boots,
            done=tuple(job for job in over if job not in cancelled),
            cancelled=cancelled,
            dropped=frozenset(
                job for queue in self.queues
                for key in (keys.of("dropped", queue), keys.of("dropped_behind", queue, NAME))
                for job in self._jobs_of(call("SMEMBERS", key))
            ),
            dead=tuple(sorted(self._jobs_of(call("ZRANGE", keys.fixed("dead"), 0, -1)))),
            sender=number,
            answer=answer,
            reaps=tuple(
                int(call("HGET", keys.fixed("reaps"), uid) or 0) if uid.encode() in records
                else like.reaps[job]
                for job, uid in enumerate(self.uids)
            ),
        )  # fmt: skip

    # -- below -----------------------------------------------------------------------------------

    def _knowing(self, script: str, engine: str, read: frozenset[Queue], *args: Any) -> None:
        """Once, with what its sender has read; the store itself would look again."""
        keys, names = self.store.keys, [self.queues[queue] for queue in sorted(read)]
        lists = keys.of_queues(names, "ready", "suspects", "bell")
        self.store._run(script, [*keys.of_boot(engine), *lists], [*args, *names])

    def _cancel(self, number: int, job: Job, engines: list[str]) -> None:
        """As its sender has sent it; the store itself would look again."""
        new, store = self.jobs[job], self.store
        wish = [Unwanted(new.uid, new.queue, NAME)]
        keys, args = unwanted.encode(store.keys, "the client", engines, wish)
        store._run("cancel", keys, [number, *store._ending(), *args])

    def _step(self, engine: str, sent: Sent) -> Step:
        return Step(
            engine, sent.n, sent.want, self.queues, suspect=sent.suspect,
            admits=tuple(Admit(q, NAME, sent.want) for q in self.queues) if sent.want else (),
            settlements=tuple(self._settlement(s) for s in sent.settlements), asked=sent.asked,
        )  # fmt: skip

    def _settlement(self, s: Settlement) -> RealSettlement:
        uid = self.uids[s.job]
        match s.verb:
            case "ack":
                return Ack(uid, s.n, b"{}")
            case "retry":
                return RetryAt(uid, s.n, 0, 1, LINE)
            case "dead":
                return DeadLetter(uid, s.n, 1, "failures", LINE)
            case "release":
                return Release(uid, s.n)
            case "rest":
                return Release(uid, s.n, "all", 1000)
            case "bind":
                return Release(uid, s.n, takes=("all",))
            case "park":
                return Park(uid, s.n, self.jobs[s.job].queue, NAME)
            case "cancel":
                return Cancel(uid, s.n)

    def _lists(self, key: Callable[[str], str]) -> tuple[Job, ...]:
        """Queue by queue, the oldest first."""
        lists = [self.store.lane.call("LRANGE", key(queue), 0, -1) for queue in self.queues]
        return tuple(job for each in lists for job in self._jobs_of(reversed(each)))

    def _jobs_of(self, uids: Any) -> tuple[Job, ...]:
        return tuple(self.uids.index(uid.decode()) for uid in uids)

    def _tomb(self, job: Job) -> bytes:
        """How its caller's id says that it ended."""
        ids = self.store.keys.fixed("ids")
        return cast(bytes, self.store.lane.call("HGET", ids, self.jobs[job].id))

    def _last_write(self) -> tuple[int, CancelWord | None]:
        """The client's last number, and its answer if that was to a cancel."""
        text = self.store.lane.call("GET", self.store.keys.of("sender", "the client"))
        if text is None:
            return 0, None
        number, _, answer = text.decode().partition(" ")
        return int(number), cast(CancelWord, answer) if answer in get_args(CancelWord) else None

    def _boots(self, like: Server) -> frozenset[Registered]:
        keys, call = self.store.keys, self.store.lane.call
        flat = call("HGETALL", keys.fixed("steps"))
        boots = set()
        for engine, text in zip(flat[::2], flat[1::2], strict=True):
            n, _, settled = text.decode().partition(" ")
            refused, cancelled = (
                frozenset(map(self.uids.index, each.split()))
                for each in settled.partition("|")[::2]
            )
            asked = call("HGET", keys.fixed("asked"), engine)
            beats = kept.beats(call("HGET", keys.fixed("beats"), engine))
            assert beats is not None
            who, _, nth = engine.decode().removeprefix("e").partition(".")
            number, named = int(n.partition("+")[0]), (int(who), int(nth))
            signs = beats + number
            boots.add(Registered(named, number, refused, signs, cancelled, int(asked or 0)))
        return frozenset(boots)

    def _running(self, boot: Boot, like: Server) -> list[Entry]:
        running, packs = self.store.keys.held(name(boot))
        flat = self.store.lane.call("HGETALL", running)
        took = set(self.store.lane.call("HKEYS", self.store.keys.fixed("took")))
        entries = []

        def hold(uid: str, n: str, i: int, *, suspect: bool = False) -> None:
            job = self.uids.index(uid)
            is_unbound = bool(self.setup.limit) and uid.encode() not in took
            claim = like.ghost_claims[job]
            entries.append(Entry(boot, int(n), i, job, suspect, claim, is_unbound))

        for uid, text in zip(flat[::2], flat[1::2], strict=True):
            n, i, flag, _ = text.decode().split(":")
            hold(uid.decode(), n, int(i), suspect=flag == "s")
        flat = self.store.lane.call("HGETALL", packs)
        for field, pack in zip(flat[::2], flat[1::2], strict=True):
            n, first, _ = field.decode().split(":")
            for i, each in enumerate(pack.decode().partition(":")[2].split(" "), int(first)):
                hold(each, n, i)
        return entries

    def _asks(self, boot: Boot, like: Server) -> list[Ask]:
        flat = self.store.lane.call("HGETALL", self.store.keys.of("asks", name(boot)))
        asks = []
        for uid, text in zip(flat[::2], flat[1::2], strict=True):
            nth, n, _, _ = text.decode().split(":")
            mine = (boot, self.uids.index(uid.decode()), int(n), int(nth))
            number = next((ask.ghost_number for ask in like.asks if ask[:4] == mine), 0)
            asks.append(Ask(*mine, number))
        return asks


def name(boot: Boot) -> str:
    return f"e{boot[0]}.{boot[1]}"
