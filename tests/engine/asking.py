"""Somebody doesn't want a job any more that runs."""

from __future__ import annotations

from tests.engine.rig import Rig
from trioq.core.events import How, JobCancelled, JobStarted
from trioq.core.formats.summary import Summary
from trioq.engine.engine import Engine
from trioq.engine.runs.run import Run, Runs
from trioq.store import inspect


def runs_of(engine: Engine) -> Runs:
    """What runs there."""
    return engine._parts.runs


async def ask(rig: Rig, engine: Engine, uid: str) -> Run:
    """Have a job cancelled as soon as its handler runs, and wait until that is told."""
    (started,) = await rig.reported(JobStarted, uid=uid)
    run = next(run for run in runs_of(engine) if run.claim.uid == uid)
    assert rig.cancel(uid, name=started.name) == ["asked"]
    await rig.until(lambda: run.asked)
    return run


async def cancelled(rig: Rig, uid: str, how: How = "stopped") -> JobCancelled:
    """Wait until it is told that a job was cancelled in this way, and look whether the server has
    it so."""
    (told,) = await rig.reported(JobCancelled, uid=uid)
    assert told.how == how, told
    kept = await rig.until(lambda: _kept(rig, uid))
    assert (kept.state, kept.how) == ("cancelled", how)
    assert (kept.reason, kept.by) == (told.reason, told.by)
    return told


def _kept(rig: Rig, uid: str) -> Summary | None:
    view = inspect.find(rig.store, uid)
    return None if view is None else view.summary
