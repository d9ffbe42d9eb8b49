"""``--api URL``: commands that ask the API of a page, where Redis can't be reached."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

OPTION = "--api"
VARIABLE = "TRIOQ_API"
TOKEN = "TRIOQ_API_TOKEN"
TOKEN_FILE = "TRIOQ_API_TOKEN_FILE"

#: What a configuration isn't.
SCHEMES = ("http://", "https://")

#: No token is longer.
TOKEN_BYTES = 4096

with_api = click.option(
    OPTION, metavar="URL", expose_value=False,
    help=f"Ask this page's API, and not Redis. Default: {VARIABLE}; {TOKEN} has the token.",
)  # fmt: skip
"""For commands that can; :func:`instead` takes it out before they see it."""


def is_api(config: str) -> bool:
    """Whether what stands where a configuration does is an API's URL."""
    return config.startswith(SCHEMES)


def can(command: click.Command) -> bool:
    """Whether a command can go over an API."""
    return any(OPTION in param.opts for param in command.params)


def is_said(args: Sequence[str]) -> bool:
    """Whether these name an API."""
    return any(word == OPTION or word.startswith(f"{OPTION}=") for word in args)


def instead(
    command: click.Command, args: Sequence[str], environ: Mapping[str, str] = os.environ
) -> tuple[str | None, list[str]]:
    """The API that a command is to ask, if it is one that can, and its other arguments.

    Raises:
      UsageError: It can't; or it is said twice, or without a URL.
    """
    said, rest = list[str](), list[str]()
    left = iter(args)
    for word in left:
        if word == "--":
            rest += [word, *left]
        elif word == OPTION:
            said.append(next(left, ""))
        elif word.startswith(f"{OPTION}="):
            said.append(word.removeprefix(f"{OPTION}="))
        else:
            rest.append(word)
    if not can(command):
        if said:
            what = f"trioq {command.name} needs Redis itself: it can't go over {OPTION}."
            raise click.UsageError(what)
        return None, [*args]
    if not said:
        return environ.get(VARIABLE) or None, rest
    if len(said) > 1 or not is_api(said[0]):
        raise click.UsageError(f"{OPTION} takes one URL, such as https://trioq.example.")
    return said[0], rest


def token(environ: Mapping[str, str] = os.environ) -> str:
    """What says who asks; empty: nothing does. It never stands among the arguments, which
    everybody on a machine can see.

    Raises:
      UsageError: Its file can't be read.
    """
    if (named := environ.get(TOKEN_FILE)) and not environ.get(TOKEN):
        try:
            with Path(named).open(encoding="ascii") as file:
                return file.read(TOKEN_BYTES).strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it has more than a token"
            raise click.UsageError(f"{TOKEN_FILE}: {named}: {why}.") from None
    return environ.get(TOKEN, "").strip()


@contextmanager
def opened_api(url: str) -> Iterator[Any]:
    """The way to a namespace over an API."""
    from trioq.cli.common import Opened, note
    from trioq.client.remote import Http, Remote
    from trioq.client.remote.about import config_of

    with closing(Http(url, token())) as http:
        if http.is_in_clear:
            note(f"warning: the token goes to {http.url} in clear: others on the way can read it")
        about = http.get("/")
        config = config_of(about)
        server = f"{about['server']} over {http.url}"
        yield Opened(config, Remote(http, config.queue_names), server)
