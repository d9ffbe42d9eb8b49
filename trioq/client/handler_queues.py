"""Which queue the jobs of a handler go to that is enqueued by its name, and what limits them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from trioq.core.config import Config
from trioq.core.flow import Limit
from trioq.errors import ConfigError

if TYPE_CHECKING:
    from trioq.engine.handlers import Function


@attrs.define
class HandlerQueues:
    """The queues that handlers ask for, as far as the configuration knows them.

    The app that it names is imported when a job is enqueued by a name that is no configured
    command's, and only then. Who enqueues needn't have the handlers' code: where it can't be
    imported, there is a warning, once.
    """

    config: Config
    _of_app: Mapping[str, Function] | None = attrs.field(default=None, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def know(self, handlers: Mapping[str, Function]) -> None:
        """These are the app's: nobody has to import it."""
        self._of_app = handlers

    def is_known(self, name: str) -> bool:
        """Whether it can be told without importing anything."""
        return name in self.config.commands or not self.config.app or self._of_app is not None

    def of(self, name: str) -> str | None:
        """The queue that the handler of this name asks for; None: none, or nobody knows."""
        if command := self.config.commands.get(name):
            return command.queue
        handler = self._known_to_app().get(name)
        return None if handler is None else handler.queue

    def limits(self, name: str) -> tuple[Limit, ...]:
        """What the handler of this name asks for itself, as far as that is known without importing
        anything: what isn't known here the first engine finds out that claims the job."""
        handler = (self._of_app or {}).get(name)
        return () if handler is None else handler.limits

    def id_from(self, name: str) -> tuple[str, ...]:
        """Of what the ids of this handler's jobs are made, as far as that is known likewise."""
        handler = (self._of_app or {}).get(name)
        return () if handler is None else handler.id_from

    def _known_to_app(self) -> Mapping[str, Function]:
        with self._lock:
            if self._of_app is None:
                self._of_app = self._import()
            return self._of_app

    def _import(self) -> Mapping[str, Function]:
        if not self.config.app:
            return {}
        from trioq.apps import load_app  # it brings with it all that runs handlers

        try:
            app = load_app(self.config.app, self.config.directory)
        except ConfigError as error:
            said = error.faults[0].splitlines()[0]
            warnings.warn(
                f"{said}; jobs that are enqueued by name go to"
                f" {self.config.default_queue!r} unless a queue is named",
                RuntimeWarning,
                stacklevel=2,
            )
            return {}
        return app.handlers
