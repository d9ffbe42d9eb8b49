"""A server in memory, engines that die and come back, a client, and whoever hurts them."""

from __future__ import annotations

import json
import math
import random
import secrets
from typing import Any
from unittest.mock import patch

import attrs
import trio
import trio._core._run as trio_run
from trio.testing import MockClock

import trioq
from props.simulation.network import CALM, Ear, Hearing, Link, LinkedCaller, Network, Weather
from props.simulation.trace import Log, TracedStore
from trioq.client.task_waits import TaskWaits, _Own
from trioq.core.calls import End, NewJob, Unwanted
from trioq.core.config import Config, QueueConfig
from trioq.core.config.sections import Backoff, ReaperConfig, WorkerConfig
from trioq.core.events import BootLost, Event
from trioq.core.formats.record import encode
from trioq.core.formats.summary import encode_cancelled
from trioq.core.job import Options, Record
from trioq.engine.engine import Engine
from trioq.errors import StoreBusy, StoreUnreachable
from trioq.store.protocol import StoreOptions

EPOCH_S = 1_764_000_000

LEASE_S = 8.0
MAX_ATTEMPTS = 3
MAX_REAPS = 3
#: For how long things go wrong.
TROUBLE_S = 120.0
#: How long everything may take to get done once nothing goes wrong any more.
PEACE_S = 900

#: For how long a result, or that a job was cancelled, is kept where that was asked for.
KEEP_S = 3600.0

NAMES = ("work", "work", "work", "careful", "flaky", "doomed", "snoozer", "stranger")


@attrs.define
class Process:
    """An engine that lives until it is killed or told to stop."""

    number: int
    link: Link
    scope: trio.CancelScope
    engine: Engine | None = None
    was_killed: bool = False
    was_told_to_stop: bool = False

    def stop(self) -> None:
        """As SIGTERM."""
        self.was_told_to_stop = True
        if self.engine is not None:
            self.engine.drain()

    def kill(self) -> None:
        """As SIGKILL: nothing that it does reaches the server any more."""
        self.was_killed = True
        self.link.is_cut = True
        self.scope.cancel()


@attrs.define
class World:
    """One run's all."""

    seed: int
    draw: random.Random
    nursery: trio.Nursery
    store: TracedStore
    network: Network
    log: Log = attrs.field(factory=Log)
    processes: list[Process] = attrs.field(factory=list[Process])
    """All there ever were."""
    boots: dict[str, str] = attrs.field(factory=dict[str, str])
    """What tokens begin with → the boot."""
    owners: dict[str, Process] = attrs.field(factory=dict[str, Process])
    """Boot → process."""
    lost: list[tuple[float, BootLost]] = attrs.field(factory=list[tuple[float, BootLost]])
    hurts: list[tuple[float, str]] = attrs.field(factory=list[tuple[float, str]])
    """What was done to whom."""
    jobs: dict[str, str] = attrs.field(factory=dict[str, str])
    """uid → name, of all that were enqueued."""
    queues: dict[str, str] = attrs.field(factory=dict[str, str])
    promised: set[str] = attrs.field(factory=set[str])
    """Jobs whose results are to be kept."""
    told: list[tuple[float, str, End]] = attrs.field(factory=list[tuple[float, str, End]])
    """Those who waited: when, for which job, and what they were told."""
    kept: dict[str, End] = attrs.field(factory=dict[str, End])
    """What is told of each job in the end."""
    waiting: int = 0
    """How many wait."""
    called_off: dict[str, str] = attrs.field(factory=dict[str, str])
    """Jobs that somebody didn't want any more, and what the server said to that."""
    peace: trio.Event = attrs.field(factory=trio.Event)
    """Set when nothing goes wrong any more."""
    workers: int = 4

    # -- engines -------------------------------------------------------------------------------

    async def engine_again_and_again(self, slot: int) -> None:
        """A process, and another when it has ended; the first of them knows every name."""
        while not self.peace.is_set() or slot == 0:
            process = Process(len(self.processes), Link(self.network), trio.CancelScope())
            self.processes.append(process)
            await self._live(process, knows_all=slot == 0)
            if self.peace.is_set() and process.was_told_to_stop:
                return
            await trio.sleep(self.draw.random() * 2 * LEASE_S)

    async def _live(self, process: Process, *, knows_all: bool) -> None:
        callers: dict[str, LinkedCaller] = {}

        def access(purpose: str) -> Any:
            return callers.setdefault(purpose, LinkedCaller(process.link))

        def report(event: Event) -> None:
            if isinstance(event, BootLost):
                self.lost.append((trio.current_time(), event))

        handlers: Any = self._app(process, knows_all=knows_all).handlers
        name = f"engine-{process.number}"
        process.engine = Engine(
            self._config(), handlers, access, report, clock=trio.current_time, name=name
        )
        with process.scope:
            await process.engine.run()

    def _config(self) -> Config:
        return Config(
            namespace="t",
            queues=(QueueConfig("high"), QueueConfig("low")),
            worker=WorkerConfig(
                count=self.workers, max_attempts=MAX_ATTEMPTS, max_reaps=MAX_REAPS,
                backoff=Backoff(base_s=0.5, cap_s=5.0), heartbeat_interval_s=2.0, lease_s=LEASE_S,
                grace_s=5.0, unknown_name_after_s=3600.0,
            ),
            reaper=ReaperConfig(interval_s=2.0),
        )  # fmt: skip

    def _app(self, process: Process, *, knows_all: bool) -> trioq.App:
        app, log, boots = trioq.App(), self.log, self.boots

        def of_this_process(job: trioq.Job) -> None:
            self.owners.setdefault(boots[job.token.partition(":")[0]], process)

        @app.job("work")
        async def work(job: trioq.Job, s: float) -> str:
            of_this_process(job)
            with log.run(job, boots):
                await trio.sleep(s)
            return job.uid

        @app.job("careful", on_lease_loss="cancel")
        async def careful(job: trioq.Job, s: float) -> None:
            of_this_process(job)
            with log.run(job, boots):
                await trio.sleep(s)

        @app.job("flaky")
        async def flaky(job: trioq.Job, s: float) -> None:
            of_this_process(job)
            with log.run(job, boots):
                await trio.sleep(s)
                if job.attempt < MAX_ATTEMPTS:
                    raise ValueError("flaky")

        @app.job("doomed")
        async def doomed(job: trioq.Job, s: float) -> None:
            of_this_process(job)
            with log.run(job, boots):
                await trio.sleep(s)
                raise ValueError("doomed")

        @app.job("snoozer")
        async def snoozer(job: trioq.Job, s: float) -> None:
            of_this_process(job)
            with log.run(job, boots):
                if self.draw.random() < 0.5:
                    raise trioq.Snooze(s)

        @app.job("killer")
        async def killer(job: trioq.Job, s: float) -> None:
            of_this_process(job)
            with log.run(job, boots):
                await trio.sleep(s)
                process.kill()
                await trio.sleep_forever()

        if knows_all:

            @app.job("stranger")
            async def stranger(job: trioq.Job, s: float) -> None:
                of_this_process(job)
                with log.run(job, boots):
                    await trio.sleep(s)

        return app

    @property
    def living(self) -> list[Process]:
        return [p for p in self.processes if not p.was_killed and not p.was_told_to_stop]

    # -- the client ----------------------------------------------------------------------------

    async def enqueue(self, count: int) -> None:
        """Jobs come in while things go wrong; each batch is sent until it is answered."""
        caller, sender = LinkedCaller(Link(self.network)), "client"
        waits = [self._waits(number) for number in range(2)]
        names = [*self.draw.choices(NAMES, k=count - 1), "killer"]
        self.draw.shuffle(names)
        number = 0
        while names:
            number += 1
            batch = [self._new_job(name) for name in names[:5]]
            del names[:5]
            await trio.sleep(self.draw.random() * TROUBLE_S / count * 5)
            while True:
                try:
                    await caller.call(caller.store.enqueue, sender, number, batch)
                    break
                except (StoreUnreachable, StoreBusy):
                    await trio.sleep(self.draw.random())
            for job in batch:
                for _ in range(self.draw.choice([0, 0, 1, 2])):
                    self.nursery.start_soon(self._wait_for, self.draw.choice(waits), job.uid)

    def _waits(self, number: int) -> TaskWaits:
        """A client that waits, over a way of its own."""
        name, link = f"client-{number}", Link(self.network)
        way: Any = LinkedCaller(link)
        ear: Any = Ear(link, name)
        hearing: Any = Hearing()
        waits = TaskWaits(lambda: way.store, lambda _: ear, deadline_s=3.0)
        waits._made = _Own(name, way, ear, hearing)
        return waits

    async def _wait_for(self, waits: TaskWaits, uid: str) -> None:
        """From some moment on; who is impatient has it go on for others."""
        await trio.sleep(self.draw.choice([0.0, 0.0, 1.0, 60.0]))
        with trio.move_on_after(self.draw.choice([5.0, math.inf, math.inf])):
            self.waiting += 1
            try:
                end = await waits.end_of(uid, None)
                self.told.append((trio.current_time(), uid, end))
            finally:
                self.waiting -= 1

    async def cancel(self) -> None:
        """Some jobs aren't wanted any more, wherever they are; each wish is sent until answered."""
        caller, number = LinkedCaller(Link(self.network)), 0
        while not self.peace.is_set():
            await trio.sleep(self.draw.expovariate(1 / 8))
            if not self.jobs:
                continue
            number += 1
            uid = self.draw.choice(list(self.jobs))
            queue, name = self.queues[uid], self.jobs[uid]
            why = encode_cancelled(uid=uid, name=name, queue=queue, reason="", by="", at_ms=0)
            unwanted = [Unwanted(uid, queue, name, why, round(KEEP_S * 1000))]
            while True:
                try:
                    (word,) = await caller.call(caller.store.cancel, "canceller", number, unwanted)
                    break
                except (StoreUnreachable, StoreBusy):
                    await trio.sleep(self.draw.random())
            self.called_off.setdefault(uid, word)

    def _new_job(self, name: str) -> NewJob:
        uid = f"job-{len(self.jobs):03d}"
        self.jobs[uid] = name
        queue = self.queues[uid] = self.draw.choice(["high", "low"])
        options = Options()
        if name == "work" and self.draw.random() < 0.5:
            self.promised.add(uid)
            options = Options(result_s=KEEP_S)
        payload = json.dumps({"s": self.draw.choice([0.0, 0.1, 1.0, 5.0, 20.0])}).encode()
        stored, big = encode(
            Record(uid, name, queue, payload, enqueued_ms=EPOCH_S * 1000, options=options)
        )
        return NewJob(uid, queue, stored, big, delay_ms=self.draw.choice([0, 0, 0, 500, 20_000]))

    # -- who hurts -----------------------------------------------------------------------------

    async def trouble(self) -> None:
        """One thing after the other goes wrong, for a while."""
        with trio.move_on_after(TROUBLE_S):
            while True:
                await trio.sleep(self.draw.expovariate(1 / 8))
                self.nursery.start_soon(self._hurt)
        self.network.weather = CALM
        await trio.sleep(4 * LEASE_S)  # what was cut off or out is so no longer
        self.peace.set()

    async def _hurt(self) -> None:
        living, draw = self.living, self.draw
        how_long = draw.random() * 3 * LEASE_S
        match draw.choice(["kill", "cut", "cut", "outage", "stop", "weather", "weather"]):
            case "kill" if living:
                victim = draw.choice(living)
                self._note(f"engine-{victim.number} is killed")
                victim.kill()
            case "cut" if living:
                victim = draw.choice(living)
                self._note(f"engine-{victim.number} is cut off for {how_long:.1f} s")
                victim.link.is_cut = True
                await trio.sleep(how_long)
                victim.link.is_cut = victim.was_killed
            case "outage" if not self.network.is_out:
                self._note(f"the server is away for {how_long:.1f} s")
                self.network.is_out = True
                await trio.sleep(how_long)
                self.network.is_out = False
            case "stop" if living:
                victim = draw.choice(living)
                self._note(f"engine-{victim.number} is told to stop")
                victim.stop()
            case "weather":
                self.network.weather = bad_weather(draw)
                self._note(f"the weather is {self.network.weather}")
            case _:
                pass

    def _note(self, what: str) -> None:
        self.hurts.append((trio.current_time(), what))

    # -- the end -------------------------------------------------------------------------------

    async def until_all_is_done(self) -> None:
        """Wait until peace has come and every job has ended, but not for ever."""
        await self.peace.wait()
        for _ in range(PEACE_S):
            is_over = self.store.space.jobs.keys() <= self.store.space.dead.keys()
            if is_over and not self.waiting:
                break
            await trio.sleep(1.0)


def bad_weather(draw: random.Random) -> Weather:
    bad = draw.choice([0.0, 0.02, 0.05, 0.15])
    return Weather(
        {
            "request lost": bad, "reply lost": bad, "late": bad, "twice": 2 * bad,
            "refused": bad / 2,
        },
        delay_s=draw.choice([0.001, 0.05, 0.5]),
    )  # fmt: skip


class _Boots(dict[str, str]):
    """Finds the boot of a token on the server, where it is registered while its job begins."""

    def __init__(self, store: TracedStore) -> None:
        super().__init__()
        self._store = store

    def __missing__(self, token: str) -> str:
        boot = next(b for b in self._store.signs if b.rpartition(".")[2] == token)
        self[token] = boot
        return boot


async def _play(seed: int) -> World:
    draw = random.Random(seed)
    options = StoreOptions(keep_done=0)
    store = TracedStore(options, lambda: EPOCH_S + trio.current_time())
    async with trio.open_nursery() as nursery:
        network = Network(store, draw, bad_weather(draw), nursery)
        world = World(seed, draw, nursery, store, network, boots=_Boots(store))
        world.workers = draw.choice([1, 2, 4, 8])
        for slot in range(draw.randint(1, 4)):
            nursery.start_soon(world.engine_again_and_again, slot)
        nursery.start_soon(world.trouble)
        nursery.start_soon(world.cancel)
        await world.enqueue(draw.randint(20, 60))
        await world.until_all_is_done()
        for process in world.living:
            process.stop()
        await trio.sleep(30.0)
        for uid in world.jobs:
            (world.kept[uid],) = store.wait_for("who looks at the end", [(uid, None)])
        nursery.cancel_scope.cancel()
    return world


def play(seed: int) -> World:
    """One run; the same again for the same seed."""
    draw = random.Random(seed)
    random.seed(seed)
    # Trio shuffles what could run next. This is its switch for Hypothesis, which wants the same
    # as we do.
    with (
        patch.object(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        patch.object(secrets, "token_hex", lambda n=16: draw.randbytes(n).hex()),
    ):
        trio_run._r.seed(seed)
        return trio.run(_play, seed, clock=MockClock(autojump_threshold=0))
