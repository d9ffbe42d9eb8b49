"""``trioq bench --clear``: forgets the namespaces of benchmarks that were killed."""

from __future__ import annotations

from collections.abc import Iterator

import click

from trioq.cli.bulk import Pace, confirm, through
from trioq.cli.common import opened, show_json
from trioq.doctor.finding import some
from trioq.store.inspect import bench_keys
from trioq.store.redis import RedisStore

#: Keys forgotten by one request. The server frees what is in them beside its work.
PAGE = 100


def clear(config: str, *, yes: bool, as_json: bool) -> None:
    """Ask, and forget them."""
    with opened(config) as there:
        store = there.admin.store
        found = bench_keys(store)
        keys = [key for of_one in found.values() for key in of_one]
        if found:
            where = f"{some(found)} ({there.connector.description})"
            confirm(f"Forget {where}? A benchmark that runs now fails.", yes=yes)
            through(_unlinked(store, keys), Pace(None), total=len(keys), done_word="forgotten")
    if as_json:
        show_json({"cleared": [*found], "keys": len(keys)})
    elif found:
        click.echo(f"forgot {len(keys):,} keys of {len(found):,} benchmark(s)")
    else:
        click.echo("no benchmark has left anything behind")


def _unlinked(store: RedisStore, keys: list[str]) -> Iterator[int]:
    for start in range(0, len(keys), PAGE):
        page = keys[start : start + PAGE]
        store.lane.call("UNLINK", *page)
        yield len(page)
