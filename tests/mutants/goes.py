"""The two ways through a worker: what would make them mean two things."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

GO: Killers = ("tests/engine/runs/test_spree.py",)
PLANNED: Killers = ("tests/engine/runs/test_plans.py",)
TOLD: Killers = ("tests/engine/runs/test_ends.py",)
CANCELLED: Killers = ("tests/engine/runs/test_cancelled.py",)
BOTH: Killers = (*GO, "props/test_spree.py")
DROPS: Killers = ("tests/observe/test_dropping.py",)

SPREE = "engine/runs/spree.py"
PLAN = "engine/runs/plan.py"
DONE = "engine/runs/done.py"
WORKER = "engine/runs/worker.py"
START = "engine/runs/start.py"
ENDS = "engine/runs/ends.py"
TIMEBOX = "engine/handlers/timebox.py"
ISOLATED = "engine/handlers/isolated.py"

GOES = (
    Mutant(
        "a timeout counts from when its handler has waited", START,
        "timebox, run.began, plan", "timebox, trio.current_time(), plan", BOTH,
    ),
    Mutant(
        "nothing becomes of a begun run that is cancelled", WORKER,
        "            if run is None or not run.is_told:\n",
        "            if run is None or (not run.is_told and (end or begun is None)):\n", GO,
    ),
    Mutant(
        "a run that is told of with others is counted twice", "observe/metrics/listener.py",
        "                self(one)\n            return\n", "                self(one)\n", BOTH,
    ),
    Mutant(
        "what a job puts into its context is there for the next", SPREE,
        "context.run(coroutine.send, None)", "coroutine.send(None)", BOTH,
    ),
    Mutant(
        "what a payload becomes puts into its context is there for the next", SPREE,
        "context.run(binding.bind, content)", "binding.bind(content)",
        BOTH,
    ),
    Mutant(
        "a handler that waits has the others wait too", SPREE,
        "            self.backlog.taken()\n", "", GO,
    ),
    Mutant(
        "a lease is asked for once for all that is run in one go", SPREE,
        "if not may_start():", "if not done and not may_start():", GO,
    ),
    Mutant(
        "what one record says of its own is heard of others", PLAN,
        "if alone.id is None and not alone.trace and not alone.due_ms:", "if True:", GO,
    ),
    Mutant(
        "a header that takes something back ends the engine", PLAN,
        "except RecordUnreadable:\n            return  #",
        "except KeyError:\n            return  #", GO,
    ),
    Mutant(
        "what a record asks for isn't heard", PLAN,
        "record.queue, record.options\n", "record.queue, Options()\n", GO,
    ),
    Mutant(
        "each worker has a turn of its own", WORKER,
        "turn.spent_s += spree.now - began", "turn.spent_s = 0.0", GO,
    ),
    Mutant(
        "what has begun is told of by itself", ENDS,
        "        if self._lot:\n", "        if False:\n", TOLD,
    ),
    Mutant(
        "a traced run is told to have begun with others, outside of its span", ENDS,
        "        if job.span is not None:\n", "        if False:\n", TOLD,
    ),
    Mutant(
        "who tells that runs have begun is said to run them", "core/events.py",
        "wanted_ms, suspect, worker)", "wanted_ms, suspect)", TOLD,
    ),
    Mutant(
        "of the results that aren't kept each is its teller's", DONE,
        "worker = workers[n] if has_waited else None", "worker = None", TOLD,
    ),
    Mutant(
        "of what begins the first is told, and no other", "observe/metrics/listener.py",
        "                self._job_started(one)\n",
        "                self._job_started(one)\n                break\n", BOTH,
    ),
    Mutant(
        "the last that runs waits for others that could end with it", ENDS,
        "if not self.runs:", "if False:",
        ("tests/engine/runs/test_ends.py",),
    ),
    Mutant(
        "a turn goes on when the loop has turned", ENDS,
        "                self.turn.ended(self._called_in)\n", "", TOLD,
    ),
    Mutant(
        "what has waited too long is simply done", TIMEBOX,
        "return now < self.deadline and self", "return self",
        ("tests/engine/handlers/test_timebox.py",),
    ),
    Mutant(
        "what was told to end is simply done, and its worker goes on in a scope that is cancelled",
        WORKER, "if is_result and not run.is_to_end and", "if is_result and", CANCELLED,
    ),
    Mutant(
        "what is returned after a wait isn't looked at", WORKER,
        "if is_result and not run", "if not run", GO,
    ),
    Mutant(
        "a box that rests ends a wait", TIMEBOX,
        "            self._scope.deadline = self.deadline = math.inf\n", "            pass\n",
        ("tests/engine/handlers/test_timebox.py",),
    ),
    Mutant(
        "what is run without waiting counts for nothing if it isn't done in a go", WORKER,
        "shop.turn.spent_s += now - self._spree.now", "pass", GO,
    ),
    Mutant(
        "the span of a run is there for the next", SPREE,
        "                    span.end(Ack(held.uid, held.step), SUCCEEDED)\n",
        "                    pass\n", BOTH,
    ),
    Mutant(
        "the span of a dropped run is there for the next", "observe/dropping.py",
        "        detach(self._token)\n", "        pass\n", DROPS,
    ),
    Mutant(
        "what a sampler may keep is dropped", "observe/dropping.py",
        "type(sampler) in kinds and of_dropped is sampling.ALWAYS_OFF", "True", DROPS,
    ),
    Mutant(
        "what is kept of its enqueue isn't kept of its run", "observe/dropping.py",
        "if not me.is_valid or me.trace_flags.sampled:", "if not me.is_valid:", DROPS,
    ),
    Mutant(
        "a baggage is lost with a dropped run", "observe/dropping.py",
        " or len(enqueued) > 1 or", " or", DROPS,
    ),
    Mutant(
        "a run isn't linked to the attempt before", SPREE,
        "                    if held.attempt > 1:\n                        return held",
        "                    if False:\n                        return held", BOTH,
    ),
    Mutant(
        "the deadline of the first in a go is that of all", SPREE,
        "if now > box_until:", "if box_until == -math.inf:", BOTH,
    ),
    Mutant(
        "a breaker isn't told what went well", DONE,
        "            self.breakers.succeeded(plan.name, len(alike.runs), now)\n", "",
        (*BOTH, "tests/engine/runs/test_hands.py", "props/test_hands.py"),
    ),
    Mutant(
        "a breaker that a success opens opens after the others", SPREE,
        "                if not is_calm:\n", "                if False:\n", GO,
    ),
    Mutant(
        "a breaker that a success has opened isn't looked at", SPREE,
        "                    header = plan = None\n", "", GO,
    ),
    Mutant(
        "what the record before has said is heard of the next", SPREE,
        "if header is None or not stored.startswith(line):", "if header is None:", BOTH,
    ),
    Mutant(
        "a handler can change what the trace of the next one is", PLAN,
        "trace=dict(header.trace) if", "trace=header.trace if", GO,
    ),
    Mutant(
        "a scope that is left open isn't noticed", SPREE,
        " or innermost(task) is not place", "", BOTH,
    ),
    Mutant(
        "a handler doesn't see how long it has", SPREE,
        "timebox.of(timeout_s, now)", "timebox.of(None)", BOTH,
    ),
    Mutant(
        "a wait for another library's loop passes for none", ISOLATED,
        "if self._wanted is not _NOTHING:", "if self._wanted not in (None, _NOTHING):", BOTH,
    ),
    Mutant(
        "a task that was woken may be cancelled as if it waited", ISOLATED,
        "return _if_still(self._checked(wanted))", "return self._checked(wanted)", GO,
    ),
    Mutant(
        "failpoints aren't passed by what is run in one go", SPREE,
        "self.is_off or failpoints.armed()", "self.is_off", GO,
    ),
    Mutant(
        "of a job that comes again little is told", DONE,
        "if attempt > 1 or held.suspect or wanted_ms", "if held.suspect or wanted_ms", GO,
    ),
    Mutant(
        "of a suspect little is told", DONE,
        "attempt > 1 or held.suspect or wanted_ms", "attempt > 1 or wanted_ms", GO,
    ),
    Mutant(
        "of what was to wait little is told", DONE,
        " or held.suspect or wanted_ms != enqueued_ms:", " or held.suspect:", GO,
    ),
    Mutant(
        "a summary says when its job began", DONE,
        "held.attempt, wall + ended\n", "held.attempt, wall + ended - took_s\n", GO,
    ),
    Mutant(
        "what is worked out for one queue's jobs is another's", PLAN,
        "asked = record.name, record.queue, record", 'asked = record.name, "", record', PLANNED,
    ),
    Mutant(
        "what ever so many jobs ask for is kept", PLAN,
        "            _make_room(self._by_start)\n", "", PLANNED,
    ),
    Mutant(
        "how long a go took is how long each of it took", "engine/runs/done.py",
        "took_s=spent_s / len(settled)", "took_s=spent_s",
        ("tests/engine/shard/test_dispatcher.py", "-k", "compute"),
    ),
    Mutant(
        "a job of a millisecond can't be told of", "engine/runs/done.py",
        "if took_us < 1000", "if took_us <= 1000", ("tests/engine/runs/test_done.py",),
    ),
)  # fmt: skip
