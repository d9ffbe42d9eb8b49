"""Whether there can be such a job: with a mistyped name an assertion would hold for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trioq.app import App
from trioq.builtin import built_in
from trioq.core.config import Config
from trioq.core.config.rules import meant_or_known
from trioq.engine.handlers import Function
from trioq.handler import Handler, where_of
from trioq.testing.looking import LIVING, Seen, Wanted, What

STATES = (*LIVING, "dead", "done", "cancelled")


def may_be(
    wanted: Wanted, what: What | None, app: App, config: Config, jobs: Sequence[Seen]
) -> None:
    """Refuse what can't be.

    Raises:
      ValueError: There is no such handler, queue, state or field; with what may have been meant.
    """
    known: dict[str, Function | None] = {**dict.fromkeys(config.commands), **built_in().handlers}
    known |= app.handlers
    if isinstance(what, Handler) and what.registered.name not in known:
        where = where_of(what.registered)
        raise ValueError(f"{where} is a handler of another app: this world's is tq.app")
    _one_of("handler", wanted.name, {*known, *(job.name for job in jobs)})
    queues = {*(queue.name for queue in config.queues), *(job.queue for job in jobs)}
    _one_of("queue", wanted.queue, queues)
    _one_of("state", wanted.state, STATES)
    if wanted.name is not None and (function := known.get(wanted.name)) is not None:
        for field in wanted.payload:
            function.binding.check_field(field, "the assertion")


def _one_of(what: str, word: str | None, known: Iterable[str]) -> None:
    if word is not None and word not in (known := sorted(known)):
        raise ValueError(f"there is no {what} {word!r}{meant_or_known(word, known)}")
