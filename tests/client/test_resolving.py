"""An enqueue whose id is another job's: what is done next, whatever is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest

from tests.support import new_job
from trioq.client.conflict import Begin, Look, Met, Pause, resolve
from trioq.client.resend import PATIENCE_S
from trioq.core.calls import Enqueued, Existing, NewJob, Replaced, Replacing, Taking
from trioq.core.job import Options, Record
from trioq.core.same import Same
from trioq.errors import IdMismatch, StoreBusy


def named(name: str = "noop", queue: str = "low") -> NewJob:
    return attrs.evolve(new_job(queue, name, id="x"), name=name)


JOB = named()
OTHER = Record("u", "noop", "low", b"{}", "x", options=Options(result_s=60.0))

NEW = Enqueued(1, {}, frozenset())
MOVED = Enqueued(0, {}, frozenset(), moved=True)
REPLACING = Replacing(attrs.evolve(JOB, uid="u"))
RUNS = Replaced("running", "e.1", 7)


def existing(state: Any = "live") -> Enqueued:
    return Enqueued(1, {0: Existing("u", state)}, frozenset())


def resolved(
    same: Same, *answers: Any, job: NewJob = JOB, now: Callable[[], float] = lambda: 0.0
) -> tuple[list[Any], Met | None]:
    """What was done, one after the other, and what came of it; None: there is more to do."""
    moves, done, met = resolve(job, same, lambda name: None, now), [], None
    try:
        done.append(next(moves))
        for answer in answers:
            move = moves.send(answer)
            while isinstance(move, Pause):
                assert 0 <= move.seconds <= 1
                move = moves.send(None)
            done.append(move)
    except StopIteration as over:
        met = over.value
    return done, met


def words(moves: Sequence[Any]) -> list[str]:
    return [move.how if isinstance(move, Taking) else type(move).__name__ for move in moves]


THERE = Met("u", "existing", "live")
ENDED = Met("u", "existing", "done")
DEAD = Met("u", "existing", "dead")
MINE = Met(JOB.uid, "queued")
TABLE: list[tuple[Same, list[Any], list[str], Met]] = [
    *((Same(mode), [NEW], ["Begin"], MINE)
      for mode in ("existing", "raise", "replace", "again", "supersede")),
    *((Same(mode), [existing("done")], ["Begin"], ENDED)
      for mode in ("existing", "raise", "replace", "again", "supersede")),
    *((Same(mode), [existing("dead")], ["Begin"], DEAD) for mode in ("existing", "raise")),
    *((Same(mode), [existing("dead"), NEW], ["Begin", "dead"], MINE)
      for mode in ("replace", "again", "supersede")),
    (Same(debounce=2), [existing("dead"), NEW], ["Begin", "dead"], MINE),
    (Same(cooldown=60), [existing("dead")], ["Begin"], DEAD),
    *((Same(mode, id_dead="block"), [existing("dead")], ["Begin"], DEAD)
      for mode in ("existing", "raise", "replace", "again", "supersede")),
    *((Same(mode, id_dead="free"), [existing("dead"), NEW], ["Begin", "dead"], MINE)
      for mode in ("existing", "raise", "replace", "again", "supersede")),
    (Same("existing"), [existing()], ["Begin"], THERE),
    (Same("raise"), [existing()], ["Begin"], THERE),
    *((Same(mode), [existing(), OTHER, Replaced("replaced")], ["Begin", "Look", "Replacing"],
       Met("u", "replaced", "live")) for mode in ("replace", "again", "supersede")),
    (Same("replace"), [existing(), OTHER, RUNS], ["Begin", "Look", "Replacing"], THERE),
    (Same("again"), [existing(), OTHER, RUNS, NEW], ["Begin", "Look", "Replacing", "again"],
     Met(JOB.uid, "again")),
    (Same(debounce=2), [existing(), OTHER, RUNS, NEW], ["Begin", "Look", "Replacing", "again"],
     Met(JOB.uid, "again")),
    (Same("supersede"), [existing(), OTHER, RUNS, NEW],
     ["Begin", "Look", "Replacing", "supersede"], Met(JOB.uid, "superseded")),
    *((Same("supersede"), [existing(), OTHER, Replaced("replaced", after="b"), word],
       ["Begin", "Look", "Replacing", "Stop"], Met("u", happened, "live"))
      for word, happened in (("asked", "superseded"), ("unknown", "replaced"),
                             ("dead", "replaced"), (None, "replaced"))),
    # It was another's, or gone, by the time that it was looked at again.
    (Same("replace"), [existing(), None, NEW], ["Begin", "Look", "Begin"], MINE),
    (Same("replace"), [existing(), OTHER, Replaced("moved"), NEW],
     ["Begin", "Look", "Replacing", "Begin"], MINE),
    (Same("replace"), [existing(), OTHER, Replaced("dead"), existing("dead"), NEW],
     ["Begin", "Look", "Replacing", "Begin", "dead"], MINE),
    (Same("again"), [existing(), OTHER, RUNS, MOVED, NEW],
     ["Begin", "Look", "Replacing", "again", "Begin"], MINE),
    (Same(id_dead="free"), [existing("dead"), MOVED, existing()], ["Begin", "dead", "Begin"],
     THERE),
]  # fmt: skip


@pytest.mark.parametrize(("same", "answers", "done", "met"), TABLE)
def test_what_is_done_next_and_what_comes_of_it(
    same: Same, answers: list[Any], done: list[str], met: Met
) -> None:
    moves, came = resolved(same, *answers)
    assert (words(moves), came) == (done, met)


def test_each_move_is_about_the_job_that_was_seen() -> None:
    (begin, look, replacing, taking), _ = resolved(Same("supersede"), existing(), OTHER, RUNS)
    assert (begin, look) == (Begin(), Look("u"))
    assert (taking.uid, taking.boot, taking.step, taking.keep_ms) == ("u", "e.1", 7, 60_000)
    told = json.loads(taking.summary)
    assert (told["uid"], told["reason"]) == ("u", f"superseded by {JOB.uid}")
    answers = existing(), OTHER, Replaced("replaced", after="b")
    (_, _, replacing, stop), _ = resolved(Same("supersede"), *answers)
    assert replacing == attrs.evolve(REPLACING, supersedes=True)
    assert (stop.uid, stop.replaced, stop.wish.reason) == ("b", "u", "superseded by u")
    (*_, taking), _ = resolved(Same("again"), existing(), OTHER, RUNS)
    assert json.loads(taking.summary)["reason"] == f"its next run is {JOB.uid}"


@pytest.mark.parametrize(
    ("answers", "job", "said"),
    [
        ([existing(), OTHER], named("other"),
         "the id 'x' is job u of the handler 'noop', which can't become one of 'other'"),
        ([existing(), OTHER], named(queue="high"),
         "job u in the queue 'low', which can't move to 'high': enqueue into 'low', or give"),
        ([existing(), OTHER, Replaced("differs")], JOB, "with another fair key or weight"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["replace", "again", "supersede"])
def test_what_cannot_become_the_other_is_told_with_what_differs(
    mode: Any, answers: list[Any], job: NewJob, said: str
) -> None:
    with pytest.raises(IdMismatch, match=said):
        resolved(Same(mode), *answers, job=job)


def test_who_is_always_late_gives_up_after_the_time_that_a_request_has() -> None:
    clock = iter([0.0, 0.0, PATIENCE_S - 1, PATIENCE_S])
    answers = [existing(), OTHER, Replaced("moved")] * 3
    with pytest.raises(StoreBusy, match=r"the id 'x' was another job's .* for 10 s; nothing was"):
        resolved(Same("replace"), *answers, now=lambda: next(clock))
