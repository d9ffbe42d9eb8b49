"""``trioq config``: check, show and describe configurations. Nothing is started."""

from __future__ import annotations

import json

import click
import tomli

from trioq.app import App
from trioq.apps import load_app
from trioq.cli import WRONG_USE, Group
from trioq.cli.common import note, show_json, with_config, with_json
from trioq.core.config import Config
from trioq.core.config.rules import dotted
from trioq.errors import ConfigError
from trioq.settings import as_toml, load, warnings
from trioq.settings import schema as described


@click.group(cls=Group)
def config() -> None:
    """Check, show and describe configurations."""


@config.command()
@with_config
@click.option("--no-app", is_flag=True, help="Don't import the app, whose handlers are elsewhere.")
@with_json
def check(config: str, no_app: bool, as_json: bool) -> None:
    """Tell all faults at once, one line each, and what is allowed but probably not meant.

    The exit code is 2 where there is a fault. Looks at the environment, too, and imports the
    app; asks no server: `trioq doctor` does.
    """
    from trioq.registry import app_faults

    faults: list[str] = []
    advice: list[str] = []
    try:
        made = load(config) if no_app else load(config, also=app_faults)
        advice += warnings(made)
        if not no_app:
            advice += _about_handlers(made)
    except ConfigError as error:
        faults += error.faults
    if as_json:
        show_json({"faults": faults, "warnings": advice})
    else:
        for fault in faults:
            note(fault)
        for line in advice:
            note(f"warning: {line}")
        if not faults:
            click.echo(f"{config}: nothing is wrong")
    if faults:
        raise click.exceptions.Exit(WRONG_USE)


def _about_handlers(made: Config) -> list[str]:
    from trioq.registry import handler_faults, registry

    app = load_app(made.app, made.directory) if made.app else App()
    handlers = registry(app, made, is_whole=bool(made.app))
    advice = [
        f"app: {name!r} goes to the queue {handler.queue!r}, which isn't configured"
        for name, handler in handlers.items()
        if handler.queue is not None and handler.queue not in made.queue_names
    ]
    if not made.app:  # a program may have one that no configuration names
        found = handler_faults(app, made)
        advice += [f"{dotted(fault.path)}: {fault.message}" for fault in found]
    if made.producer is not None and made.producer.job not in handlers:
        advice.append(f"producer.job: no handler {made.producer.job!r} is known here")
    return advice


@config.command()
@with_config
@with_json
def show(config: str, as_json: bool) -> None:
    """Print what is in effect: the file, the environment, the defaults. Secrets are masked."""
    text = as_toml(load(config))
    if as_json:
        show_json(tomli.loads(text))
    else:
        click.echo(text, nl=False)


@config.command()
@click.option("--json", is_flag=True, hidden=True, expose_value=False)
def schema() -> None:
    """Print a JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(described(), indent=2, ensure_ascii=False))
