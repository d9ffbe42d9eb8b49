"""Mutants of how whoever waits is told of an end."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

WAITS = "client/waits.py"
TASKS = "client/task_waits.py"
INSIDE = "engine/handlers/runners/inside.py"
WAIT_FOR = "store/lua/wait_for.lua"

MACHINE: Killers = ("props/test_waits.py",)
TELLING: Killers = ("tests/client/test_waits.py",)
LEFT: Killers = ("tests/client/test_waits_left.py", "--timeout", "60")
THREADS = "client/sync_waits.py"
TURNS: Killers = ("tests/client/test_waiting.py", "--timeout", "20")
CIRCLES: Killers = ("tests/engine/test_waits_for_itself.py",)
WAITING: Killers = ("tests/core/test_waiting.py",)

WAITED = (
    Mutant(
        "what waits isn't looked at again", WAITS,
        "if len(due) == WAIT_MAX or job.check_at > now:", "if True:", MACHINE,
    ),
    Mutant(
        "what is too large to be told is told as the end", WAITS,
        'if end.state == "later":  # with more', "if False:  # with more", MACHINE,
    ),
    Mutant(
        "a live job counts as told of", WAITS,
        'if end.state == "live":', "if False:", MACHINE,
    ),
    Mutant(
        "after a silence nothing is asked for anew", WAITS,
        "self._unasked |= self._asked | self._in_line\n", "pass\n",
        TELLING,
    ),
    Mutant(
        "who listens goes round and round while another asks", TASKS,
        "next_at = math.inf if own.asks else own.waits.next_at()",
        "next_at = own.waits.next_at()", TURNS,
    ),
    Mutant(
        "an answer about a wait that is over counts for the next one", WAITS,
        "if self._jobs.get(job.uid) is not job:", "if job.uid not in self._jobs:", TELLING,
    ),
    Mutant(
        "whose id is known to who comes later is asked for without it", WAITS,
        "        job.id = job.id or id\n", "", TELLING,
    ),
    Mutant(
        "what was looked at again is looked at before the others", WAITS,
        "            self._asked.pop(job, None)\n            self._in", "            self._in",
        TELLING,
    ),
    Mutant(
        "who does something else is woken to listen", WAITS,
        "        self._here.pop(waiter, None)\n", "        pass\n", LEFT,
    ),
    Mutant(
        "who listens is woken to ask", TASKS,
        "own.waits.wake_another(own.leader)", "own.waits.wake_another()", LEFT,
    ),
    Mutant(
        "who leaves when he is woken wakes nobody", TASKS,
        "if own.leader is None or _is_wanted(own):", "if False:", LEFT,
    ),
    Mutant(
        "a task that waits no longer is asked for", TASKS,
        "            self._own.waits.leave(self._jobs[place][0], wait)\n", "            pass\n",
        LEFT,
    ),
    Mutant(
        "a thread that waits no longer is asked for", THREADS,
        "                own.waits.leave(jobs[place][0], wait)\n",
        "                pass\n", LEFT,
    ),
    Mutant(
        "a closed client waits for its server", TASKS,
        " and not isinstance(error, StoreClosed):", ":", LEFT,
    ),
    Mutant(
        "a forked child is told what its parent waits for", TASKS,
        "if own is None or own.pid != os.getpid():", "if own is None:", LEFT,
    ),
    Mutant(
        "what ended in a silence is asked for when it is looked at", TASKS,
        "        own.waits.unheard()\n", "", LEFT,
    ),
    Mutant(
        "who waits is looked at and not noted", WAIT_FOR,
        '  redis.call("HSET", waits, unpack(notes))\n', "", TELLING,
    ),
    Mutant(
        "that nothing moves is said at each look", "engine/sampler.py",
        "is_lasting and not self._is_in_circle:", "is_lasting:", CIRCLES,
    ),
    Mutant(
        "who waits for a queue that nobody serves waits for itself", "core/waiting.py",
        "if not all(serving.values()):", "if False:", CIRCLES,
    ),
    Mutant(
        "engines that never waited together wait for each other", "core/waiting.py",
        "for_s = min(told.at", "for_s = max(told.at", WAITING,
    ),
    Mutant(
        "an engine waits since its first worker does", "core/waiting.py",
        "return _all_of(some, max(run.since for run in some))",
        "return _all_of(some, min(run.since for run in some))", WAITING,
    ),
    Mutant(
        "a runner tells of its waits when it tells of something else", INSIDE,
        "board.has_news or board.waiting != self._waiting", "board.has_news", CIRCLES,
    ),
)  # fmt: skip
