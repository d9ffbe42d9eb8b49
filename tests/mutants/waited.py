"""Mutants of how whoever waits is told of an end."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

WAITS = "client/waits.py"
TASKS = "client/task_waits.py"
WAIT_FOR = "store/lua/wait_for.lua"

MACHINE: Killers = ("props/test_waits.py",)
TELLING: Killers = ("tests/client/test_waits.py",)
TURNS: Killers = ("tests/client/test_waiting.py", "--timeout", "20")

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
        "        self._unasked |= self._asked\n        self._asked.clear()\n", "        pass\n",
        TELLING,
    ),
    Mutant(
        "who listens goes round and round while another asks", TASKS,
        "next_at = math.inf if own.asks else own.waits.next_at()",
        "next_at = own.waits.next_at()", TURNS,
    ),
    Mutant(
        "who waits is looked at and not noted", WAIT_FOR,
        '  redis.call("HSET", waits, unpack(notes))\n', "", TELLING,
    ),
)  # fmt: skip
