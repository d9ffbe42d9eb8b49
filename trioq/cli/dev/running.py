"""The engine of ``trioq dev``: that of ``trioq serve``, as somebody wants it who looks on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs

from trioq.cli.dev.again import Again
from trioq.cli.dev.debug import Clock, have_prompts
from trioq.cli.dev.reloader import CANCEL_GRACE_S, GRACE_S, Reloader
from trioq.cli.dev.watch import Watch
from trioq.cli.engine import Asked, Attended, run_engine
from trioq.core.config import Config
from trioq.core.events import JobReleased, JobStarted, JobSucceeded
from trioq.errors import ConfigError, LifespanError
from trioq.observe.log_setup import logger
from trioq.observe.logs import LEVELS, LogLines
from trioq.settings import load

#: Somebody wants to see what becomes of each job, and knows which engine runs it.
SHOWN = {JobStarted: "info", JobSucceeded: "info", JobReleased: "info"}
LEFT_OUT = frozenset({"engine_id", "enqueued_ms", "wanted_ms", "suspect", "worker"})

#: For how long the loop may stand still without loss of the lease: over a weekend.
AT_A_PROMPT_S = 3 * 86_400.0


def run(path: str, watched: Sequence[Path], again: Again, began_ns: int) -> None:
    """Until a signal, or until the code has changed: then the process begins again."""
    watch = Watch([Path(path).absolute(), *watched], began_ns)
    clock = Clock()
    reloader = Reloader(again, watch, clock)
    have_prompts(clock)
    attended = Attended(
        begin=reloader.begin,
        signalled=reloader.signalled,
        clock=clock,
        log_lines=partial(LogLines, levels={**LEVELS, **SHOWN}, left_out=LEFT_OUT),
    )
    try:
        made = _as_looked_at(load(path))
        try:
            run_engine(made, Asked(path=path, role="all", horizon_s=None, attended=attended))
        finally:
            reloader.ended()
    except (ConfigError, LifespanError) as error:
        if reloader.is_interrupted:
            raise
        reloader.log = reloader.log or logger("info", "console")
        told = error.faults if isinstance(error, ConfigError) else [str(error)]
        reloader.log.error("not_loaded", runs="nothing", exception=_lines(told))
        if not reloader.wanted:
            reloader.await_mended()
        reloader.begin_again()
    if reloader.wanted:
        reloader.begin_again()


def _lines(faults: Sequence[str]) -> str:
    return "\n".join(f"trioq: {fault}" for fault in faults)


def _as_looked_at(made: Config) -> Config:
    """Nobody waits for long for what they have just written, and at a breakpoint the loop may stand
    still for as long as it takes."""
    worker = attrs.evolve(
        made.worker,
        grace_s=min(made.worker.grace_s, GRACE_S),
        cancel_grace_s=min(made.worker.cancel_grace_s, CANCEL_GRACE_S),
        loop_stall_s=AT_A_PROMPT_S,
    )
    observability = attrs.evolve(made.observability, log_format="console")
    return attrs.evolve(made, worker=worker, observability=observability)
