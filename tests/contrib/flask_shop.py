"""A program of Flask with handlers, as one might be written. Runners import it."""

from __future__ import annotations

import threading

from flask import Flask, current_app, g

import trioq
from trioq.contrib.flask import Trioq, app_context

jobs = Trioq()
handlers = trioq.App()
made: list[Flask] = []
ended: list[str] = []
"""How contexts were left."""


def create_app() -> Flask:
    app = Flask("shop")
    app.config.update(TRIOQ_URL="redis://nowhere.invalid", TRIOQ_NAMESPACE="t")
    jobs.init_app(app)
    app.teardown_appcontext(lambda error: ended.append(repr(error)))
    made.append(app)
    return app


app_context(handlers, f"{__name__}:create_app")


def told() -> str:
    """What there is of a context: how often it was asked for, for one."""
    g.asked = g.get("asked", 0) + 1
    assert jobs.client is current_app.extensions["trioq"]
    return f"{current_app.name} {g.asked}"


@handlers.job
def in_thread() -> str:
    assert threading.current_thread() is not threading.main_thread()
    return told()


@handlers.job
async def in_trio() -> str:
    return told()


@handlers.job(runtime="asyncio")
async def in_asyncio() -> str:
    return told()


@handlers.job(isolation="process")
def apart() -> str:
    return told()


@handlers.job(retry=trioq.Retry(max_attempts=1))
def failing() -> None:
    raise OSError(told())
