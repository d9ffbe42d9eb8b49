"""Mutants of the test kit and of what else helps those who develop."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

DEAD = "testing/deaths.py"
LINK = "testing/link.py"
WALL = "core/wall.py"

DEATHS: Killers = ("tests/testing/test_deaths.py",)
OUTAGES: Killers = ("tests/testing/test_outages.py",)
STANDS: Killers = ("tests/testing/test_standstill.py",)
ENDS: Killers = ("tests/testing/test_asyncio_end.py",)
SEEN_THERE: Killers = ("tests/testing/test_seen.py",)
ROOM: Killers = ("tests/testing/test_room_given_up.py",)
BUDGETS: Killers = ("tests/testing/exploring/test_budget.py",)
CLOCKS: Killers = ("tests/core/test_wall.py",)
DEBUGGED: Killers = ("tests/cli/test_dev_clock.py",)

KIT = (
    Mutant(
        "a test isn't told of jobs that died with their engine", DEAD,
        "            for uid in event.dead:\n", "            for uid in ():\n", DEATHS,
    ),
    Mutant(
        "a test is told once of many jobs that died behind a door", DEAD,
        "[Died(told)] * event.jobs", "[Died(told)]", DEATHS,
    ),
    Mutant(
        "deaths that a test has expected once it expects for ever", DEAD,
        "            self._expected.remove(mine)\n", "            pass\n", DEATHS,
    ),
    Mutant(
        "a pause that ends by itself is taken for one that lasts", "testing/standstill.py",
        ' and not first.data.get("until_ms")', "", STANDS,
    ),
    Mutant(
        "who comes in an outage reaches the store", LINK,
        "return self._now() < self._cut_until", "return self._cut_until == math.inf", OUTAGES,
    ),
    Mutant(
        "what gets lost is always the reply", LINK,
        'if fate == "request":', "if False:", OUTAGES,
    ),
    Mutant(
        "who asks for one attempt too many is told what it raised", "testing/performing.py",
        "                if isinstance(self.raised, JobControl):  # it asked",
        "                if False:  # it asked", OUTAGES,
    ),
    Mutant(
        "what a handler has left in asyncio outlives the run", "testing/asyncio_time.py",
        '            task.cancel("the test has ended")\n', "            pass\n", ENDS,
    ),
    Mutant(
        "another handler's jobs may come nearer", "testing/looking.py",
        "(_is_anothers(wanted, each[1]), len(each[0]))", "len(each[0])", SEEN_THERE,
    ),
    Mutant(
        "a payload that lies apart is none", "testing/looking.py",
        "None if found is None else found.payload", "None", SEEN_THERE,
    ),
    Mutant(
        "what a test lets fail is only what it has said last", "testing/faults.py",
        "self._failing.setdefault(name_meant(what), []).extend([error] * times)",
        "self._failing[name_meant(what)] = [error] * times", OUTAGES,
    ),
    Mutant(
        "who waits for room no longer keeps its place in line", "testing/inline.py",
        "await self._runtime.call(lambda store: store.step_aside(queue, [uid]))", "pass", ROOM,
    ),
    Mutant(
        "pairs of faults have a budget of their own", "testing/exploring/explorer.py",
        "plan.within(max(0, pairs - made), more, self.seed)", "plan.within(pairs, more, self.seed)",
        BUDGETS,
    ),
    Mutant(
        "a clock within another gives way to real time", WALL,
        "        _now_ns = before\n", "        _now_ns = time.time_ns\n", CLOCKS,
    ),
    Mutant(
        "who leaves one of two prompts has the clock go on", "cli/dev/debug.py",
        "                if not self._prompts:\n", "                if True:\n", DEBUGGED,
    ),
)  # fmt: skip
