"""``trioq doctor`` and ``trioq acl``: what is wrong, and what the server must allow."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import attrs
import click

from trioq.cli import FAILED
from trioq.cli.afar import with_api
from trioq.cli.common import Opened, note, opened, show_json, with_config, with_json
from trioq.cli.screen import is_terminal, plain
from trioq.doctor import Finding, examine
from trioq.settings import load
from trioq.store.checks import minimal_acl

COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


@click.command()
@with_config
@with_api
@with_json
def doctor(config: str, as_json: bool) -> None:
    """Look for what is wrong with the server, the engines, the jobs and the keys.

    Changes nothing. The exit code is 1 if there is a fault: if trioq can't work, or if jobs
    are in danger.
    """
    found = []
    with opened(config) as there:
        if is_terminal(sys.stderr):
            note("looking; engines are watched for a few heartbeats")
        for finding in _findings(there):
            found.append(finding)
            if not as_json:
                _show(finding)
    worst = max(found, key=lambda finding: [*COLOURS].index(finding.verdict)).verdict
    if as_json:
        show_json({"verdict": worst, "findings": [attrs.asdict(finding) for finding in found]})
    if worst == "fault":
        raise click.exceptions.Exit(FAILED)


def _findings(there: Opened) -> Iterable[Finding]:
    if (remote := there.remote) is None:
        return examine(there.config, there.connector)
    return [Finding(**each) for each in remote.doctor()["findings"]]


def _show(finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict:<7}", fg=COLOURS[finding.verdict])
    click.echo(f"{verdict}  {finding.check + ':':<14} {plain(finding.said)}")


@click.command()
@with_config
@click.option("--user", default="trioq", show_default=True, metavar="NAME")
@click.option("--operator", is_flag=True, help="With what doctor and stats --keys ask besides.")
@with_json
def acl(config: str, user: str, operator: bool, as_json: bool) -> None:
    """Print the permissions that trioq needs on this namespace, and no more.

    Asks no server. The command that is printed makes the user; put a password in place of
    PASSWORD.
    """
    if not user.isprintable() or not user or " " in user:
        raise click.UsageError(f"--user: {user!r} is no user's name: no spaces, and not empty.")
    namespace = load(config).namespace
    rules = minimal_acl(namespace, operator=operator)
    if as_json:
        show_json({"namespace": namespace, "user": user, "rules": rules})
    else:
        click.echo(f"ACL SETUSER {user} on >PASSWORD {' '.join(rules)}")
