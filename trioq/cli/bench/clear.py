"""``trioq bench --clear``: forgets the namespaces of benchmarks that were killed."""

from __future__ import annotations

import click

from trioq.cli.bulk import Pace, confirm, through
from trioq.cli.common import opened, show_json
from trioq.doctor.finding import some
from trioq.store.benches import bench_keys, forget_keys


def clear(config: str, *, yes: bool, as_json: bool) -> None:
    """Ask, and forget them."""
    with opened(config) as there:
        store = there.admin.store
        found = bench_keys(store)
        keys = [key for of_one in found.values() for key in of_one]
        if found:
            where = f"{some(found)} ({there.connector.description})"
            confirm(f"Forget {where}? A benchmark that runs now fails.", yes=yes)
            through(forget_keys(store, keys), Pace(None), total=len(keys), done_word="forgotten")
    if as_json:
        show_json({"cleared": [*found], "keys": len(keys)})
    elif found:
        click.echo(f"forgot {len(keys):,} keys of {len(found):,} benchmark(s)")
    else:
        click.echo("no benchmark has left anything behind")
