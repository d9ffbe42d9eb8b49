"""``trioq top``: a live view of a namespace in the terminal.

Three tasks share what is drawn: one looks at the server every second, one takes the keys, and
each wish of the person at the keys has one of its own. So a server that doesn't answer, or a
million dead to be revived, never holds up a key.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import attrs
import click
import trio
from rich.console import Console, Group
from rich.control import Control
from rich.screen import Screen as Whole

from trioq.cli import WRONG_USE
from trioq.cli.cancel import SAID, WHY_NOT
from trioq.cli.common import Opened, duration, fail, opened, with_config
from trioq.cli.jobs import door_facts, story
from trioq.cli.screen import is_terminal
from trioq.cli.top.keys import keys
from trioq.cli.top.screen import Screen, wrapped
from trioq.cli.top.ui import (
    Cancel,
    Listing,
    Page,
    Pause,
    Peek,
    Quit,
    Revive,
    Story,
    Ui,
    Wish,
    press,
)
from trioq.client.admin import Admin
from trioq.client.cancel import WAIT_S, CancelOutcome
from trioq.client.sync_waits import SyncWaits
from trioq.engine import from_config
from trioq.engine.bridge import ThreadCaller
from trioq.errors import StoreBusy, StoreError, StoreUnreachable
from trioq.store.inspect import DeadFilter, Overviews, Trend

T = TypeVar("T")

#: Jobs of a queue that are listed.
PEEKED = 100

#: Looks that follow each other more closely are a load, and nobody can read them.
LEAST_S = 0.1

#: How long a wish under way may hold up the end.
PATIENCE_S = 1.0


@click.command()
@with_config
@duration("--interval", "How often to look. [default: 1s]")
def top(config: str, interval: float | None) -> None:
    """Watch queues, engines and failures live, pause queues, cancel jobs, revive the dead.

    Needs a terminal; `trioq stats` prints the same for once.
    """
    if interval is not None and interval < LEAST_S:
        raise click.UsageError(f"--interval: at least {LEAST_S:g} s between two looks.")
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        fail("top needs a terminal; `trioq stats` prints to anything", WRONG_USE)
    with opened(config) as there:
        trio.run(_Top(there, interval or 1.0).run)


@attrs.define
class _Top:
    there: Opened
    interval_s: float
    ui: Ui = attrs.field(factory=Ui, init=False)
    trend: Trend = attrs.field(factory=Trend, init=False)
    away: str = attrs.field(default="", init=False)
    console: Console = attrs.field(factory=lambda: Console(color_system="standard"), init=False)
    waits: SyncWaits = attrs.field(init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _stopping: bool = attrs.field(default=False, init=False)

    @waits.default
    def _hears(self) -> SyncWaits:
        connector = self.there.connector
        return SyncWaits(lambda: connector.store("wait"), connector.listening)

    async def run(self) -> None:
        """Until ``q``, Ctrl-C or SIGTERM."""
        with (
            trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGWINCH) as signals,
            _keyboard(),
            self.console.screen(),
        ):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._look)
                nursery.start_soon(self._take_keys, nursery)
                async for number in signals:
                    if number != signal.SIGWINCH:
                        break
                    self._draw()
                self._stopping = True
                nursery.cancel_scope.cancel()

    async def _look(self) -> None:
        config, connector = self.there.config, self.there.connector
        rate = from_config.rate(config)
        overviews = Overviews(connector.store("top"), config.queue_names, rate)
        redis = config.redis
        caller = ThreadCaller(overviews.store, redis.connect_timeout_s + redis.read_timeout_s)
        while True:
            self._draw()
            try:
                self.trend.add(await caller.call(overviews.take))
                self.away = ""
            except (StoreUnreachable, StoreBusy) as error:
                self.away = str(error)
            self._draw()
            self._changed = trio.Event()
            with trio.move_on_after(self.interval_s):
                await self._changed.wait()

    async def _take_keys(self, nursery: trio.Nursery) -> None:
        fd = sys.stdin.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            data = os.read(fd, 1024)
            if not data:  # the terminal is gone
                os.kill(os.getpid(), signal.SIGTERM)
                return
            for key in keys(data):
                self.ui, wish = press(self.ui, key, self.trend.now)
                if isinstance(wish, Quit):
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
                if wish is not None:
                    nursery.start_soon(self._fulfil, wish)
            self._draw()

    async def _fulfil(self, wish: Wish) -> None:
        names = self.there.config.queue_names
        admin = Admin(self.there.connector.store("admin"), names, self.waits)
        try:
            change = await trio.to_thread.run_sync(
                self._change, admin, wish, abandon_on_cancel=True
            )
        except StoreError as error:
            self.ui = self.ui.told(f"failed: {error}")
        else:
            self.ui = change(self.ui)
        finally:
            admin.store.close()
        self._draw()
        self._changed.set()

    def _change(self, admin: Admin, wish: Wish) -> Callable[[Ui], Ui]:
        """Do it, in a thread; returns what the screen makes of it."""
        match wish:
            case Pause(queue, paused):
                changed = admin.pause(queue) if paused else admin.resume(queue)
                state = "paused" if paused else "resumed"
                return lambda ui: ui.told(
                    f"{queue} is {state}" if changed else f"{queue} was already"
                )
            case Revive(uid):
                count = 0
                for page in admin.revive(DeadFilter(uids=None if uid is None else (uid,))):
                    count += page
                    if self._stopping:
                        break
                return lambda ui: ui.told(f"{count:,} revived")
            case Cancel(uid):
                told = admin.cancel(uid, "from trioq top", wait=WAIT_S)
                said = f"{uid}: {SAID.get(told.outcome) or WHY_NOT[told.outcome]}"
                if told.outcome in (CancelOutcome.asked, None):  # it is there all the same
                    return lambda ui: ui.told(said)
                return lambda ui: ui.without(uid).told(said)
            case Story(id):
                view = admin.job(id)
                if view is None:
                    return lambda ui: ui.told(f"no job {id}: it ended too long ago, or never was")
                width, door = self.console.width, admin.door(view)
                facts = door_facts(door, self.there.config) if door else ()
                lines = tuple(part for line in story(view, facts) for part in wrapped(line, width))
                return lambda ui: ui.opened(Page(lines))
            case Peek(queue):
                views = admin.peek(queue, PEEKED)
                listed = tuple(
                    (view.uid, f"{view.uid}  {view.record.name if view.record else '?'}")
                    for view in views
                )
                return lambda ui: ui.opened(Listing(f"next in {queue}", listed))
        raise AssertionError(wish)

    def _draw(self) -> None:
        width, height = self.console.size
        where, is_plain = self.there.connector.description, self.console.options.ascii_only
        screen = Screen(width, height, where, is_plain, self.away)
        lines = screen.draw(self.trend, self.ui)
        with self.console:  # one write, over what stands there
            self.console.control(Control.home())
            self.console.print(Whole(Group(*lines)), end="")


@contextmanager
def _keyboard() -> Iterator[None]:
    """Keys come one by one and aren't shown; the terminal is as before in the end."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    stopping = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        tty.setcbreak(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTSTP, stopping)
