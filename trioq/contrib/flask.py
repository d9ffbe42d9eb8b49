"""A client for the views of Flask, and the application's context around handlers.

jobs = Trioq()  # jobs.init_app(app), or Trioq(app)
app_context(handlers, "shop.web:create_app")
"""

from __future__ import annotations

import pkgutil
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import trioq

try:
    from flask import Flask, current_app
except ModuleNotFoundError as error:
    told = "trioq.contrib.flask needs Flask: pip install 'trioq[flask]'"
    raise ModuleNotFoundError(told, name=error.name) from error

_PLACE = re.compile(r"\w+(\.\w+)*(:\w+(\.\w+)*)?")


class Trioq:
    """An extension: each application has a client, which its ``config`` opens.

    ``TRIOQ_CONFIG`` is a configuration, or its file; or there are ``TRIOQ_URL`` and
    ``TRIOQ_NAMESPACE``. ``TRIOQ_PATIENCE``: seconds, as of :func:`trioq.connect_sync`. Nothing is
    connected before it is needed, and processes that are forked may use it.
    """

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give an application its client.

        Raises:
          ConfigError: The configuration is wrong.
        """
        config, url = app.config.get("TRIOQ_CONFIG"), app.config.get("TRIOQ_URL")
        if (config is None) == (url is None):
            raise RuntimeError(
                'app.config["TRIOQ_CONFIG"] has to name a configuration ("jobqueue.toml"), or'
                ' app.config["TRIOQ_URL"] a Redis, before init_app; not both'
            )
        client = app.extensions["trioq"] = trioq.connect_sync(
            config,
            url=url,
            namespace=app.config.get("TRIOQ_NAMESPACE"),
            patience=app.config.get("TRIOQ_PATIENCE"),
        )
        weakref.finalize(app, client.close)

    @property
    def client(self) -> trioq.SyncClient:
        """The client of the application whose context this is."""
        if not current_app:
            raise RuntimeError(
                "no application's context is here, and so no client: views have one, handlers do"
                " by app_context(handlers, app), other code by `with app.app_context():`"
            )
        if "trioq" not in current_app.extensions:
            raise RuntimeError(f"{current_app.name!r} has no client of trioq: call init_app(app)")
        client: trioq.SyncClient = current_app.extensions["trioq"]
        return client


def app_context(handlers: trioq.App, app: Flask | Callable[[], Flask] | str) -> None:
    """Have each run of an app's handlers be in a context of an application.

    Args:
      handlers: The app that has the handlers.
      app: The application; or what makes it, which is called once in each process, by the first
          job; or where either is, as ``"shop.web:create_app"``, which is imported then.

    Raises:
      TypeError, ValueError: It can't be any of them.
    """
    if not isinstance(handlers, trioq.App):
        raise TypeError(f"app_context(app, flask_app): first the trioq.App; got {handlers!r}")
    if isinstance(app, str) and not _PLACE.fullmatch(app):
        raise ValueError(f'app_context: where it is, without (), as "web:create_app"; got {app!r}')
    if not isinstance(app, str) and not callable(app):
        raise TypeError(f"app_context: a Flask, what makes it, or where that is; got {app!r}")
    making, made = threading.Lock(), list[Flask]()

    @handlers.middleware
    def in_context(job: trioq.Job) -> Iterator[None]:
        with making:
            if not made:
                made.append(_application(app))
        with made[0].app_context():
            yield


def _application(app: Flask | Callable[[], Flask] | str) -> Flask:
    found: Any = pkgutil.resolve_name(app) if isinstance(app, str) else app
    made = found() if callable(found) and not isinstance(found, Flask) else found
    if not isinstance(made, Flask):
        raise TypeError(f"app_context: {app!r} is to be or to make a Flask; it made {made!r}")
    return made
