"""What a thread runs one after the other: what would lose a job, run it twice, or mean another."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

SHORT: Killers = ("tests/engine/runs/test_short.py",)
ROWS: Killers = ("tests/engine/runs/test_hands.py",)
SAME: Killers = (*ROWS, "props/test_hands.py")
RUNS: Killers = ("tests/engine/runs/test_runs.py",)

MEANWHILE: Killers = ("tests/engine/runs/test_in_threads.py",)
FORKS: Killers = ("tests/engine/test_forks.py", "-k", "follow")

PILE = "engine/runs/pile.py"
HAND = "engine/runs/hand.py"
HANDS = "engine/runs/hands.py"

IN_A_ROW = (
    Mutant(
        "a thread's time counts from when it was asked for", HAND,
        "self.job, self.began = job, now", "self.job = job", SAME,
    ),
    Mutant(
        "what a def handler puts into its context is there for the next", HAND,
        "job.plan.handler, self.context.copy()", "job.plan.handler, self.context", SAME,
    ),
    Mutant(
        "a job is begun after it was taken back", HAND,
        "if (jobs[0] if jobs else None) is not planned:", "if False:", ROWS,
    ),
    Mutant(
        "what is taken back stays in the thread's hand", PILE,
        "self.jobs.clear()\n            return jobs\n", "return jobs\n", ROWS,
    ),
    Mutant(
        "what is behind a job that takes long is forgotten", HANDS,
        "            self.backlog.put_back(behind)\n", "", ROWS,
    ),
    Mutant(
        "what is behind a job that takes long waits for its end", HANDS,
        "            behind = pile.take_back()\n", "            pass\n", ROWS,
    ),
    Mutant(
        "a thread that is to begin nothing more goes on", HAND,
        "                if self._is_closed:\n                    return None\n", "", ROWS,
    ),
    Mutant(
        "a job is told of by the thread and by who waits for it", HAND,
        "if is_result and not self._is_closed and", "if is_result and", ROWS,
    ),
    Mutant(
        "a job is put where no thread takes any more", PILE,
        "            return self.takers > 0\n", "            return True\n", ROWS,
    ),
    Mutant(
        "what is done in a thread is told of twice", PILE,
        "done, self.done = self.done, []", "done = self.done", ROWS,
    ),
    Mutant(
        "a thread's lease is asked for once for all that it runs", HAND,
        " or not may_start():", ":", ROWS,
    ),
    Mutant(
        "a breaker that others have failed meanwhile isn't looked at in a thread", HAND,
        "job is None or not job.plan.breaker.is_calm or", "job is None or", ROWS,
    ),
    Mutant(
        "what takes too long in a thread is a success", HAND,
        " and now - began < job.plan.timeout_s:", ":", ROWS,
    ),
    Mutant(
        "a def handler isn't told that it was left alone", HAND,
        "        self._scope.cancel(why)\n", "", ROWS,
    ),
    Mutant(
        "a thread that was left alone is counted for ever", HAND,
        "            left_behind.discard(self)\n", "", ROWS,
    ),
    Mutant(
        "what went well in a thread isn't counted", "engine/runs/done.py",
        "            self.recent.done[plan.queue] += len(alike.runs)\n", "", SAME,
    ),
    Mutant(
        "failpoints aren't passed by what a thread runs in a row", HANDS,
        "self.is_off or failpoints.armed() or", "self.is_off or", ROWS,
    ),
    Mutant(
        "a boot that ends gives back nothing of what threads haven't begun", "engine/backlog.py",
        "return lent + jobs", "return jobs", ("tests/engine/test_backlog.py",),
    ),
    Mutant(
        "a boot doesn't wait for what threads run in a row", "engine/runs/run.py",
        "for run in self) + self._hands[by]", "for run in self)", RUNS,
    ),
    Mutant(
        "a run that turns up when its boot ends goes on", "engine/runs/run.py",
        "            run.cancel(why)  # it began in a thread, before its boot was to end\n",
        "            pass\n", RUNS,
    ),
    Mutant(
        "jobs are lost where there is no place for a thread", HANDS,
        "            self.backlog.put_back([job.held for job in jobs][1:])\n",
        "", ROWS,
    ),
    Mutant(
        "what a thread stopped at is tried in a thread again", HANDS,
        "            if behind and hand.over.is_set():\n", "            if False:\n", ROWS,
    ),
    Mutant(
        "a begun job is lost with the worker that waits for its thread", HANDS,
        "        except trio.Cancelled:\n            pass\n",
        "        except trio.Cancelled:\n            raise\n", MEANWHILE,
    ),
    Mutant(
        "what a thread has begun counts for a breaker that has opened meanwhile", HANDS,
        "hand.began, hand.rest, hand.permit)", "hand.began, hand.rest)", MEANWHILE,
    ),
    Mutant(
        "what a thread runs outlives its lease, though it isn't to", "engine/runs/worker.py",
        "            runs.lease_ended(by)  # it was told before this one was seen\n",
        "            pass\n", MEANWHILE,
    ),
    Mutant(
        "an engine ends where no thread can be started for several", HAND,
        "            if want_of(error) is None:\n                raise\n", "            raise\n",
        MEANWHILE,
    ),
    Mutant(
        "one thread runs all short ones", HANDS,
        "if pile is not None and is_quick:", "if pile is not None:", SHORT,
    ),
    Mutant(
        "a short job that takes long is nobody's affair", HANDS,
        "                    hand.call()\n", "                    pass\n", SHORT,
    ),
    Mutant(
        "a short job that takes too long is heard of when it has taken long", HAND,
        "min(so_long_s, self.job.plan.timeout_s)", "so_long_s", SHORT,
    ),
    Mutant(
        "a thread that has ended is followed by no other", HANDS,
        "if len(pile.hands) < self.threads.total_tokens and (", "if False and (", SHORT,
    ),
    Mutant(
        "short ones are taken for jobs that keep others waiting", HANDS,
        "alone=not pile.is_shared", "alone=True", SHORT,
    ),
    Mutant(
        "what one thread stopped at waits for all the others", HANDS,
        "if not pile.hands or (job is None and hand.over.is_set()):", "if not pile.hands:",
        SHORT,
    ),
    Mutant(
        "what the threads have not begun is forgotten where one has ended", HANDS,
        "if not pile.hands or (job is None and hand.over.is_set()):", "if False:", SHORT,
    ),
    Mutant(
        "a copy in a thread runs what was to follow there", HAND,
        "            end_if_copy()\n", "            pass\n", FORKS,
    ),
)  # fmt: skip
