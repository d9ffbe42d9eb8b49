"""The pages of the reference: which public names stand together. What they say is docstrings."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import django
from django.conf import settings


@attrs.frozen
class Part:
    """A page of the reference."""

    title: str
    about: str
    names: tuple[str, ...]
    """Whole names, as one imports them."""


PARTS: Mapping[str, Part] = {
    "handlers": Part(
        "Handlers",
        "What an application registers, and what its functions see when they run.",
        (
            "trioq.App", "trioq.handler.Handler", "trioq.Call", "trioq.Job", "trioq.current_job",
            "trioq.check_cancelled", "trioq.Retry", "trioq.Breaker", "trioq.Limit", "trioq.Failure",
            "trioq.RetryLater", "trioq.GiveUp", "trioq.Snooze", "trioq.RateLimited",
        ),
    ),
    "clients": Part(
        "Clients",
        "Who enqueues, waits and cancels: from trio, from asyncio, and from ordinary code.",
        (
            "trioq.connect", "trioq.connect_sync", "trioq.aio.connect", "trioq.Client",
            "trioq.SyncClient", "trioq.aio.Client", "trioq.client.schedules.Schedules",
            "trioq.client.sync_schedules.SyncSchedules", "trioq.trace_from",
        ),
    ),
    "handles": Part(
        "Handles and ends",
        "What an enqueue gives back, and what becomes of a job.",
        (
            "trioq.Handle", "trioq.SyncHandle", "trioq.as_done", "trioq.JobEnd", "trioq.Status",
            "trioq.Progress", "trioq.CancelOutcome",
        ),
    ),
    "engines": Part(
        "Engines",
        "What runs jobs in a program of one's own; `trioq serve` is a program around it.",
        ("trioq.Engine", "trioq.aio.run_engine", "trioq.Config", "trioq.LifespanError"),
    ),
    "admin": Part(
        "Operators",
        "What the command line asks and does, for programs.",
        ("trioq.connect_admin", "trioq.Admin", "trioq.DeadFilter", "trioq.JobFilter"),
    ),
    "views": Part(
        "What operators are told",
        "What `Admin` and `Client.explain` return, to be read.",
        (
            "trioq.store.inspect.JobView", "trioq.store.inspect.Listing",
            "trioq.store.inspect.Stats", "trioq.store.inspect.Standing",
            "trioq.store.inspect.Door", "trioq.store.inspect.BreakerView",
            "trioq.store.inspect.Explanation", "trioq.store.inspect.Reason",
            "trioq.store.inspect.LimitView", "trioq.store.inspect.Room",
            "trioq.store.inspect.Pauses", "trioq.store.inspect.ScheduleView",
            "trioq.store.inspect.DeadPage", "trioq.store.inspect.LivingPage",
            "trioq.core.limits.LimitSettings", "trioq.client.cancelling.Cancelled",
        ),
    ),
    "page": Part(
        "The page",
        "Everything in a browser, and its API: as a part of a program of one's own.",
        ("trioq.web.asgi", "trioq.web.who.User", "trioq.web.who.Role"),
    ),
    "errors": Part(
        "Errors",
        "All that trioq raises is a `TrioqError`.",
        (
            "trioq.TrioqError", "trioq.ConfigError", "trioq.NotInstalled", "trioq.EnqueueError",
            "trioq.PayloadRejected", "trioq.QueueUnknown", "trioq.QueueFull", "trioq.IdTaken",
            "trioq.IdMismatch", "trioq.EnqueueUnknown", "trioq.StoreError",
            "trioq.StoreUnreachable", "trioq.StoreBusy", "trioq.StoreRefused", "trioq.StoreClosed",
            "trioq.NoResult", "trioq.NoResultKept", "trioq.JobDied", "trioq.JobCancelled",
            "trioq.JobUnknown", "trioq.ResultExpired", "trioq.ResultTooLarge", "trioq.ResultUnfit",
            "trioq.WaitTimeout",
        ),
    ),
}  # fmt: skip


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


#: Modules whose names are few, or many in the making: theirs are what they say is public.
MODULES: Mapping[str, tuple[str, str]] = {
    "testing": ("Testing", "trioq.testing"),
    "django": ("Django", "trioq.contrib.django"),
    "starlette": ("FastAPI, Starlette", "trioq.contrib.starlette"),
    "flask": ("Flask", "trioq.contrib.flask"),
    "sentry": ("Sentry", "trioq.contrib.sentry"),
}


def django_is_set_up() -> None:
    """Its backend of Tasks can only be imported where there are settings."""
    if not settings.configured:
        settings.configure(INSTALLED_APPS=["trioq.contrib.django"])
        django.setup()


def public(module_name: str) -> list[str]:
    """The public names of a module: its ``__all__``, else what it defines without an underscore."""
    module = importlib.import_module(module_name)
    if (said := getattr(module, "__all__", None)) is not None:
        return list(said)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module_name
    ]


#: What has public names.
PUBLIC = ("trioq", "trioq.aio", *(module for _, module in MODULES.values() if _is_there(module)))


def parts() -> dict[str, Part]:
    """All pages of the reference, by the names of their files."""
    django_is_set_up()
    made = dict(PARTS)
    for file, (title, module) in MODULES.items():
        if _is_there(module):
            doc = inspect.cleandoc(importlib.import_module(module).__doc__ or "")
            about = doc.partition("\n\n")[0].replace("\n", " ").replace("``", "`")
            made[file] = Part(title, about, tuple(f"{module}.{name}" for name in public(module)))
    return made


#: Classes that programs make objects of; of others, trioq does.
MADE = frozenset(
    {
        "trioq.App", "trioq.Engine", "trioq.Retry", "trioq.Breaker", "trioq.Limit",
        "trioq.DeadFilter", "trioq.JobFilter", "trioq.RetryLater", "trioq.GiveUp", "trioq.Snooze",
        "trioq.RateLimited", "trioq.contrib.flask.Trioq", "trioq.testing.World",
    }
)  # fmt: skip


def is_made(name: str) -> bool:
    """Whether a program makes objects of this class."""
    return name in MADE


@functools.cache
def homes() -> dict[str, str]:
    """Where classes and functions are defined, and what they are called here."""
    values = {name: _value(name) for part in parts().values() for name in part.names}
    return {
        f"{value.__module__}.{value.__qualname__}": name
        for name, value in values.items()
        if hasattr(value, "__qualname__")
    }


def documented() -> set[str]:
    """The names that have a place on these pages."""
    return {name for part in parts().values() for name in part.names}


def pages() -> Iterator[tuple[str, str]]:
    """The files of the reference, as Sphinx reads them."""
    made = parts()
    listed = [f"- [{part.title}]({file}.md): {part.about}" for file, part in made.items()]
    below = ["```{toctree}", ":hidden:", "", *made, "```"]
    yield "index.md", "\n".join([ABOUT, *listed, "", *below, ""])
    for file, part in made.items():
        yield f"{file}.md", f"# {part.title}\n\n{_rst(part)}"


ABOUT = """\
# Python API

Every public name of the library, with what its docstring says. Nobody may rely on what isn't here.
"""


def _rst(part: Part) -> str:
    directives = "\n\n".join(_directive(name) for name in part.names)
    return f"{part.about}\n\n```{{eval-rst}}\n{directives}\n```\n"


def _value(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _directive(name: str) -> str:
    value = _value(name)
    if inspect.isclass(value):
        members = "   :members:\n   :undoc-members:"
        if issubclass(value, BaseException):
            return f".. autoexception:: {name}\n{members}\n   :show-inheritance:"
        return f".. autoclass:: {name}\n{members}"
    if inspect.isfunction(value):
        return f".. autofunction:: {name}"
    return f".. autodata:: {name}\n   :no-value:"
