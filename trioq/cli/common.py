"""What all commands share: what they are given, how they reach the server, how they end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import attrs
import click
from click.shell_completion import CompletionItem

from trioq.cli import FAILED, WRONG_USE, silence
from trioq.cli.afar import is_api, opened_api
from trioq.client.admin import Admin, admin_of
from trioq.core import arguments, valid
from trioq.core.config import Config
from trioq.core.config.numbers import Duration
from trioq.core.config.rules import did_you_mean
from trioq.errors import ConfigError, PayloadRejected, StoreError
from trioq.settings import load
from trioq.store.checks import explain
from trioq.store.connect import open_store
from trioq.store.connector import Connector

if TYPE_CHECKING:
    from trioq.client.remote.admin import Remote

F = TypeVar("F", bound=Callable[..., Any])

# -- what they are given -----------------------------------------------------------------------


def as_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A duration as the configuration writes it: ``90``, ``1.5``, ``500ms``, ``30s``, ``5m``."""
    if value is None:
        return None
    kind = Duration()
    if not kind.allows(seconds := kind.parse(kind.from_text(value))):
        raise click.BadParameter(f'{value!r} is no duration, such as 90, "500ms", "30s" or "5m".')
    return float(seconds)


def duration(name: str, what: str) -> Callable[[F], F]:
    """An option that takes a duration and gives seconds."""
    return click.option(name, metavar="DURATION", callback=as_seconds, help=what)


def as_moment(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A moment as epoch ms: so long from now, or as ISO 8601 writes it, with its time zone."""
    if value is None:
        return None
    kind = Duration()
    said = kind.parse(kind.from_text(value))
    try:
        if isinstance(said, str):
            said = datetime.fromisoformat(said)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no moment, such as 10m (from now), or 2030-01-31T12:00:00Z."
        ) from None
    if isinstance(said, datetime) and said.utcoffset() is None:
        whole = said.isoformat()  # a day alone may have no time zone
        raise click.BadParameter(f"{value!r} names no time zone, such as {whole}Z.")
    if not isinstance(said, datetime) and not valid.AHEAD_S.allows(said):
        raise click.BadParameter(
            f"{value!r} is no time from now: expected one above 0 and at most 30 years."
        )
    try:
        return arguments.moment(str(param.name), said, time.time_ns() // 1_000_000)
    except PayloadRejected as error:
        raise click.BadParameter(f"{error}.") from None


def moment(name: str, what: str) -> Callable[[F], F]:
    """An option that takes a moment and gives it as epoch ms."""
    return click.option(name, metavar="MOMENT", callback=as_moment, help=what)


def complete_queues(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What the shell completes a queue's name to."""
    try:
        names = load(ctx.params["config"]).queue_names
    except (ConfigError, KeyError, TypeError):
        return []
    return [CompletionItem(n) for n in names if n.startswith(incomplete)]


#: No more jobs per second than a configuration may say.
FASTEST = 10_000_000


class Id(click.ParamType[str]):
    """The id of a job, as Redis can have it."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail(f"{value!r} isn't UTF-8, as every id is.", param, ctx)
        return value


ID = Id()
with_config = click.argument("config", type=click.Path())
with_queue = click.argument("queue", shell_complete=complete_queues)
with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


# -- the server --------------------------------------------------------------------------------


def first(names: Sequence[str], count: int = 20) -> str:
    """The first few of many names, as they come."""
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more:,} more" if more > 0 else "")


@attrs.frozen
class Opened:
    """A configuration and the way to its namespace."""

    config: Config
    admin: Admin
    description: str
    """Where it is."""
    _connector: Connector | None = None
    """None: it is asked over an API."""

    @property
    def connector(self) -> Connector:
        """The way to Redis.

        Raises:
          NeedsRedis: There is none.
        """
        if self._connector is None:
            from trioq.client.remote import NeedsRedis

            raise NeedsRedis
        return self._connector

    @property
    def remote(self) -> Remote | None:
        """Who asks the API; None: Redis is asked."""
        from trioq.client.remote.admin import Remote

        return self.admin if isinstance(self.admin, Remote) else None

    def known_queue(self, name: str) -> str:
        """The name, if there is such a queue; ends the command if there isn't."""
        known = self.admin.queue_names()
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {first(known)}"
            fail(f"no queue {name!r}{hint}", WRONG_USE)
        return name


@contextmanager
def opened(path: str, *, starts: bool = False) -> Iterator[Opened]:
    """What a configuration file leads to; errors of the server end the command with a line.

    Args:
      starts: Whether to start an embedded server that has no data yet. Who only looks
          mustn't make any.
    """
    if is_api(path):
        with opened_api(path) as there:
            yield there
        return
    config = load(path)
    described = config.redis.url
    try:
        with open_store(config, read_only=not starts, log=note) as connector:
            described = connector.description
            admin = admin_of(connector, config.queue_names)
            yield Opened(config, admin, described, connector)
    except StoreError as error:
        fail(explain(error, described))


# -- what they say -----------------------------------------------------------------------------


def note(message: str) -> None:
    """A line on stderr, for people. Nobody there to read it changes nothing."""
    with suppress(OSError):
        click.echo(f"trioq: {message}", err=True)


@contextmanager
def already_done() -> Iterator[None]:
    """Around the words about what a command has changed: the exit code tells what was done, also
    where the words can't be written."""
    try:
        yield
    except OSError as error:
        silence()
        if not isinstance(error, BrokenPipeError):
            note(f"this is done, but can't be told on stdout: {error.strerror or error}")


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End with one line on stderr."""
    note(message)
    sys.exit(code)


def show_json(value: Any) -> None:
    """Print for programs: one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True, default=str))


def show_json_list(values: Iterable[Any]) -> None:
    """Print one JSON list, an item at a time: there may be a million."""
    before = "["
    for value in values:
        click.echo(f"{before}\n{json.dumps(value, indent=2, default=str)}", nl=False)
        before = ","
    click.echo("\n]" if before == "," else "[]")
