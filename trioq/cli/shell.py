"""``trioq shell``: a Python console with a client, the app and its handlers at hand."""

from __future__ import annotations

import builtins
import keyword
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import trio

import trioq
from trioq.app import App
from trioq.apps import load_app
from trioq.cli.common import Opened, opened, with_config
from trioq.cli.explain import explain
from trioq.cli.jobs import job
from trioq.cli.list_jobs import jobs
from trioq.cli.repl import Beside, Console, Names, run_script
from trioq.cli.screen import is_terminal, plain
from trioq.cli.stats import stats
from trioq.handler import Handler
from trioq.settings import load

#: Lines that are remembered from one console to the next.
HISTORY = Path("~/.trioq_history")
LINES = 10_000

#: So many handlers are named when it begins.
NAMED = 12


@click.command()
@with_config
@click.option("-c", "code", metavar="CODE", help="Run this, and end.")
def shell(config: str, *, code: str | None) -> int:
    """Open a Python console in trio, with a client and the app's handlers at hand.

    `await` works at its top level. What comes through a pipe is run as a file is.
    """
    made = load(config)
    app = load_app(made.app, made.directory) if made.app else App()
    with opened(config, starts=True) as there, ExitStack() as stack:
        names = _names(there, app, config)

        @asynccontextmanager
        async def opens() -> AsyncIterator[Names]:
            async with trioq.connect(made) as client:
                names["client"] = client
                yield names

        beside = stack.enter_context(Beside(opens))
        if code is not None:
            return run_script(beside, code, "<string>")
        if not is_terminal(sys.stdin):
            text = "" if sys.stdin is None else sys.stdin.read()
            return run_script(beside, text, "<stdin>")
        stack.enter_context(_line_editing(names))
        Console(beside).interact(_banner(there, app), exitmsg="")
    return 0


# -- what is at hand ---------------------------------------------------------------------------


def _names(there: Opened, app: App, config: str) -> Names:
    """All of it but for the client."""
    handlers = {name: Handler[..., ..., Any, Any](each) for name, each in app.handlers.items()}
    names: Names = {
        "__name__": "__console__",
        "__doc__": None,
        "__builtins__": builtins,  # a debugger looks for them here
        "trio": trio,
        "trioq": trioq,
        "app": app,
        "config": there.config,
        "handlers": handlers,
        "admin": there.admin,
        "jobs": _like(jobs, config, "--state"),
        "job": _like(job, config),
        "explain": _like(explain, config),
        "stats": _like(stats, config),
    }
    return {name: handlers[name] for name in handlers if _is_free(name, names)} | names


def _is_free(name: str, taken: Mapping[str, object]) -> bool:
    """Whether a handler can be called so here."""
    is_name = name.isidentifier() and not keyword.iskeyword(name)
    return is_name and name not in taken and name != "client" and not hasattr(builtins, name)


def _like(command: click.Command, config: str, option: str = "") -> Callable[..., None]:
    """A command of ``trioq`` as a function, whose keywords are its options.

    Args:
      option: What is said without a keyword is this one's; empty: it's an argument.
    """
    options = {
        param.opts[-1].lstrip("-").replace("-", "_"): param
        for param in command.params
        if isinstance(param, click.Option) and param.name != "follow" and param.expose_value
    }

    def call(*words: object, **said: Any) -> None:
        arguments = [config]
        for word in words:
            arguments += [option, str(word)] if option else [str(word)]
        for name, value in said.items():
            if name not in options:
                known = ", ".join(f"{each}=…" for each in options)
                raise TypeError(f"{command.name}() has no {name}=…: it takes {known}")
            param = options[name]
            if param.is_flag:
                arguments += [param.opts[0]] if value else []
            else:
                arguments += [param.opts[0], str(value)]
        try:
            with suppress(SystemExit):  # it has said what is wrong
                command.main(arguments, prog_name=str(command.name), standalone_mode=False)
        except click.ClickException as error:
            raise ValueError(f"{command.name}(): {error.format_message()}") from None

    call.__name__ = call.__qualname__ = str(command.name)
    call.__doc__ = command.help
    return call


def _banner(there: Opened, app: App) -> str:
    handlers = list(app.handlers)
    more = len(handlers) - NAMED
    named = ", ".join(handlers[:NAMED]) + (f" and {more} more" if more > 0 else "")
    return "\n".join([
        f"{there.config.namespace} on {there.connector.description}",
        "  client      await client.enqueue(…), await client.call(…): see help(client)",
        plain(f"  handlers    {named or 'the app has none'}"),
        "  jobs('dead'), job(id), explain(id), stats()    what trioq of these names prints",
        "  app, config, admin, trio, trioq                Ctrl-D ends it",
    ])  # fmt: skip


# -- the terminal ------------------------------------------------------------------------------


@contextmanager
def _line_editing(names: Names) -> Iterator[None]:
    """Have lines edited, completed and remembered, where Python can do that."""
    try:
        import readline
        import rlcompleter
    except ImportError:  # Windows
        yield
        return
    file = HISTORY.expanduser()
    with suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(LINES)
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        with suppress(OSError):
            # Before anything is in it: what somebody types may be nobody else's business.
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
            readline.write_history_file(file)
