"""The store on Redis or Valkey: one method for each script.

Blocking, without trio; each object has one connection (a :class:`~trioq.store.lane.Lane`)
and is used by one thread at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from trioq.core.calls import (
    BREAKERS_MAX,
    CANCEL_MAX,
    NOT_EDITED,
    PLAINLY,
    WAIT_BYTES,
    WAIT_MAX,
    Beat,
    BootId,
    BreakerNews,
    BreakerSeen,
    CancelWord,
    End,
    EndWord,
    Enqueued,
    Enqueuer,
    Gone,
    NewJob,
    Note,
    Pausing,
    Rate,
    Reaped,
    Replaced,
    Replacing,
    Revived,
    Step,
    StepReply,
    Taking,
    Unwanted,
    check_batch,
    check_notes,
    check_taking,
)
from trioq.core.formats.pause import is_name, is_schedule, is_take, of_schedule
from trioq.core.job import Record, Uid
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Heard, SaidList, Unlisted
from trioq.core.schedules.tick import Clock, Known, Tick, Ticked
from trioq.core.seen import Sighting, known
from trioq.errors import RecordUnreadable, StoreRefused, StoreUnreachable, TrioqBug
from trioq.failpoints import failpoint
from trioq.store import enqueuing, kept, shared, unwanted
from trioq.store.keys import Keys
from trioq.store.nudge import blocks_s
from trioq.store.protocol import LOST, StoreOptions
from trioq.store.replies import COUNT, for_each_name
from trioq.store.replies import VALUE_BYTES_MAX as MOST
from trioq.store.scripts import load
from trioq.store.stepping import Narrowing, decode, encode

if TYPE_CHECKING:
    # Whoever makes a store has loaded redis-py; who only names its calls needn't.
    from trioq.store.inspect import Explanation, JobView, ScheduleView
    from trioq.store.lane import Lane


class RedisStore:
    """Both protocols of :mod:`trioq.store.protocol`, on one connection."""

    def __init__(self, keys: Keys, lane: Lane, options: StoreOptions | None = None) -> None:
        self.keys = keys
        self.lane = lane
        self.options = options or StoreOptions()
        self._narrowing = Narrowing(self.options.many_queues)
        self._fixed: dict[str, list[str]] = {}
        """Script → its keys that the namespace has one of."""
        self._ahead: tuple[Step, tuple[list[str], list[Any]]] | None = None

    def close(self) -> None:
        """Close its connection, for good."""
        self.lane.close()

    def end_by(self, until: float) -> None:
        """Calls that begin from now on have ended by then, by the monotonic clock; infinite: by no
        time. Only where calls have an end at all: see :meth:`.Connector.lane`, ``call_s``."""
        self.lane.until = until

    # -- the engine's calls ------------------------------------------------------------

    def register(self, boot: BootId, info: bytes) -> bool:
        return bool(self._run("register", [], [boot, info])[0] == "ok")

    def beat(self, boot: BootId) -> Beat | Gone:
        word, *rest = self._run("beat", [self.keys.running(boot)], [boot, self._now()])
        return Gone() if word == "gone" else Beat(rest[0], *map(kept.number, rest[1:]))

    def step(self, step: Step) -> StepReply | Gone:
        return self._step(step)

    def step_at_bell(self, step: Step, timeout_s: float) -> StepReply | Gone:
        self.lane.know_client()
        if self._narrowing.names_many(step):
            # Which of them are in use is known when a bell has rung, and not before.
            self.wait(step.queues if step.want else (), timeout_s, step.boot)
            return self._step(step)
        bells = self._blpop(step.queues if step.want else (), timeout_s, step.boot)
        return self._step(step, behind=bells, wait_s=timeout_s)

    def unblock(self, client: int) -> bool:
        """End what another connection waits for; False: it isn't waiting."""
        return self.start_unblock(client)()

    def start_unblock(self, client: int) -> Callable[[], bool]:
        """The same; what is returned waits for the answer."""
        command = ("CLIENT", "UNBLOCK", str(client))
        connection = self.lane.start(*command)
        return lambda: bool(self.lane.finish(connection, *command, shape=COUNT))

    def _step(self, step: Step, **wait: Any) -> StepReply | Gone:
        check_batch(max(step.want, len(step.settlements)))
        keys, args = self._encode(step)
        word, *rest = self._run("step", keys, args, **wait)
        if self._ahead is not None and self._ahead[0] is step:
            self._ahead = None  # it may have large results
        if word in ("gone", "old"):
            return Gone(word)
        if word == "changed":
            raise TrioqBug(f"step {step.boot}:{step.number} was re-sent with other settlements")
        *rest, wake = rest
        self._wake(wake)
        return decode(word, rest)

    def prepare(self, step: Step) -> None:
        """Put a step into words that will be sent soon; in any thread, and though another waits for
        a bell."""
        if not self._narrowing.names_many(step):
            self._ahead = step, self._encode(step)

    def observe(self) -> Mapping[BootId, int]:
        told, steps = self._hash("beats"), self._hash("steps")
        beats = {boot: kept.beats(count) for boot, count in told.items()}
        # What isn't a number isn't from an engine. Floats, as the script adds them up.
        return {
            kept.text(boot): int(float(count) + kept.leading(steps.get(boot, b"")))
            for boot, count in beats.items()
            if count is not None
        }

    def engines(self) -> Mapping[BootId, bytes]:
        return {kept.text(e): info for e, info in self._hash("engines").items()}

    def reap(self, boot: BootId, seen: int, max_reaps: int) -> Reaped:
        args = [boot, seen, max_reaps, LOST, *self._ending()]
        word, *rest = self._with_all_queues("reap", boot, args)
        if word != "reaped":
            return Reaped(cast(Any, word))
        *rest, wake = rest
        self._wake(wake)
        return Reaped("reaped", rest[0], *(tuple(kept.texts(uids)) for uids in rest[1:]))

    def sign_off(self, boot: BootId) -> None:
        word, *rest = self._with_all_queues("sign_off", boot, [boot, *self._ending()])
        if word == "ok":
            self._wake(rest[1])

    def payload(self, uid: Uid) -> bytes | None:
        key = self.keys.fixed("big")
        try:
            return cast("bytes | None", self.lane.call("HGET", key, uid))
        except StoreUnreachable as error:
            # To ask again would be no use: unless whoever answered isn't the server.
            if not _is_too_long(error) or (size := self.lane.call("HSTRLEN", key, uid)) <= MOST:
                raise
        raise RecordUnreadable(f"its payload has {size:,} bytes: nobody can have enqueued that")

    def payloads(self, uids: Sequence[Uid], bytes_max: int) -> Sequence[bytes | None]:
        shape = for_each_name(bytes_max, len(uids))
        try:
            answer = self.lane.call("HMGET", self.keys.fixed("big"), *uids, shape=shape)
        except StoreUnreachable as error:
            if not _is_too_long(error):
                raise
            return [None] * len(uids)
        return cast("Sequence[bytes | None]", answer)

    def history(self, uid: Uid) -> bytes | None:
        return cast("bytes | None", self.lane.call("HGET", self.keys.fixed("history"), uid))

    def wait(self, queues: Sequence[str], timeout_s: float, boot: BootId | None = None) -> bool:
        command = self._blpop(queues, timeout_s, boot)
        if timeout_s > 0:
            (rung,) = self.lane.pipeline([command], wait_s=timeout_s)
        else:
            (rung,) = self.lane.transaction([command])  # nothing in one blocks
        return rung is not None

    def note(self, boot: BootId, notes: Sequence[Note]) -> frozenset[Uid]:
        check_notes(notes)
        args: list[Any] = [len(notes)]
        for note in notes:
            args += (note.uid, note.step, note.text)
        return frozenset(kept.texts(self._run("note", self.keys.held(boot), args)[1]))

    def notes_of(self, uids: Sequence[Uid]) -> list[bytes | None]:
        if not uids:
            return []
        found = self.lane.call("HMGET", self.keys.fixed("notes"), *uids)
        return cast("list[bytes | None]", found)

    def expire_parked(self, queue: str, name: str, after_ms: int, line: bytes) -> int:
        args = [f"{queue}:{name}", after_ms, 256, line, self._now()]
        return len(self._run("expire_parked", self.keys.behind(queue, name), args)[1])

    def breakers(self, boot: BootId, news: Sequence[BreakerNews]) -> list[BreakerSeen]:
        check_batch(len(news), BREAKERS_MAX)
        return shared.decode(self._run("breakers", [], shared.encode(boot, self._now(), news)))

    def forget_queues(self, queues: Sequence[str]) -> None:
        check_batch(len(queues))
        keys = self.keys.of_queues(queues, "ready", "suspects", "scheduled", "dropped", "bell")
        self._run("forget_queues", keys, [len(queues), *queues])

    def declare_limits(self, boot: BootId, limits: Mapping[str, LimitSettings]) -> bool:
        check_batch(len(limits))
        lines = [":".join((name, *_numbers(limit))) for name, limit in sorted(limits.items())]
        reply = self._run("declare_limits", [], [boot, self._now(), *lines])
        if reply[0] == "gone":
            return False
        self._wake(reply[1])
        return True

    def set_limits(self, settings: Mapping[str, LimitSettings], version: int) -> frozenset[str]:
        check_batch(len(settings))
        args: list[Any] = [version]
        for take, limit in settings.items():
            args += (take, *_numbers(limit))
        _, newer, wake = self._run("set_limits", [], args)
        self._wake(wake)
        return frozenset(kept.texts(newer))

    def _wake(self, told: Sequence[bytes]) -> None:
        """Ring in queues in which a limit may have something to give, and which a script wasn't
        told of. A hint: where it can't be sent, polls find out."""
        if told:
            with contextlib.suppress(StoreUnreachable, StoreRefused):
                self.ring_bells(kept.texts(told))

    def ring_bells(self, queues: Sequence[str]) -> None:
        """Something may be claimable in these queues."""
        keys = self.keys.of_queues(queues, "bell")
        self._run("ring_bells", keys, [len(queues), *queues])

    # -- the clients' calls ------------------------------------------------------------

    def enqueue(
        self,
        sender: str,
        number: int,
        jobs: Sequence[NewJob],
        *,
        rate: Rate | None = None,
        who: Enqueuer | None = None,
        taking: Taking | None = None,
    ) -> Enqueued:
        check_taking(taking, jobs, rate)
        keys, args = self._enqueuing(sender, number, jobs, who=who, rate=rate, taking=taking)
        return self._enqueued(_not_old(self._execute("enqueue", keys, args), number))

    def replace(self, sender: str, number: int, replacing: Replacing) -> Replaced:
        while True:
            keys, args = enqueuing.encode_replace(self.keys, sender, self._boots(), replacing)
            reply = self._write("replace", keys, [number, self._now(), *args])
            if reply[0] != "look again":
                return enqueuing.decode_replace(kept.text(reply[1]))

    def start_enqueue(
        self, sender: str, number: int, jobs: Sequence[NewJob], who: Enqueuer | None = None
    ) -> Callable[[], Enqueued]:
        """Begin to :meth:`enqueue`; what is returned waits for the answer. No other call is to
        be made meanwhile: the answer would be lost."""
        keys, args = self._enqueuing(sender, number, jobs, who=who)
        failpoint("enqueue", "before")
        finish = self.lane.start_script(load("enqueue"), keys, args)
        return lambda: self._enqueued(_not_old(_after("enqueue", finish()), number))

    def tick(self, sender: str, number: int, tick: Tick, job: NewJob | None) -> Ticked:
        keys, args = enqueuing.encode(
            self.keys, sender, number, [] if job is None else [job],
            now=str(self._now()), options=self.options, tick=tick,
        )  # fmt: skip
        _, answer, *_ = self._write("enqueue", keys, args)
        return enqueuing.decode_tick(kept.text(answer), self.options.max_lengths)

    def next_ticks(self, limit: int) -> Clock:
        ticks = self.keys.fixed("ticks")
        asked = [("TIME",), ("ZRANGE", ticks, 0, limit - 1, "WITHSCORES")]
        time, flat = self.lane.pipeline(asked)
        names, times = kept.texts(flat[::2]), (int(float(at)) for at in flat[1::2])
        return Clock(self.us_of(time) // 1000, tuple(zip(names, times, strict=True)))

    def schedules(self, names: Sequence[str]) -> list[Known]:
        if not names:
            return []
        whats = [of_schedule(name) for name in names]
        asked = [("HMGET", self.keys.fixed(key), *names) for key in ("schedules", "runs")]
        asked.append(("HMGET", self.keys.fixed("pauses"), *whats))
        asked.append(("ZMSCORE", self.keys.fixed("ticks"), *names))  # last: see Known
        return [
            Known(
                row or b"", paused or b"", tuple(kept.text(runs or b"").split()),
                None if at is None else int(float(at)),
            )
            for row, runs, paused, at in zip(*self.lane.pipeline(asked), strict=True)
        ]  # fmt: skip

    def put_schedule(
        self, sender: str, number: int, name: str, row: bytes, next_ms: int | None
    ) -> bool | None:
        args = [number, name, row, next_ms or 0, self._now()]
        changed = int(self._write("schedule", [self.keys.of("sender", sender)], args)[1])
        return None if changed == 2 else changed == 1

    def list_schedules(self, boot: BootId, said: SaidList) -> Heard:
        args: list[Any] = [boot, self._now(), said.app, said.digest]
        args.append(int(said.schedules is not None))
        for each in said.schedules or ():
            args += (each.name, each.row, each.next_ms or 0)
        word, *told = self._run("list_schedules", [], args)
        unlisted, taken = (kept.texts(each) for each in (*told, [], [])[:2])
        news = map(Unlisted.read, unlisted[::2], unlisted[1::2])
        return Heard(cast(Any, word), tuple(taken), tuple(news))

    def step_aside(self, queue: str, uids: Sequence[Uid]) -> None:
        keys = self.keys.of_queues([queue], "ready", "scheduled", "dropped")
        self._run("step_aside", keys, [self._now(), queue, *uids])

    def cancel(self, sender: str, number: int, jobs: Sequence[Unwanted]) -> list[CancelWord]:
        check_batch(len(jobs), CANCEL_MAX)
        while True:
            boots = self._boots()
            keys, args = unwanted.encode(self.keys, sender, boots, jobs)
            reply = self._write("cancel", keys, [number, *self._ending(), *args])
            if reply[0] != "look again":
                return cast("list[CancelWord]", kept.text(reply[1]).split())

    def wait_for(self, client: str, jobs: Sequence[tuple[Uid, str | None]]) -> list[End]:
        if len(jobs) > WAIT_MAX:
            raise TrioqBug(f"{len(jobs)} jobs in one wait, {WAIT_MAX} at most")
        args = [client, self._now(), WAIT_BYTES]
        for uid, id in jobs:
            args += (uid, id or "")
        _, words, values = self._run("wait_for", [], args)
        return [
            End(cast(EndWord, kept.text(word)), value)
            for word, value in zip(words, values, strict=True)
        ]

    def revive(
        self,
        sender: str,
        number: int,
        jobs: Sequence[tuple[Uid, str]],
        edited: Mapping[Uid, NewJob] = NOT_EDITED,
    ) -> Revived:
        check_batch(len(jobs))
        queues = list(dict.fromkeys(queue for _, queue in jobs))
        place = {queue: i for i, queue in enumerate(queues, 1)}
        keys = [self.keys.of("sender", sender), *self.keys.of_queues(queues, "ready", "bell")]
        args: list[Any] = [number, len(queues), *queues]
        for uid, queue in jobs:
            job = edited.get(uid)
            args += (place[queue], uid, job.stored if job else b"", job.big if job else b"")
        count, *refused = kept.text(self._write("revive", keys, args)[1]).split()
        return Revived(int(count), tuple(refused))

    def purge_dead(self, sender: str, number: int, uids: Sequence[Uid]) -> int:
        check_batch(len(uids))
        args = [number, self.options.id_retention_ms, self._now(), *uids]
        return int(self._write("purge_dead", [self.keys.of("sender", sender)], args)[1])

    def purge(self, sender: str, number: int, queue: str, names: Sequence[str], limit: int) -> int:
        check_batch(limit)
        keys = [self.keys.of("sender", sender)]
        keys += self.keys.of_queues([queue], "ready", "suspects", "scheduled", "dropped")
        keys += [key for name in names for key in self.keys.behind(queue, name)]
        args: list[Any] = [number, limit, self.options.id_retention_ms, self._now(), queue]
        args += [f"{queue}:{name}" for name in names]
        return int(self._write("purge", keys, args)[1])

    def pause(
        self, sender: str, number: int, what: str, paused: bool, how: Pausing = PLAINLY
    ) -> bool:
        queues = set[str]() if is_name(what) or is_take(what) or is_schedule(what) else {what}
        while True:
            names = sorted(queues)
            keys = [self.keys.of("sender", sender), *self.keys.of_queues(names, "bell")]
            args = [number, what, int(paused), how.for_ms, how.said, self._now(), *names]
            reply = self._write("pause", keys, args)
            if reply[0] != "look again":
                return int(reply[1]) == 1
            queues.update(kept.texts(reply[1]))

    def hasten(self, sender: str, number: int, queue: str, uid: Uid) -> bool:
        keys = [self.keys.of("sender", sender)]
        keys += self.keys.of_queues([queue], "scheduled", "bell")
        return int(self._write("hasten", keys, [number, uid, self._now()])[1]) == 1

    def reset_breaker(self, sender: str, number: int, name: str) -> bool:
        keys = [self.keys.of("sender", sender)]
        return int(self._write("reset_breaker", keys, [number, name, self._now()])[1]) == 1

    def seen(self, paths: Sequence[str]) -> list[str | None]:
        if not paths:
            return []
        names = *paths, *map(kept.mark_of, paths)
        found = self.lane.call("HMGET", self.keys.fixed("seen"), *names)
        told = [None if each is None else kept.text(each) for each in found]
        return list(map(known, told[: len(paths)], told[len(paths) :]))

    def seen_from(self, cursor: str, count: int) -> tuple[str, dict[str, str]]:
        key = self.keys.fixed("seen")
        more, flat = self.lane.call("HSCAN", key, cursor or "0", "COUNT", str(2 * count))
        paths = [path for path in kept.texts(flat[::2]) if not kept.is_mark(path)]
        told = zip(paths, self.seen(paths), strict=True)
        return kept.text(more).strip("0") and kept.text(more), {
            path: its for path, its in told if its is not None
        }

    def note_files(self, sightings: Sequence[Sighting], forget_after_ms: int) -> int:
        check_batch(len(sightings))
        args: list[Any] = [forget_after_ms, self._now()]
        for each in sightings:
            args += (each.path, each.known, each.kept, "gone" if each.is_gone else "there")
        return int(self._run("note_files", [], args)[1])

    # -- the clients' questions --------------------------------------------------------

    # What answers them is loaded when the first is asked: see trioq.store.questions.

    def find(self, id_or_uid: str) -> JobView | None:
        from trioq.store import inspect

        return inspect.find(self, id_or_uid)

    def look(self, uid: Uid, id: str | None) -> JobView | None:
        from trioq.store import inspect

        return inspect.look(self, uid, id)

    def record(self, uid: Uid) -> Record | None:
        from trioq.store import inspect

        return inspect.record(self, uid)

    def explain(self, id_or_uid: str) -> Explanation:
        from trioq.store import inspect

        return inspect.explain(self, id_or_uid)

    def jobs(self) -> list[JobView]:
        from trioq.store import inspect

        return inspect.all_jobs(self)

    def schedule_views(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        from trioq.store import inspect

        return inspect.schedules(self, names)

    def now_ms(self) -> int:
        return self.us_of(self.lane.call("TIME")) // 1000

    def us_of(self, time: Sequence[bytes]) -> int:
        """The time in an answer to ``TIME``, in epoch µs; or by the clock of the store's own."""
        if self.options.clock_ms is not None:
            return self.options.clock_ms() * 1000
        seconds, micros = time
        return int(seconds) * 1_000_000 + int(micros)

    # -- below -------------------------------------------------------------------------

    def _ending(self) -> list[Any]:
        """What a script is told that may end jobs."""
        return [self.options.id_retention_ms, self.options.keep_done, self._now()]

    def _now(self) -> int | str:
        return "" if self.options.clock_ms is None else self.options.clock_ms()

    def _blpop(
        self, queues: Sequence[str], timeout_s: float, boot: BootId | None
    ) -> tuple[Any, ...]:
        own = () if boot is None else (self.keys.own_bell(boot),)
        return "BLPOP", *own, *self.keys.of_queues(queues, "bell"), blocks_s(timeout_s)

    def _encode(self, step: Step) -> tuple[list[str], list[Any]]:
        """A step's KEYS and ARGV: the same bytes each time it is sent."""
        ahead = self._ahead
        if ahead is not None and ahead[0] is step:
            return ahead[1]
        narrowed = self._narrowing.of(step, self._queues_in_use)
        forgets = self._narrowing.names_many(step)
        return encode(narrowed, self.keys, self.options, self._now(), forgets=forgets)

    def _queues_in_use(self) -> set[str]:
        return set(kept.texts(self.lane.call("SMEMBERS", self.keys.fixed("queues"))))

    def _boots(self) -> list[str]:
        return kept.texts(self.lane.call("HKEYS", self.keys.fixed("steps")))

    def _hash(self, name: str) -> dict[bytes, bytes]:
        flat = self.lane.call("HGETALL", self.keys.fixed(name))
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def _enqueuing(
        self,
        sender: str,
        number: int,
        jobs: Sequence[NewJob],
        *,
        who: Enqueuer | None,
        rate: Rate | None = None,
        taking: Taking | None = None,
    ) -> tuple[list[str], list[str | bytes]]:
        """All of its KEYS, and ARGV."""
        if rate is None and taking is None:
            one = enqueuing.encode_one(self.keys, sender, number, jobs, self.options)
            if one is not None:
                return one
        keys, args = enqueuing.encode(
            self.keys, sender, number, jobs,
            now=str(self._now()), options=self.options, rate=rate, who=who, taking=taking,
        )  # fmt: skip
        return [*self._fixed_keys("enqueue"), *keys], args

    def _enqueued(self, reply: list[Any]) -> Enqueued:
        _, answer, *wait_us = reply
        most = self.options.max_lengths
        return enqueuing.decode(kept.text(answer), int(wait_us[0]) if wait_us else 0, most)

    def _fixed_keys(self, name: str) -> list[str]:
        """A script's keys that the namespace has one of."""
        if (fixed := self._fixed.get(name)) is None:
            named = load(name).fixed_keys
            fixed = self._fixed[name] = [self.keys.fixed(key) for key in named]
        return fixed

    def _run(self, name: str, keys: Sequence[str], args: Sequence[Any], **wait: Any) -> list[Any]:
        return self._execute(name, [*self._fixed_keys(name), *keys], args, **wait)

    def _execute(
        self, name: str, keys: Sequence[str], args: Sequence[Any], **wait: Any
    ) -> list[Any]:
        """Run a script with all of its KEYS."""
        failpoint(name, "before")
        return _after(name, self.lane.run(load(name), keys, args, **wait))

    def _write(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        """Run a script that carries a sender's number, the first of ``args``."""
        return _not_old(self._run(name, keys, args), args[0])

    def _with_all_queues(self, name: str, boot: BootId, args: Sequence[Any]) -> list[Any]:
        """Run a script that must be told of every queue an engine's jobs came from."""
        queues: set[str] = set()
        while True:
            running, packs = self.keys.held(boot)
            # The script asks again for a queue that we left out.
            queues.update(filter(None, map(kept.place, self.lane.call("HVALS", running))))
            queues.update(filter(None, map(kept.pack_place, self.lane.call("HKEYS", packs))))
            names = sorted(queues)
            keys = self.keys.of_boot(boot)
            keys += self.keys.of_queues(names, "ready", "suspects", "bell")
            reply = self._run(name, keys, [*args, *names])
            if reply[0] != "look again":
                return reply


def _numbers(limit: LimitSettings) -> tuple[str, ...]:
    numbers = limit.interval_us, limit.burst, limit.concurrency, limit.keyed
    return tuple(str(int(number)) for number in numbers)


def _is_too_long(error: StoreUnreachable) -> bool:
    from trioq.store.reader import is_too_long  # loaded by the lane

    return is_too_long(error)


def _after(name: str, reply: Any) -> list[Any]:
    """A script's reply: its first word as a text."""
    failpoint(name, "after")
    reply[0] = reply[0].decode()
    return cast("list[Any]", reply)


def _not_old(reply: list[Any], number: Any) -> list[Any]:
    if reply[0] == "old":
        raise TrioqBug(f"write {number} is older than its sender's last")
    return reply
