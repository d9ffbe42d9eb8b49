"""What all commands share: how they end, and how they say so."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import click

from trioq.errors import ConfigError

FAILED = 1
WRONG_USE = 2


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End with one line on stderr."""
    click.echo(f"trioq: {message}", err=True)
    sys.exit(code)


def fail_config(error: ConfigError) -> NoReturn:
    """End with a line for each fault."""
    for fault in error.faults:
        click.echo(f"trioq: {fault}", err=True)
    sys.exit(WRONG_USE)


def show_json(value: Any) -> None:
    """Print for programs: one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True, default=str))
