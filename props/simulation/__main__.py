"""``python -m props.simulation SEED``: one run, with its trace and what nobody can explain."""

from __future__ import annotations

import sys

from props.simulation.verdict import unexplained
from props.simulation.world import World, play


def show(world: World) -> int:
    """Print it; 1: something is wrong."""
    store = world.store
    lines = [
        *((run.began, f"{run.claim.uid} ({run.name}) attempt {run.attempt} on {run.claim.boot},"
           f" {run.how} at {run.ended}; its claim: {store.ends.get(run.claim)}")
          for run in world.log.runs),
        *((reap.at, f"{reap.boot} reaped after {reap.silent_s:.1f} s, blamed {reap.blamed}")
          for reap in store.reaps),
        *((at, f"{boot} signed off") for at, boot in store.signed_off),
        *((at, f"{lost.boot} lost: {lost.why}") for at, lost in world.lost),
        *world.hurts,
    ]  # fmt: skip
    for at, what in sorted(lines):
        print(f"{at:9.3f}  {what}")
    wrong = unexplained(world)
    print(
        f"{len(world.jobs)} jobs, {len(wrong)} things that nobody can explain", *wrong, sep="\n  "
    )
    return 1 if wrong else 0


sys.exit(show(play(int(sys.argv[1]))))
