"""A breadth-first walk over all states, so that what it finds is the shortest."""

from __future__ import annotations

from collections import deque

import attrs

from props.protocol.moves import Move, moves
from props.protocol.server import Entry, Job, Server
from props.protocol.walk import first_stuck, no_garbage
from props.protocol.world import Setup, World, beginning, ended


@attrs.frozen
class Finding:
    """A broken promise, and the shortest way to it."""

    promise: str
    path: tuple[str, ...]


@attrs.frozen
class Result:
    """What a search has seen."""

    states: int
    complete: bool
    findings: tuple[Finding, ...]


@no_garbage()
def search(setup: Setup, limit: int = 2_000_000, *, until: str | None = None) -> Result:
    """Look at every state that can be reached, or at the first ``limit`` of them.

    Args:
      until: Stop when this promise is found broken; None: at the end.
    """
    start = beginning(setup)
    numbers, states = {start: 0}, [start]
    came_from: list[tuple[int, int]] = [(-1, 0)]
    free_from: list[list[int]] = [[]]
    goals: list[int] = []
    findings: dict[str | None, Finding] = {}
    complete = True
    queue = deque([0])

    def found(promise: str, at: int, last: Move | None = None) -> None:
        if promise not in findings:
            path = _path(states, came_from, at, setup)
            findings[promise] = Finding(promise, (*path, str(last)) if last else path)

    while queue and until not in findings:
        at = queue.popleft()
        world = states[at]
        if promise := broken_promise(world, setup):
            found(promise, at)
        if ended(world):
            goals.append(at)
        for which, move in enumerate(moves(world, setup)):
            if move.broken:
                found(move.broken, at, move)
            number = numbers.get(move.world)
            if number is None:
                if len(states) >= limit:
                    complete = False
                    continue
                number = numbers[move.world] = len(states)
                states.append(move.world)
                came_from.append((at, which))
                free_from.append([])
                queue.append(number)
            if move.free:
                free_from[number].append(at)
    if complete and not queue:
        stuck = first_stuck(goals, free_from)
        if stuck is not None:
            found("not every job can end, even if nothing else goes wrong", stuck)
    return Result(len(states), complete and not queue, tuple(findings.values()))


def broken_promise(world: World, setup: Setup) -> str | None:
    """The promise that doesn't hold in this state."""
    server, left, had = world.server, world.left, setup.budget
    intact = left.rollbacks == had.rollbacks
    for job, starts in enumerate(world.starts):
        places = server.places(job)
        if places > 1:
            return "a job is in two places"
        if places == 0 and intact and job < world.client.next:
            return "a job is nowhere"
        if intact and starts > 1 + server.ghost_excused[job]:
            return "a job was started again without a reason"
    for number, job, word in world.client.told:
        if word in ("dead", "unknown") and (number, job) in server.ghost_cancels:
            return f"told {word}, and it was cancelled"
        if word == "cancelled" and intact and job not in server.cancelled:
            return "told cancelled, and it was not"
    if promise := _broken_limit(server):
        return promise
    if intact and any(_waits(server, job, claim) for job, claim in server.ghost_asked):
        return "a job that was asked to end waits again"
    if intact and any(_is_orphan(entry, world) for entry in server.running):
        return "a job runs for an engine that doesn't have it"
    return None


def _broken_limit(server: Server) -> str | None:
    if not server.limit:
        return None
    bound = sum(not entry.is_unbound for entry in server.running)
    if bound > server.limit:
        return "more run than the limit admits"
    if server.slots != bound:
        return "the slots that are taken aren't those of the claims that are held"
    unseen = {job % server.queues for job in server.room} - server.open
    if unseen and server.slots < server.limit and (server.rest, server.pause) == ("none", "none"):
        return "somebody waits for what is free, and nobody will look"
    return None


def _waits(server: Server, job: Job, claim: int) -> bool:
    """Whether the job waits to be claimed once more after this claim, or was claimed."""
    waiting = job in (*server.suspects, *server.scheduled) or (
        job in (*server.ready, *server.parked) and job not in server.dropped
    )
    return waiting or server.ghost_claims[job] > claim


def _is_orphan(entry: Entry, world: World) -> bool:
    who, boot = entry.boot
    process = world.processes[who]
    waits = process.sent is not None or process.stage != "working"
    return (
        process.boot == boot
        and not waits
        and not any((claim.job, claim.n) == (entry.job, entry.n) for claim in process.held)
    )


def _path(
    states: list[World], came_from: list[tuple[int, int]], at: int, setup: Setup
) -> tuple[str, ...]:
    steps = list[str]()
    while at > 0:
        before, which = came_from[at]
        steps.append(str(list(moves(states[before], setup))[which]))
        at = before
    return tuple(reversed(steps))
