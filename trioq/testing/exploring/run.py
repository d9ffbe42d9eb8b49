"""One run of a world in which something goes wrong at one step, and what can be seen of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from trioq.core.events import EngineStarted, Event
from trioq.testing.engines import Running
from trioq.testing.exploring.plan import Fault, Faults
from trioq.testing.exploring.report import event_line, title
from trioq.testing.exploring.stepped import Children, Place, stepped
from trioq.testing.life import Life, here
from trioq.testing.link import Fate
from trioq.testing.world import World

#: What goes on after it was stopped has so long before its engine's calls do, in virtual seconds,
#: and its second run waits so long for it.
AHEAD_S = 1.0

#: A second run that hasn't come so far for so long isn't waited for: it may wait for the first.
NO_SECOND_S = 600.0


@attrs.define(eq=False)
class Trial:
    """One run.

    Args:
      faults: What goes wrong in it, one after the other.
      handlers: Whose steps are counted; empty: all.
      expected: The places that a run came by to which nothing was done.
    """

    faults: Faults = ()
    handlers: frozenset[str] = frozenset()
    expected: tuple[Place, ...] = ()
    steps: list[list[Place]] = attrs.field(factory=lambda: [[]], init=False)
    """Where it came by: before the first fault, after that, …"""
    calls: list[str] = attrs.field(factory=list[str], init=False)
    """Of the store, while the job was under way."""
    struck: list[str] = attrs.field(factory=list[str], init=False)
    """Where what went wrong."""
    trace: list[str] = attrs.field(factory=list[str], init=False)
    _world: World | None = attrs.field(default=None, init=False)
    _lives: list[Life] = attrs.field(factory=list[Life], init=False)
    """In the order in which they were seen."""
    _hurt: list[Life] = attrs.field(factory=list[Life], init=False)
    """Those to which something was done."""
    _runs: list[Watched] = attrs.field(factory=list, init=False)
    _meet: Place | None = attrs.field(default=None, init=False)
    """Where the second run is to be when the first one goes on; None: it has ended."""
    _beside: Life | None = attrs.field(default=None, init=False)
    """That of the second run, while it waits there."""
    _others: int = attrs.field(default=0, init=False)
    """What is under way beside the world's own tasks."""
    _over_at: float = attrs.field(default=-1.0, init=False)
    """When the last run ended."""
    _children: Children = attrs.field(factory=Children, init=False)
    _token: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)

    def attach(self, world: World) -> None:
        """Watch the engines that this world starts from now on."""
        self._world = world
        world.wrap = self._wrap
        world.listeners = (*world.listeners, self._told)
        world.unfinished.append(lambda: self.is_under_way)

    @property
    def is_under_way(self) -> bool:
        """Whether something that was stopped hasn't come to its end."""
        return self._others > 0 or any(run.life in self._hurt and run.is_on for run in self._runs)

    @property
    def is_through(self) -> bool:
        """Whether all that was to go wrong has."""
        return len(self.struck) == len(self.faults)

    def _wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if self._token is None:  # an engine is made, in the world's trio
            self._token = trio.lowlevel.current_trio_token()
            trio.lowlevel.add_instrument(self._children)
        return stepped(name, function, self._begin)

    # -- seen of a handler, in its thread ------------------------------------------------------

    def _begin(self, name: str) -> Watched | None:
        life = here.get()
        return None if life is None else self._there(self._begun, name, life)

    def _there(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it where the world is."""
        if trio.lowlevel.in_trio_task():
            return function(*args)
        assert self._token is not None
        return trio.from_thread.run_sync(function, *args, trio_token=self._token)

    # -- the same in trio ----------------------------------------------------------------------

    def _begun(self, name: str, life: Life) -> Watched:
        if life not in self._lives:
            self._lives.append(life)
            self._running(life).link.on_call = self._fate
        run = Watched(self, life, not self.handlers or name in self.handlers)
        self._runs.append(run)
        return run

    def reached(self, run: Watched, place: Place) -> bool:
        """A handler is here. Whether it is to hear that it is cancelled."""
        if not run.is_counted:
            return False
        self._say(f"engine {1 + self._lives.index(run.life)}: {title(place)}")
        if run.life in self._hurt:
            return False
        steps = self.steps[-1]
        steps.append(place)
        if self._meet == place:
            self._meet, self._beside = None, run.life
            run.life.hold()
            self._in.look()
        if self.is_through:
            return False
        fault = self.faults[len(self.struck)]
        if fault.kind.startswith("lost") or fault.at != len(steps):
            return False
        self._strike(fault, run, place)
        return fault.kind == "cancel"

    def ended(self, run: Watched) -> None:
        run.is_on = False
        self._over_at = self._in.now
        self._in.look()

    def _strike(self, fault: Fault, run: Watched, place: Place) -> None:
        running = self._running(run.life)
        self._say(f"{'':4}{fault.kind}: engine {1 + self._lives.index(run.life)}")
        self.struck.append(title(place))
        self.steps.append([])
        self._hurt.append(run.life)
        if fault.kind == "crash":
            running.kill()
        elif fault.kind == "cancel":
            running.engine.hurry()
        else:
            running.freeze()
            self._meet = place if fault.kind == "beside" else None
            self._start(self._go_on, running, run)
        self._start(self._replace)

    async def _replace(self) -> None:
        """Another engine, if nobody else has started one."""
        await trio.sleep(AHEAD_S)
        if not any(each.is_well and each.life not in self._hurt for each in self._in.running):
            await self._in.start()

    def _start(self, function: Callable[..., Any], *args: Any) -> None:
        nursery = self._in.nursery
        assert nursery is not None
        self._others += 1

        async def counted() -> None:
            try:
                await function(*args)
            finally:
                self._others -= 1
                self._in.look()

        # Not in the handler's context, by which its own tasks are known.
        nursery.parent_task.context.copy().run(nursery.start_soon, counted)

    async def _go_on(self, running: Running, stopped: Watched) -> None:
        """Wait for the second run, and then let the first one go on."""
        with trio.move_on_after(NO_SECOND_S):
            while not self._has_come:
                await self._in.looked()
        self._meet = None  # it may have waited for the first, and comes there now
        self._say(f"{'':4}engine {1 + self._lives.index(running.life)} goes on")
        running.life.go_on()
        running.catch_up()
        with trio.move_on_after(AHEAD_S):
            while stopped.is_on:
                await self._in.looked()
        running.thaw()
        if self._beside is not None:
            self._beside.go_on()

    @property
    def _has_come(self) -> bool:
        """Whether the second run has come as far as it is waited for."""
        is_over = any(self._is_second(run) and not run.is_on for run in self._runs)
        return is_over or self._beside is not None

    def _is_second(self, run: Watched) -> bool:
        return run.is_counted and run.life not in self._hurt

    def _fate(self, call: str) -> Fate:
        """What becomes of a call of the store."""
        is_on = any(run.is_on and run.is_counted for run in self._runs)
        if call == "wait" or self._hurt or not (is_on or self._over_at == self._in.now):
            return ""
        self.calls.append(call)
        if self.is_through:
            return ""
        fault = self.faults[len(self.struck)]
        if not fault.kind.startswith("lost") or fault.at != len(self.calls):
            return ""
        what = fault.kind.removeprefix("lost-")
        self.struck.append(f"the {what} of the store's {call!r}, call {fault.at}")
        self.steps.append([])
        self._say(f"{'':4}{self.struck[-1]} gets lost")
        return what  # type: ignore[return-value]

    # -- what it needs of the world ------------------------------------------------------------

    @property
    def _in(self) -> World:
        assert self._world is not None
        return self._world

    def _running(self, life: Life) -> Running:
        return next(each for each in self._in.running if each.life is life)

    def _told(self, event: Event) -> None:
        if isinstance(event, EngineStarted):
            line = "another engine starts" if self._lives else None
        else:
            line = event_line(event)
        if line is not None:
            self._say(line)

    def _say(self, text: str) -> None:
        self.trace.append(f"{self._in.now:9.1f} s  {text}")


@attrs.define(eq=False)
class Watched:
    """One run of a handler."""

    trial: Trial
    life: Life
    is_counted: bool
    is_on: bool = True

    def reached(self, place: Place) -> bool:
        return bool(self.trial._there(self.trial.reached, self, place))

    def ended(self) -> None:
        self.trial._there(self.trial.ended, self)
