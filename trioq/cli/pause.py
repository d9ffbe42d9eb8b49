"""``trioq pause`` and ``resume``: a queue, the jobs of a name, or those with one value of a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from trioq.cli import WRONG_USE
from trioq.cli.afar import with_api
from trioq.cli.common import (
    Opened,
    already_done,
    as_seconds,
    complete_queues,
    fail,
    first,
    note,
    opened,
    show_json,
    with_config,
    with_json,
)
from trioq.cli.limits import key_value
from trioq.cli.screen import plain
from trioq.core.config import Config
from trioq.core.config.rules import did_you_mean
from trioq.core.formats.pause import NOTE_MAX
from trioq.core.limits import KeyValue, key_of, limit_of

with_queue = click.argument("queue", required=False, shell_complete=complete_queues)
with_job = click.option("--job", metavar="NAME", help="The jobs of this name, in all queues.")
with_key = click.option("--key", metavar="VALUE", callback=key_value,
                        help="Jobs with this value of a limit's key: JSON, or a text.")  # fmt: skip
with_limit = click.option("--limit", metavar="NAME",
                          help="Whose key that is, where several limits have one.")  # fmt: skip

#: How many may run of a limit that is there to be paused.
NEVER_REACHED = 100000

WHICH = "Say which: a QUEUE, --job NAME, or --key VALUE."


@click.command()
@with_config
@with_api
@with_queue
@with_job
@with_key
@with_limit
@click.option("--for", "lasts", metavar="DURATION", callback=as_seconds,
              help="How long, by the server's clock. Default: until it is resumed.")  # fmt: skip
@click.option("--note", "why", metavar="TEXT", default="", help="Why, for whoever wonders.")
@with_json
def pause(
    *,
    config: str,
    queue: str | None,
    job: str | None,
    key: KeyValue,
    limit: str | None,
    lasts: float | None,
    why: str,
    as_json: bool,
) -> None:
    """Stop claiming from QUEUE, running the jobs of a name, or those with one value of a limit's
    key, on all engines.

    Running jobs run on, and it still fills. With none of them, show what is paused: by whom, since
    when, why, and until when.
    """
    if len(why) > NOTE_MAX:
        raise click.UsageError(f"The note has {len(why):,} characters: {NOTE_MAX} at most.")
    if lasts is not None and lasts <= 0:
        raise click.UsageError("--for 0 is no time: say one above 0.")
    with opened(config) as there:
        if (queue, job, key, limit) == (None, None, None, None):
            if why or lasts is not None:
                raise click.UsageError(WHICH)
            _show(there, as_json)
            return
        what = _meant(there, queue, job, key, limit, limits=there.admin.keyed_limits)
        changed = there.admin.pause(**what, lasts=lasts, note=why)
    _tell(what, changed, "paused", as_json)


@click.command()
@with_config
@with_api
@with_queue
@with_job
@with_key
@with_limit
@with_json
def resume(
    *,
    config: str,
    queue: str | None,
    job: str | None,
    key: KeyValue,
    limit: str | None,
    as_json: bool,
) -> None:
    """Claim from QUEUE, run the jobs of a name, or those with one value of a limit's key, again."""
    with opened(config) as there:

        def limits_of_key() -> list[str]:
            """Those for which it is paused; those with a key, if it isn't."""
            paused = there.admin.pauses().takes
            found = [limit_of(take) for take in paused if key_of(take) == key]
            if found and limit is None:
                return found
            return list(dict.fromkeys((*found, *there.admin.keyed_limits())))

        what = _meant(there, queue, job, key, limit, limits=limits_of_key)
        changed = there.admin.resume(**what)
    _tell(what, changed, "not paused", as_json)


def _meant(
    there: Opened,
    queue: str | None,
    job: str | None,
    key: KeyValue,
    limit: str | None,
    *,
    limits: Callable[[], list[str]],
) -> dict[str, Any]:
    """What a command is about; ends it if there is no such queue, or limit.

    Args:
      limits: Those that may be meant where only a key's value is said.
    """
    if [queue, job, key].count(None) != 2:
        raise click.UsageError(WHICH)
    if limit is not None and key is None:
        raise click.UsageError("--limit says whose --key is meant: say that too.")
    if key is not None:
        found = limits()
        if not found:
            fail(_no_key(there.config), WRONG_USE)
        return {"limit": _limit(limit, found), "key": key}
    if job is None:
        return {"queue": there.known_queue(queue or "")}
    if not job:
        fail("no job has an empty name", WRONG_USE)
    known = there.admin.stats().names
    if job not in known:
        # It may be that of engines that are still to come, or of none that lives.
        note(f"no engine knows {job!r} now{did_you_mean(job, known)}")
    return {"job": job}


def _limit(limit: str | None, found: list[str]) -> str:
    """Whose key is meant."""
    if limit is None and len(found) > 1:
        fail(f"several limits have a key: say which with --limit: {', '.join(found)}", WRONG_USE)
    if limit is not None and limit not in found:
        near = did_you_mean(limit, found) or f"; there are {', '.join(found)}"
        fail(f"no limit {limit!r} has a key{near}", WRONG_USE)
    return limit or found[0]


def _no_key(config: Config) -> str:
    """What to do where no limit that engines have told of has a key."""
    if named := [name for name, limit in config.limits.items() if limit.key is not None]:
        return (
            f"no engine has told of a limit with a key, and the configuration has {first(named)}:"
            " start an engine with it"
        )
    fair = next(((queue.name, queue.fair) for queue in config.queues if queue.fair), None)
    queue, field = fair or (config.queues[0].name, "tenant")
    why = f"no limit has a key, and turns ({queue}: fair = {json.dumps(field)}) can't be paused"
    return (
        f"{why if fair else 'no limit has a key'}: give the jobs one that they never reach, and"
        f" restart the engines: [limits.each] queue = {json.dumps(queue)}, key ="
        f" {json.dumps(field)}, concurrency = {NEVER_REACHED} (docs/limits.md)"
    )


def _tell(what: dict[str, Any], changed: bool, state: str, as_json: bool) -> None:
    with already_done():
        if as_json:
            show_json({**what, "paused": state == "paused", "changed": changed})
        else:
            name = (
                f"{what['limit']} for {json.dumps(what['key'], ensure_ascii=False)}"
                if "key" in what
                else next(iter(what.values()))
            )
            click.echo(plain(f"{name} is {state}") + ("" if changed else ", as it was before"))


def _show(there: Opened, as_json: bool) -> None:
    """What is paused."""
    paused = there.admin.pauses()
    if as_json:
        show_json(paused.as_json())
        return
    for line in paused.in_words() or ["nothing is paused"]:
        click.echo(plain(line))
