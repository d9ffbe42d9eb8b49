"""The page beside an engine, in its nursery.

It costs an engine nothing until somebody looks, and then little: it asks in threads and over
connections of its own, and what it takes to show it is imported in a thread. One process of a
machine shows it: the others of a configuration find its port marked, and go without.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from trioq import web
from trioq.core.config import Config
from trioq.core.events import PageElsewhere, PageServed, Report
from trioq.store.connector import Connector
from trioq.web import ports

#: The key that says where.
KEY = "web.bind"

SHOWN = "another process of this machine shows it there"


@attrs.define
class Beside:
    """A port that was taken for the page, or found taken by another page."""

    config: Config
    _where: tuple[str, int]
    _bound: ports.Bound | None

    @classmethod
    def bind(cls, config: Config) -> Beside | None:
        """Take the configured port, if there is one.

        Raises:
          PortError: Something that isn't a page has it, or it can't be had.
        """
        where = config.web.address
        if where is None:
            return None
        try:
            return cls(config, where, ports.bind_this(*where, KEY))
        except ports.PortError:
            if where[1] and ports.is_marked(where[1], ports.PAGE_MARK):
                return cls(config, where, None)
            raise

    @property
    def url(self) -> str:
        """Where it is shown; empty: not here."""
        return f"http://{self._bound.address}/" if self._bound else ""

    async def serve(self, connector: Connector, report: Report) -> None:
        """Show it until cancelled, and give the port up.

        Cancellation: open connections are closed at once.
        """
        if self._bound is None:
            report(PageElsewhere(ports.shown(*self._where), SHOWN))
            return
        try:
            self._bound.listener.setblocking(False)
            report(PageServed(self.url))
            await trio.lowlevel.wait_readable(self._bound.listener)
            # In a thread, since jobs run meanwhile; one that handlers can't have taken.
            one = trio.CapacityLimiter(1)
            show = await trio.to_thread.run_sync(_imported, self.config, connector, limiter=one)
            socket = trio.socket.from_stdlib_socket(self._bound.listener)
            await show(trio.SocketListener(socket))
        finally:
            self.close()

    def close(self) -> None:
        """Give the port up."""
        if self._bound is not None:
            self._bound.close()


def check_page(config: Config) -> None:
    """Look whether the page may be shown where the configuration says, if it says so.

    Raises:
      ConfigError: Others could reach it, and nobody has to say who they are.
      NotInstalled: What shows pages isn't there.
    """
    if (where := config.web.address) is None:
        return
    web.check_page_installed()
    from trioq.web.who.guard import check_bind

    check_bind(config.web, where[0])


def _imported(config: Config, connector: Connector) -> Callable[[Any], Awaitable[None]]:
    from trioq.web.application import make
    from trioq.web.desk import Desk
    from trioq.web.server import OF_PAGES, serve

    app = make(Desk(config, connector))

    async def show(listener: trio.SocketListener) -> None:
        await serve(app, listener, OF_PAGES)

    return show
