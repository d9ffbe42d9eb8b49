"""Which configuration a command is for, where nobody names one."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from trioq.cli.afar import OPTION, instead, is_said

ARGUMENT = "config"


def with_configuration(command: click.Command, args: list[str]) -> list[str]:
    """The arguments of a command, with the configuration in front if it takes one and none is
    named: the first of them is one if it ends in ``.toml``, or is a file by a name with a dot
    or a slash in it; or was meant to be one, as a URL is. A file may be called like a handler:
    what a payload follows is the handler. Where an API is to be asked, that stands there: its URL.

    Raises:
      UsageError: There is none, and there are too few arguments for one of them to be it.
    """
    words = [p for p in command.params if isinstance(p, click.Argument)]
    if not words or words[0].name != ARGUMENT or _asks_for_help(command, args):
        return args
    given = args
    api, args = instead(command, args)
    from trioq.settings.find import LOOKED, find

    said = _words(command, args)
    if said and _is_one(said[0], said[1:]):
        if is_said(given):
            raise click.UsageError(f"Say which: CONFIG, or {OPTION} URL.")
        return args
    if api is not None:
        return [api, *args]
    if (found := find()) is not None:
        return [found, *args]
    if len(said) < sum(word.required for word in words):
        raise click.UsageError(f"No configuration: name one, CONFIG; {LOOKED}.")
    return args  # it is one that isn't there


def show_optional(command: click.Command) -> None:
    """Have its usage say that the configuration may be left out."""
    for param in command.params:
        if isinstance(param, click.Argument) and param.name == ARGUMENT:
            param.metavar = f"[{ARGUMENT.upper()}]"


def _is_one(word: str, others: Sequence[str]) -> bool:
    from trioq.settings.find import URL  # who takes one for a configuration is told so

    is_name = bool(others) and others[0].lstrip().startswith(("{", "["))
    is_path = ("." in word or os.sep in word) and not is_name
    return word.endswith(".toml") or (is_path and os.path.isfile(word)) or bool(URL.match(word))


def _asks_for_help(command: click.Command, args: Sequence[str]) -> bool:
    return any(name in args for name in command.get_help_option_names(click.Context(command)))


def _words(command: click.Command, args: list[str]) -> list[str]:
    """The arguments that are no options, nor values of any."""
    options = [p for p in command.params if isinstance(p, click.Option)]
    bare = click.Command(command.name, params=[*options], add_help_option=False)
    try:
        _, words, _ = bare.make_parser(click.Context(bare)).parse_args([*args])
    except click.UsageError:
        return []  # the command will say so
    return words
