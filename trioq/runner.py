"""``python -m trioq.runner APP LINE LIFE``: a process of an engine that runs one job at a time.

Only engines start it: :mod:`trioq.isolation` says what it is told, and
:mod:`trioq.engine.handlers.runners` what it does.
"""

from __future__ import annotations

import contextlib
import io
import resource
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trioq.app import App
from trioq.core.job import Headers
from trioq.counted import counting
from trioq.engine.handlers import Function
from trioq.engine.handlers.runners.frames import encode, receive_first
from trioq.engine.handlers.runners.inside import die_with, heed_nobody, work
from trioq.errors import ConfigError
from trioq.importing import import_object
from trioq.lines import flush

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
        handlers = _prepared(first)
    except ConfigError as error:
        line.sendall(encode({"refused": str(error)}))
        sys.exit(MISCONFIGURED)
    work(line, handlers, around=_in_its_trace, limits_memory=first["memory"] is not None)
    flush()


def _prepared(first: dict[str, Any]) -> Mapping[str, Function]:
    """What the engine has before it runs: limits, the path, where log lines go, the handlers."""
    sys.path[:] = first["path"]
    if first["memory"] is not None:
        _limit_memory(first["memory"])
    if first["log"] is not None:
        from trioq.observe.log_setup import take_over

        level, form, namespace = first["log"]
        take_over(level, form, namespace=namespace)
    app = import_object(first["app"], [Path(place) for place in first["path"][:2]], key="app")
    if not isinstance(app, App):
        raise ConfigError([f"app: {first['app']!r} is a {type(app).__name__}, not a trioq.App"])
    counted = first["counted"]
    return {
        name: counting(function, counted[name], ()) if name in counted else function
        for name, function in app.handlers.items()
        if function.isolation == "process"
    }


def _limit_memory(most: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextlib.contextmanager
def _in_its_trace(headers: Headers) -> Iterator[None]:
    """The run's span, which the engine makes, is current for what the handler makes."""
    if not headers:
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
