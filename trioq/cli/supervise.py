"""``trioq serve`` with several processes: the supervisor, and what it needs of its machine.

A child is ``trioq serve`` again, with a word more. One of them leads: it scans, and with
``--drain`` it sees when all is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trio

from trioq import web
from trioq.cli.serve import count_of
from trioq.cli.wanted import Wanted
from trioq.core.config import Config
from trioq.engine.from_config import engine_name
from trioq.errors import StoreError
from trioq.observe.log_setup import take_over
from trioq.processes import control
from trioq.processes.limits import Limits
from trioq.processes.membership import Membership
from trioq.processes.pages import Served
from trioq.processes.supervisor import Log, Supervisor, Terms
from trioq.settings import warnings
from trioq.web import ports

#: A session is known to one process alone, and processes come and go.
NO_PAGE = "several processes show no page: `trioq web` does, in one of its own"


def supervise(made: Config, wanted: Wanted) -> int:
    """Run until told to stop, until it is no use, or until all is done.

    Returns:
      The exit code.

    Raises:
      StoreRefused: The embedded server can't be started.
      PortError: There is no port to be had.
    """
    told = made.observability
    log = take_over(told.log_level, told.log_format, namespace=made.namespace)
    with ExitStack() as stack:
        if told.address:
            web.check_installed()
        bound = ports.bind(*told.address) if told.address else None
        if bound is not None:
            stack.callback(bound.close)
        stack.enter_context(_server_kept(made, log))
        for line in warnings(made):
            log.warning("configuration", advice=line)
        if made.web.bind:
            log.info("page_elsewhere", address=made.web.bind, why=NO_PAGE)
        name = engine_name()
        http = bound.address if bound else ""

        def argv(number: int, fd: int, leads: bool) -> list[str]:
            return wanted.argv(Membership(number, fd, name, http), leads)

        supervisor = Supervisor(
            argv=argv,
            terms=_terms(wanted, made),
            reread=lambda: _terms(wanted, wanted.reread()),
            log=log,
            until_done=wanted.horizon_s is not None,
        )
        served = Served(supervisor, bound, log) if bound is not None else None
        log.info("supervisor_started", supervisor=name, processes=supervisor.wanted)
        code = trio.run(_run, supervisor, served, Path(wanted.path))
        log.info("supervisor_stopped", exit=code)
    return code


def _terms(wanted: Wanted, made: Config) -> Terms:
    """What is to be kept of a configuration."""
    limits = Limits.of(made.serve)
    return Terms(count_of(made, wanted.processes), limits, made.worker.grace_s)


async def _run(supervisor: Supervisor, served: Served | None, config: Path) -> int:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        if supervisor.is_stopping:
            return {"refused": "it drains, and then it ends"}
        were = supervisor.wanted
        supervisor.scale(int(asked["processes"]))
        return {"were": were, "processes": supervisor.wanted}

    async with trio.open_nursery() as nursery:
        if served is not None:
            nursery.start_soon(served.run)
        if (listener := control.listen(config)) is not None:
            nursery.start_soon(control.obey, listener, answer)
        code = await supervisor.run()
        nursery.cancel_scope.cancel()
    return code


@contextmanager
def _server_kept(made: Config, log: Log) -> Iterator[None]:
    """Use the embedded server, if there is one, for as long as there are children: so it doesn't
    end with the last of them that is replaced, and what is wrong with it is told once."""
    directory = made.redis.embedded
    if directory is None:
        yield
        return
    from trioq.store import embedded

    path = made.resolve(directory)
    try:
        server = embedded.start(path, log=lambda line: log.warning("server", message=line))
    except StoreError as error:
        from trioq.cli.common import fail
        from trioq.store.checks import explain

        fail(explain(error, f"embedded:{directory}"))
    with server:
        yield
