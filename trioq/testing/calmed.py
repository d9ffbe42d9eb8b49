"""The configuration of a world: the user's own, or one for the handlers, made calm."""

from __future__ import annotations

from pathlib import Path

import attrs

from trioq.app import App
from trioq.apps import load_app
from trioq.core.config import Config, QueueConfig
from trioq.core.config.sections import ReaperConfig
from trioq.settings import find, load
from trioq.testing.telling import DAY_S

#: Engines beat and look seldom, so that hours pass quickly.
LEASE_S, BEAT_S, REAPER_S = 240.0, 60.0, 60.0


def chosen(app: App | None, config: Config | Path | str | None) -> tuple[App, Config | None]:
    """The app and the configuration that are meant, as far as they are said.

    Raises:
      ConfigError: The configuration is wrong, or the app can't be imported.
    """
    if config is None:
        config = find()
    if config is not None and not isinstance(config, Config):
        config = load(config)
    if app is None:
        named = None if config is None else config.app
        app = App() if config is None or named is None else load_app(named, config.directory)
    return app, config


def of_handlers(app: App) -> Config:
    """One for these handlers."""
    names = dict.fromkeys(each.queue for each in app.handlers.values() if each.queue)
    names |= dict.fromkeys(each.queue for each in app.schedules.values() if each.queue)
    names.pop("default", None)
    return Config(queues=tuple(map(QueueConfig, [*names, "default"])))


def calm(config: Config) -> Config:
    """A configuration whose engines beat and look seldom."""
    return attrs.evolve(
        config,
        worker=attrs.evolve(
            config.worker, lease_s=LEASE_S, heartbeat_interval_s=BEAT_S, loop_stall_s=DAY_S
        ),
        reaper=ReaperConfig(interval_s=REAPER_S),
    )
