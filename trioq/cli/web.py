"""``trioq web``: the page in a process of its own, and what its users' passwords are kept as."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

import click
import trio

from trioq.cli import FAILED, Listing
from trioq.cli.common import fail, show_json, with_config, with_json
from trioq.cli.signals import obeyed
from trioq.core.config.texts import ADDRESS
from trioq.core.config.web import host_and_port
from trioq.errors import StoreError
from trioq.lines import flush
from trioq.observe.log_setup import take_over
from trioq.settings import load
from trioq.store.checks import explain
from trioq.store.connect import open_store
from trioq.web import check_page_installed, ports

#: Where it is shown if nobody says.
BIND = "127.0.0.1:9180"


class Showing(Listing):
    """A group that shows the page where no other command is named."""

    otherwise = "show"


def _address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and (not value or not ADDRESS.allows(value)):
        raise click.BadParameter(f'{value!r} is no address, such as {BIND} or "[::1]:9180".')
    return value


@click.group(cls=Showing)
def web() -> None:
    """Show the page, with its API, in a browser; or make what its users' passwords are kept as.

    `trioq web CONFIG` shows the page.
    """


@web.command()
@with_config
@click.option(
    "--bind", metavar="HOST:PORT", callback=_address,
    help=f"Where; default: `web.bind`, else {BIND}. Port 0: any free one.",
)  # fmt: skip
def show(config: str, bind: str | None) -> None:
    """Show the page until SIGTERM or Ctrl-C; the exit code is then 0.

    Who may look and act says [web] of the configuration. Where it names nobody, whoever reaches
    a loopback address may do all, and no other address is taken.
    """
    check_page_installed()
    from trioq.web.who.guard import check_bind

    made = load(config)
    said, key = (bind, "--bind") if bind else (made.web.bind or BIND, "web.bind")
    host, port = host_and_port(said)
    check_bind(made.web, host)
    observability = made.observability
    log = take_over(observability.log_level, observability.log_format, namespace=made.namespace)

    def tell(line: str) -> None:
        log.warning("server", message=line)

    with ExitStack() as stack:
        bound = ports.bind_this(host, port, key)
        stack.callback(bound.close)
        try:
            connector = stack.enter_context(
                open_store(
                    made, read_only=True, log=lambda line: log.warning("server", message=line)
                )
            )
        except StoreError as error:
            flush()
            fail(explain(error, made.redis.url))
        from trioq.web.application import make
        from trioq.web.desk import Desk

        log.info("page_served", url=f"http://{bound.address}/", to=connector.description)
        trio.run(_serve, make(Desk(made, connector)), bound)
        log.info("page_ended")


async def _serve(app: Any, bound: ports.Bound) -> None:
    from trioq.web.server import OF_PAGES
    from trioq.web.server import serve as serve_app

    bound.listener.setblocking(False)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(bound.listener))
    with obeyed() as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_app, app, listener, OF_PAGES)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()


@web.command("hash-password")
@with_json
def hash_password_(*, as_json: bool) -> None:
    """Ask for a password, and print what [web.users] keeps of it.

    Where stdin is no terminal, its first line is the password.
    """
    from trioq.web.who.passwords import hash_password

    if sys.stdin.isatty():
        password = click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().removesuffix("\n")
    if not password:
        fail("an empty password is none", FAILED)
    kept = hash_password(password)
    show_json({"password": kept}) if as_json else click.echo(kept)


@web.command("new-token")
@with_json
def new_token_(*, as_json: bool) -> None:
    """Print a new token, and what [web.tokens] keeps of it. The token is shown this once."""
    from trioq.web.who.tokens import hash_token, new_token

    token = new_token()
    if as_json:
        show_json({"token": token, "sha256": hash_token(token)})
        return
    click.echo(f"token   {token}")
    click.echo(f"sha256  {hash_token(token)}")
