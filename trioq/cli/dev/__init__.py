"""``trioq dev``: an engine that runs what somebody is about to write.

It runs in the process that was started, at its terminal, so that debuggers work. When the code
has changed and can be loaded, the engine drains, and the process begins again in its place:
docs/decisions/24-dev.md.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from trioq.cli.common import fail


@click.command()
@click.argument("config", type=click.Path())
@click.option(
    "--watch", "watched", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="A file, or a directory with all that is below it, which is read by the code.",
)  # fmt: skip
@click.option("--try", "is_trial", is_flag=True, hidden=True)
def dev(config: str, *, watched: tuple[Path, ...], is_trial: bool) -> None:
    """Run an engine that runs what you change.

    When a file of the project has been changed, running jobs have 2 seconds; then they are given
    back, and the engine starts with the new code. As long as that can't be loaded the old one
    runs on. breakpoint() works. Ctrl-C lets running jobs end for 2 seconds, a second one cuts that
    short, and a third ends it at once.
    """
    if is_trial:
        from trioq.cli.dev.trial import end

        end(config)
    if os.name != "posix":
        fail("trioq dev needs Unix: no process can take another's place here")
    began_ns = time.time_ns()
    from trioq.cli.dev.again import Again, heed
    from trioq.cli.dev.running import run

    heed()
    options = [word for path in watched for word in ("--watch", str(path))]
    run(config, [path.absolute() for path in watched], Again([*options, "--", config]), began_ns)
