"""``trioq limits``: what is limited, how much of it is in use, and who waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import attrs
import click

from trioq.cli import WRONG_USE, Listing
from trioq.cli.afar import with_api
from trioq.cli.common import already_done, fail, first, opened, show_json, with_config, with_json
from trioq.cli.screen import ago, free_texts, numbers, plain, show_table, texts
from trioq.core.config.kinds import Kind
from trioq.core.config.rules import did_you_mean
from trioq.core.config.sections import BURST, RATE, SLOTS
from trioq.core.duration import roughly
from trioq.core.flow import allows, told_apart
from trioq.core.limiter import interval_us
from trioq.core.limits import KeyValue, LimitSettings, is_own, shown_limit, take_of
from trioq.store.inspect import LimitView, Taken, settings_json, take_in_words

F = TypeVar("F", bound=Callable[..., Any])

#: So many values of a key that are paused are told of.
PAUSES = 20

#: Jobs that are named in a cell.
NAMED = 2

#: Of what isn't as the configuration has it.
BY_HAND = ", by hand, until the next deployment"


@click.group(cls=Listing, subcommand_metavar="[set] CONFIG [ARGS]...")
def limits() -> None:
    """List limits, with what runs of each and who waits for it; `set` changes one.

    `trioq limits CONFIG` lists them.
    """


@limits.command("list")
@with_config
@with_api
@with_json
def list_(config: str, as_json: bool) -> None:
    """List limits: what each allows, how many of its jobs run and wait, and which.

    Of a limit with a key its values follow: those with settings of their own, then those that most
    jobs wait for.
    """
    with opened(config) as there:
        found = there.admin.limits()
        now_ms = there.admin.now_ms()
    if as_json:
        show_json([view.as_json() for view in found])
        return
    if not found:
        click.echo("nothing is limited")
        return
    columns = [
        *texts("limit", "allows", "since"), *numbers("running", "waiting"), *texts("next", "last"),
        *free_texts("run", "wait"),
    ]  # fmt: skip
    show_table(columns, [row for view in found for row in _rows(view, now_ms)])
    for view in found:
        name = shown_limit(view.name)
        if view.deployed and view.deployed.older:
            others = "; ".join(view.deployed.older)
            older = "engines of an older deployment live, which say"
            click.echo(plain(f"{name}: {older} {others}"))
        if view.left_out:
            click.echo(plain(f"{name}: {view.left_out:,} more values are in use"))
        for take, pause in list(view.paused.items())[:PAUSES]:
            click.echo(plain(take_in_words(take, pause)))
        if len(view.paused) > PAUSES:
            more = len(view.paused) - PAUSES
            click.echo(plain(f"{name}: {more:,} more values are paused"))


def _rows(view: LimitView, now_ms: int) -> Iterator[tuple[object, ...]]:
    own = next((taken for taken in view.takes if taken.take == view.name), None)
    if own is not None:
        yield _row(view.name, own, now_ms, *_holds(view, now_ms))
    else:
        name = shown_limit(view.name)
        yield name, *_holds(view, now_ms), view.running, view.waiting, "", "", "", ""
    for taken in view.takes:
        if taken is not own:
            yield _row(f"  {json.dumps(taken.key, ensure_ascii=False)}", taken, now_ms)


def _holds(view: LimitView, now_ms: int) -> tuple[str, str]:
    """What it allows, and since when."""
    allowed, since_ms = _allows(view.settings), view.since_ms
    if is_own(view.name):
        return f"{allowed}, of trioq's own", ""
    if view.deployed is None and view.settings is not None:
        allowed += ", and no engine has it"
    elif view.is_by_hand:
        allowed += BY_HAND
    elif view.deployed is not None:
        since_ms = view.deployed.since_ms
    return allowed, ago(since_ms, now_ms) if since_ms else ""


def _row(
    name: str, taken: Taken, now_ms: int, allowed: str = "", since: str = ""
) -> tuple[object, ...]:
    starts = [_in(at_ms, now_ms) for at_ms in (taken.next_ms, taken.last_ms)]
    allowed = allowed or _allows(taken.settings) + (BY_HAND if taken.has_own else "")
    return (
        name, allowed, since, taken.running, taken.waiting, *starts,
        first(list(map(taken.id_of, taken.holders)), NAMED),
        first(list(map(taken.id_of, taken.first)), NAMED),
    )  # fmt: skip


def _in(at_ms: int | None, now_ms: int) -> str:
    return "" if at_ms is None or at_ms <= now_ms else f"in {roughly((at_ms - now_ms) / 1000)}"


def _allows(settings: LimitSettings | None) -> str:
    return "any: nobody has told of it" if settings is None else allows(settings)


def _written(kind: Kind, *, lifts: bool) -> Callable[..., Any]:
    """What an option is set to; 0 for ``none``, None where it isn't given."""

    def read(ctx: click.Context, param: click.Parameter, text: str | None) -> Any:
        if text is None or (lifts and text == "none"):
            return None if text is None else 0
        value = kind.parse(kind.from_text(text))
        for _, message in kind.problems(value, text):
            raise click.BadParameter(f"{message}.")
        return value

    return read


def _option(name: str, kind: Kind, what: str, *, lifts: bool = True) -> Callable[[F], F]:
    read = _written(kind, lifts=lifts)
    return click.option(name, metavar=name[2:].upper(), callback=read, help=what)


def key_value(ctx: click.Context, param: click.Parameter, text: str | None) -> KeyValue:
    """One value of a key: JSON, or else the text itself."""
    if text is None:
        return None
    try:
        value = told_apart(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError):
        value = told_apart(text)
    if value is None:
        raise click.BadParameter("a job that has null there isn't bound by the limit.")
    try:
        take_of("", value)
    except ValueError as error:
        raise click.BadParameter(f"{text}: {error}.") from None
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


@limits.command("set")
@with_config
@with_api
@click.argument("name")
@click.option("--key", metavar="VALUE", callback=key_value,
              help="For jobs with this value of its key alone: JSON, or a text.")  # fmt: skip
@_option("--rate", RATE, 'Starts per second, or "5/m", "1000/h"; none: at any rate.')
@_option("--burst", BURST, "Starts at once after a quiet time.", lifts=False)
@_option("--concurrency", SLOTS, "Jobs that run at a time; none: any number.")
@with_json
def set_(
    *,
    config: str,
    name: str,
    key: KeyValue,
    rate: float | None,
    burst: int | None,
    concurrency: int | None,
    as_json: bool,
) -> None:
    """Change the limit NAME, for all engines, until the next deployment.

    That is one whose configuration says something else of it; engines that are started with the
    same change nothing. With --key only its share for one value is changed. What isn't given
    stays. Who runs runs on: where more run than it allows now, none starts until there is room.
    """
    if rate is None and burst is None and concurrency is None:
        raise click.UsageError("Say what to change: --rate, --burst or --concurrency.")
    if is_own(name):
        fail(f"the limit {name!r} is trioq's own: nobody sets it", WRONG_USE)
    with opened(config) as there:
        views = {view.name: view for view in there.admin.limits()}
        if name not in views:
            told = did_you_mean(name, views) or f"; there are {first(sorted(views))}"
            fail(f"no limit {name!r}" + (told if views else ": nothing is limited"), WRONG_USE)
        limit = views[name]
        if key is not None and (limit.settings is None or not limit.settings.keyed):
            state = "no engine has told of" if limit.settings is None else "there is no key of"
            fail(f"{state} the limit {name!r}: nothing can be set for one value", WRONG_USE)
        of_values = any(taken.take != name for taken in limit.takes)
        settings = there.admin.limit(name, key) or LimitSettings(keyed=of_values)
        if rate is not None:
            settings = attrs.evolve(settings, interval_us=interval_us(rate) if rate else 0)
        if burst is not None:
            settings = attrs.evolve(settings, burst=burst)
            if burst != 1 and not settings.interval_us:
                fail("--burst: only used with a rate: say --rate, too", WRONG_USE)
        if concurrency is not None:
            settings = attrs.evolve(settings, concurrency=concurrency)
        if not there.admin.set_limit(name, settings, key=key):
            fail(f"{name} has been changed meanwhile: nothing was set")
    with already_done():
        if as_json:
            show_json({"name": name, "key": key, **settings_json(settings)})
        else:
            of = "" if key is None else f" for {json.dumps(key, ensure_ascii=False)}"
            click.echo(plain(f"{name}{of}: {allows(settings)}"))
