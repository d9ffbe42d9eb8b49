"""Which handlers there are: the built-in ones, commands, the app's, and those of live engines."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from trioq.app import App
from trioq.apps import load_app
from trioq.core.config import Config
from trioq.core.config.rules import nearest
from trioq.core.flow import Plan, flow
from trioq.core.formats import engine_info
from trioq.engine.handlers import Handler
from trioq.errors import ConfigError
from trioq.registry import registry
from trioq.store.redis import RedisStore


@attrs.frozen
class Known:
    """Names of handlers, as far as they can be known here."""

    handlers: Mapping[str, Handler]
    """Those known here."""
    problem: str
    """Why the app's handlers aren't among them; empty: they are."""

    def queue(self, name: str) -> str | None:
        """Where the jobs of this name go that don't say; None: its handler doesn't, either."""
        return self.handlers[name].queue if name in self.handlers else None

    def plan(self, config: Config, name: str, queue: str) -> Plan:
        """What the jobs of this name take of limits in this queue."""
        own = self.handlers[name].limits if name in self.handlers else ()
        return flow(config).plan(name, queue, own)

    def id_from(self, name: str) -> tuple[str, ...]:
        """The fields of which the ids of its jobs are made."""
        return self.handlers[name].id_from if name in self.handlers else ()

    def warning(self, name: str, engines: frozenset[str]) -> str:
        """What to tell who enqueues a job of this name; empty: nothing.

        Args:
          engines: The names that live engines know.
        """
        names = {*self.handlers, *engines}
        if name in names:
            return ""
        close = nearest(name, sorted(names))
        hints = [f"did you mean {close!r}?"] if close else []
        hints += [self.problem] if self.problem else []
        return f"no handler {name!r} is known" + (f" ({'; '.join(hints)})" if hints else "")


def known_here(config: Config) -> Known:
    """The handlers of this configuration; those of the app if it can be imported."""
    app: App = App()
    problem = ""
    if config.app:
        try:
            app = load_app(config.app, config.directory)
        except ConfigError as error:
            # Who enqueues needn't have the handlers' code.
            problem = error.faults[0].splitlines()[0]
    # A program may have an app that no configuration names.
    is_whole = bool(config.app) and not problem
    return Known(registry(app, config, is_whole=is_whole), problem)


def known_to_engines(store: RedisStore) -> frozenset[str]:
    """The names that live engines have registered."""
    infos = map(engine_info.decode, store.engines().values())
    return frozenset(name for info in infos for name in info.names)
