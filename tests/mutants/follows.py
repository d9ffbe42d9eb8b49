"""Mutants of the step that follows one whose wait for a bell is ended."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

EXCHANGE = "engine/shard/exchange.py"
DISPATCH = "engine/shard/dispatcher.py"
BOOT = "engine/shard/boot.py"
BELL = "engine/shard/bell.py"
BRIDGE = "engine/bridge.py"

FOLLOWING: Killers = ("tests/engine/shard/test_follows.py",)
BOOTS: Killers = ("tests/engine/shard/test_boot.py",)
STEPPING: Killers = ("tests/store/test_stepping.py",)
BRIDGES: Killers = ("tests/engine/test_bridge.py", "-k", "follow or first_answer")

FOLLOWS = (
    Mutant(
        "the lease of a step that follows counts from its answer", EXCHANGE,
        "take(reply, followed_at, self._clock() - followed_at, False)",
        "take(reply, self._clock(), self._clock() - followed_at, False)", FOLLOWING,
    ),
    Mutant(
        "what was to follow a step that wasn't answered is settled by nobody", EXCHANGE,
        "        finally:\n            boot.withdraw()\n", "        finally:\n            pass\n",
        FOLLOWING,
    ),
    Mutant(
        "a number is left out where nothing followed", BOOT,
        "            self.number -= 1\n", "", BOOTS,
    ),
    Mutant(
        "what was to follow goes behind what has ended since", BOOT,
        "self.outcomes.extendleft(reversed(step.settlements))",
        "self.outcomes.extend(step.settlements)", BOOTS,
    ),
    Mutant(
        "results that were to follow are counted no more", BOOT,
        "            self.result_bytes += sum(map(_result_bytes, step.settlements))\n", "", BOOTS,
    ),
    Mutant(
        "what follows was never sent", BOOT,
        "self.following, None, 1", "self.following, None, 0", BOOTS,
    ),
    Mutant(
        "two steps claim before one is answered", "engine/shard/demand.py",
        "0 if claims else self._wanted(boot)", "self._wanted(boot)", FOLLOWING,
    ),
    Mutant(
        "the answer to what followed counts for a boot that is lost", DISPATCH,
        "        if self.lost.is_set():\n            return  # of a boot", "        if False:\n"
        "            return  # of a boot", FOLLOWING,
    ),
    Mutant(
        "what followed an answer that differs was refused", DISPATCH,
        'is_answered=why != "count differs"', "is_answered=True", FOLLOWING,
    ),
    Mutant(
        "what followed an answer that differs is sent again", DISPATCH,
        "        self._boot.in_flight = None\n", "", FOLLOWING,
    ),
    Mutant(
        "an end has to wait until the loop has heard of the end of the wait", BRIDGE,
        "(next_step := following()) is None", "(next_step := nothing()) is None", FOLLOWING,
    ),
    Mutant(
        "what ends a wait makes nothing that follows", BELL,
        "                self._ends()\n                self._started =",
        "                self._started =", FOLLOWING,
    ),
    Mutant(
        "a step that was put into words ahead is said of every other", "store/redis.py",
        "if ahead is not None and ahead[0] is step:", "if ahead is not None:", STEPPING,
    ),
    Mutant(
        "what is prepared is forgotten with the step that waits", "store/redis.py",
        "if self._ahead is not None and self._ahead[0] is step:", "if True:", STEPPING,
    ),
    Mutant(
        "a large result stays where it was put into words ahead", "store/redis.py",
        "            self._ahead = None  # it may have large results\n", "            pass\n",
        STEPPING,
    ),
    Mutant(
        "what is in use of many queues is asked ahead, on another's connection", "store/redis.py",
        "        if not self._narrowing.names_many(step):\n            self._ahead",
        "        if True:\n            self._ahead", STEPPING,
    ),
    Mutant(
        "something follows the step of a boot that is gone", BRIDGE,
        "isinstance(reply, Gone) or (next_step", "(next_step", BRIDGES,
    ),
    Mutant(
        "the first answer is used with the second", BRIDGE,
        "            token.run_sync_soon(use_first, answer)\n", "", BRIDGES,
    ),
    Mutant(
        "what is raised over the first answer is lost", BRIDGE,
        "            used.unwrap()\n", "", BRIDGES,
    ),
)  # fmt: skip
