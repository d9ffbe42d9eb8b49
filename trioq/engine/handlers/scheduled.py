"""The schedules that a configuration and an app have, and whether handlers can take their jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trioq.core.config.kinds import Path
from trioq.core.config.rules import Fault, meant_or_known
from trioq.core.config.schedules import schedule_of
from trioq.core.config.sections import Config, ScheduleConfig
from trioq.core.config.texts import placeholders
from trioq.core.formats.payload import encode
from trioq.core.schedules.schedule import Owner, Schedule
from trioq.engine.handlers.binding import BadPayload
from trioq.engine.handlers.command import Command
from trioq.engine.handlers.function import Function
from trioq.engine.handlers.invoke import Handler
from trioq.engine.handlers.runners import Apart
from trioq.errors import PayloadRejected

Said = Mapping[str, ScheduleConfig]


def schedule_faults(
    config: Config, of_app: Said, handlers: Mapping[str, Handler]
) -> Iterator[Fault]:
    """All of it; what is wrong in itself is told elsewhere."""
    for name, said in config.schedules.items():
        here: Path = ("schedules", name)
        job, payload = (*here, "job"), (*here, "payload")
        if said.job not in handlers:
            close = meant_or_known(said.job, handlers)
            yield Fault(job, f"no handler is called {said.job!r}{close}", (("commands", said.job),))
        elif wrong := _misfit(said, handlers[said.job]):
            yield Fault(payload, f"it doesn't fit {said.job!r}: {wrong}", (job,))
        if name in of_app:
            yield Fault(here, "the app has a schedule of this name, too")
    for name, said in of_app.items():
        if config.queues and said.queue is not None and said.queue not in config.queue_names:
            close = meant_or_known(said.queue, config.queue_names)
            told = f"the schedule {name!r}: no queue {said.queue!r} is configured{close}"
            yield Fault(("app",), told)
        try:
            encode(dict(said.payload), config.max_payload_bytes)
        except PayloadRejected as error:
            yield Fault(("app",), f"the schedule {name!r}: {error}", (("max_payload",),))


def schedules(
    config: Config, of_app: Said, handlers: Mapping[str, Handler]
) -> tuple[Schedule, ...]:
    """What engines with this configuration and this app say that there is; both are right."""
    given: list[tuple[Owner, Said]] = [("config", config.schedules), ("app", of_app)]
    return tuple(
        schedule_of(
            said,
            said.queue or handlers[said.job].queue or config.default_queue,
            owner,
            config.max_payload_bytes,
        )
        for owner, all_of_it in given
        for said in all_of_it.values()
    )


def _misfit(said: ScheduleConfig, handler: Handler) -> str:
    """Why a handler can't take its payload; empty: it can, as far as that is known."""
    function = handler.function if isinstance(handler, Apart) else handler
    if isinstance(function, Command):
        wanted = dict.fromkeys(field for part in function.argv for field in placeholders(part))
        missing = [field for field in wanted if field not in said.payload]
        return "; ".join(f"missing: {field}" for field in missing)
    if isinstance(function, Function):
        try:
            function.binding.bind(said.payload)
        except BadPayload as error:
            return str(error)
    return ""
