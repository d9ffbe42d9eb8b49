"""What nobody can explain in the trace of a run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from props.simulation.trace import Run
from props.simulation.world import LEASE_S, MAX_ATTEMPTS, MAX_REAPS, World
from trioq.core.calls import End as TheEnd

#: How a claim may have ended so that its job begins again.
PUT_BACK = {"retry", "snooze", "release", "reaped", "signed off"}


def unexplained(world: World) -> list[str]:
    """Every broken promise, in words."""
    return [
        *_not_all_accounted_for(world), *_dead_for_no_reason(world), *_reaped_alive(world),
        *_boots_lost_for_no_reason(world), *_signed_off_for_no_reason(world),
        *_second_starts(world), *_overlaps(world), *_attempts(world),
        *_cancelled_and_ran(world), *_told_what_is_not_so(world), *_not_kept(world),
    ]  # fmt: skip


#: How a claim may have ended so that its job is cancelled.
OFF = {"cancel", "called off"}


def was_cancelled(world: World, uid: str) -> bool:
    ends = {end for claim, end in world.store.ends.items() if claim.uid == uid}
    return uid in world.store.cancelled or bool(OFF & ends)


def was_done(world: World, uid: str) -> bool:
    return any(c.uid == uid and end == "ack" for c, end in world.store.ends.items())


def runs_by_job(world: World) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = defaultdict(list)
    for run in world.log.runs:
        runs[run.claim.uid].append(run)
    return runs


def _not_all_accounted_for(world: World) -> Iterator[str]:
    space, accepted = world.store.space, defaultdict[str, list[str]](list)
    for claim, end in world.store.ends.items():
        accepted[claim.uid].append(end)
    for uid, name in world.jobs.items():
        acks = accepted[uid].count("ack")
        off = (uid in world.store.cancelled) + len(OFF & set(accepted[uid]))
        if off:
            if acks or off > 1 or uid in space.jobs:
                yield f"{uid} was cancelled {off} times, and {accepted[uid]}"
        elif uid in space.dead:
            yield from [f"{uid} is dead and was done"] * acks
        elif uid in space.jobs:
            yield f"{uid} ({name}) isn't done: {accepted[uid]}"
        elif acks != 1:
            yield f"{uid} ({name}) was done {acks} times"
    stats = space.stats
    if stats["done"] + len(space.dead) + stats["cancelled"] != len(world.jobs):
        yield f"{dict(stats)}, {len(space.dead)} dead, of {len(world.jobs)}"
    if space.strays or any(engine.held for engine in space.boots.values()):
        yield f"left over: {space.strays}, {space.boots}"


def _dead_for_no_reason(world: World) -> Iterator[str]:
    space = world.store.space
    blamed = [uid for reap in world.store.reaps for uid in reap.blamed]
    for uid, name in world.jobs.items():
        reason = space.jobs[uid].reason if uid in space.dead else None
        if name == "doomed" and reason is None and not was_cancelled(world, uid):
            yield f"{uid} is doomed and not dead"
        if reason == "failures" and (name, space.jobs[uid].attempts) != ("doomed", MAX_ATTEMPTS):
            yield f"{uid} ({name}) is dead of {space.jobs[uid].attempts} failures"
        if reason == "worker_lost" and blamed.count(uid) != MAX_REAPS:
            yield f"{uid} ({name}) is dead of {blamed.count(uid)} crashes"
        if reason not in (None, "failures", "worker_lost"):
            yield f"{uid} ({name}) is dead: {reason}"


def _reaped_alive(world: World) -> Iterator[str]:
    for reap in world.store.reaps:
        if reap.silent_s < LEASE_S:
            yield f"{reap.boot} was reaped after {reap.silent_s} s of silence"
        if len(reap.blamed) > 1:
            yield f"one crash was blamed on {reap.blamed}"


def _boots_lost_for_no_reason(world: World) -> Iterator[str]:
    reaped = {reap.boot: reap.at for reap in world.store.reaps}
    for at, lost in world.lost:
        if lost.why != "gone":
            yield f"{lost.boot} was lost: {lost.why}"
        elif reaped.get(lost.boot, at + 1) > at:
            yield f"{lost.boot} was told gone, and wasn't reaped"


def _signed_off_for_no_reason(world: World) -> Iterator[str]:
    lost = {lost.boot for _, lost in world.lost}
    for at, boot in world.store.signed_off:
        owner = world.owners.get(boot)
        if boot not in lost and owner and not owner.was_told_to_stop and not owner.was_killed:
            yield f"{boot} signed off at {at:.3f} for no reason"


def _second_starts(world: World) -> Iterator[str]:
    for uid, runs in runs_by_job(world).items():
        for run, again in pairwise(runs):
            end = world.store.ends.get(run.claim, "nothing")
            if end not in PUT_BACK:
                yield f"{uid} began again at {again.began:.3f} after {end}"
            if end == "release" and run.how != "cancelled":
                yield f"{uid} was given back though it was {run.how}"


def _overlaps(world: World) -> Iterator[str]:
    for uid, runs in runs_by_job(world).items():
        for run, again in pairwise(runs):
            if run.name == "careful" and (run.ended is None or run.ended > again.began):
                yield f"{uid} ran twice at the same time, at {again.began:.3f}"


def _attempts(world: World) -> Iterator[str]:
    for uid, runs in runs_by_job(world).items():
        failed = 0
        for run in runs:
            if run.attempt != failed + 1:
                yield f"{uid} began attempt {run.attempt} after {failed} failures"
            failed += world.store.ends.get(run.claim) == "retry"


def _cancelled_and_ran(world: World) -> Iterator[str]:
    """What was cancelled while it waited began later, or what was asked to end began again."""
    for run in world.log.runs:
        uid, asked = run.claim.uid, world.store.asked.get(run.claim.uid)
        if run.began > world.store.cancelled.get(uid, run.began):
            yield f"{uid} began at {run.began:.3f}, and was cancelled before"
        if asked is not None and run.began > asked.at and run.claim != asked.claim:
            yield f"{uid} began again at {run.began:.3f}, though it was asked to end"
    for uid, word in world.called_off.items():
        if word == "cancelled" and uid not in world.store.cancelled:
            yield f"{uid} wasn't cancelled, and somebody was told so"


def _told_what_is_not_so(world: World) -> Iterator[str]:
    if world.waiting:
        yield f"{world.waiting} wait for ever"
    for at, uid, end in world.told:
        yield from _untrue(world, uid, end, f"at {at:.3f}")


def _not_kept(world: World) -> Iterator[str]:
    """How each job ended is told truly at the end, and what was promised for a time is there."""
    for uid in world.jobs:
        yield from _untrue(world, uid, world.kept[uid], "at the end")


def _untrue(world: World, uid: str, end: TheEnd, when: str) -> Iterator[str]:
    is_promised = uid in world.promised
    told = f"{uid} was told {end} {when}"
    match end.state:
        case "done":
            if not was_done(world, uid):
                yield f"{told}, and wasn't done"
            elif end.value != (json.dumps(uid).encode() if is_promised else b""):
                yield f"{told}, and that wasn't its result"
        case "cancelled" if not was_cancelled(world, uid):
            yield f"{told}, and wasn't cancelled"
        case "dead" if uid not in world.store.space.dead:
            yield f"{told}, and isn't dead"
        case "unknown" | "expired" if not _may_be_forgotten(world, uid):
            yield f"{told}, and that was to be kept"
        case "live" | "later" | "too_large" | "unfit":
            yield told
        case _:
            pass


def _may_be_forgotten(world: World, uid: str) -> bool:
    """Of a plain end nothing is kept, nor of one that an engine has brought about when asked."""
    ends = {end for claim, end in world.store.ends.items() if claim.uid == uid}
    return "cancel" in ends or ("ack" in ends and uid not in world.promised)
