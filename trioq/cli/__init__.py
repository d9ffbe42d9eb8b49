"""``trioq``: the command line.

Commands are imported when they are used, so that ``trioq --help`` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version

import click

#: Command → the module and attribute it lives in.
COMMANDS: Mapping[str, str] = {
    "serve": "trioq.cli.serve:serve",
    "bench": "trioq.cli.bench:bench",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("trioq"), prog_name="trioq")
def cli() -> None:
    """A structured-concurrency job queue on trio and Redis or Valkey."""


def main() -> None:
    """Run the command line; its errors end as one line each, without a traceback."""
    from trioq.cli.common import fail, fail_config
    from trioq.errors import ConfigError, TrioqError

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        fail_config(error)
    except TrioqError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
