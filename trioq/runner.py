"""``python -m trioq.runner APP LINE LIFE``: a process of an engine that runs one job at a time.

Only engines start it: :mod:`trioq.isolation` says what it is told, and
:mod:`trioq.engine.handlers.runners` what it does.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import socket
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trioq.app import App
from trioq.apps import load_from
from trioq.client.of_engine import EngineClients
from trioq.core.config import Config
from trioq.core.events import Event, LifespanFailed, LifespanSlow, Report
from trioq.core.job import Headers
from trioq.counted import counting
from trioq.engine.handlers import Function, Lifespans
from trioq.engine.handlers.runners import runner
from trioq.engine.handlers.runners.frames import encode, receive_first
from trioq.engine.handlers.runners.inside import die_with, heed_nobody, work
from trioq.errors import ConfigError, LifespanError
from trioq.lines import flush

#: Its engine waits a second longer, and then it is killed.
LEAVE_S = runner.LEAVE_S - 1.0

#: EX_CONFIG of sysexits.h.
MISCONFIGURED = 78


def main() -> None:
    """Become a runner, on the two descriptors that were inherited."""
    _, _, line_fd, life_fd = sys.argv
    heed_nobody()
    die_with(int(life_fd))
    line = socket.socket(fileno=int(line_fd))
    line.set_inheritable(False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what was printed before a crash is seen
    try:
        first = receive_first(line)
    except (OSError, ValueError):  # the engine has changed its mind
        return
    try:
        app, handlers, report = _prepared(first)
    except ConfigError as error:
        line.sendall(encode({"refused": str(error)}))
        sys.exit(MISCONFIGURED)
    here = {function.lifespan for function in handlers.values()}
    lifespans = Lifespans((each for each in app.lifespans if each in here), leave_s=LEAVE_S)
    clients = EngineClients(lambda: _config(*first["config"]), app.handlers)
    try:
        work(
            line,
            handlers,
            around=_in_its_trace,
            clients=clients,
            lifespans=lifespans,
            report=report,
            limits_memory=first["memory"] is not None,
        )
    except LifespanError as error:
        sys.exit(str(error))
    finally:
        flush()


def _prepared(first: dict[str, Any]) -> tuple[App, Mapping[str, Function], Report]:
    """What the engine has before it runs: limits, the path, where log lines go; the app, and which
    of its handlers run here."""
    report: Report = _print
    sys.path[:] = first["path"]
    if first["memory"] is not None:
        _limit_memory(first["memory"])
    if first["log"] is not None:
        from trioq.observe.log_setup import take_over
        from trioq.observe.logs import LogLines

        level, form, namespace = first["log"]
        report = LogLines(take_over(level, form, namespace=namespace, runner=os.getpid()))
    app = load_from(first["app"], [Path(place) for place in first["path"][:2]])
    counted = first["counted"]
    handlers = {
        name: counting(function, counted[name], ()) if name in counted else function
        for name, function in app.handlers.items()
        if function.isolation == "process"
    }
    return app, handlers, report


def _print(event: Event) -> None:
    """Where nobody has said how log lines look."""
    if isinstance(event, LifespanFailed):
        print(f"{event.told}\n{event.traceback}", file=sys.stderr)
    elif isinstance(event, LifespanSlow):
        told = f"{event.doing} the lifespan {event.lifespan} for {event.seconds:.0f} s"
        print(told, file=sys.stderr)


def _config(text: str, directory: str) -> Config:
    """The engine's."""
    from trioq.settings.read import read_again

    return read_again(text, Path(directory))


def _limit_memory(most: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextlib.contextmanager
def _in_its_trace(headers: Headers) -> Iterator[None]:
    """The run's span, which the engine makes, is current for what the handler makes."""
    if not headers or find_spec("opentelemetry") is None:
        yield
        return
    from opentelemetry.context import attach, detach

    from trioq.observe.spans import context_of

    token = attach(context_of(headers))
    try:
        yield
    finally:
        detach(token)


if __name__ == "__main__":
    main()
