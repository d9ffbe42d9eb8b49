"""What handlers share: what would leave it open, close it too early, or lead to another's."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

HELD = "engine/handlers/held.py"
LIFESPANS = "engine/handlers/lifespans.py"

#: Whoever hangs is told by that.
SHARED: Killers = ("tests/engine/test_lifespans.py", "--timeout", "60")
APART: Killers = ("tests/engine/runs/test_apart.py", "-k", "lifespan")

DEPS = (
    Mutant(
        "a lifespan is cancelled with its engine", HELD,
        "                    self._scope.shield = True\n", "", SHARED,
    ),
    Mutant(
        "a lifespan that doesn't end keeps its engine from ending", HELD,
        "        self._scope.deadline = trio.current_time() + within_s\n", "", SHARED,
    ),
    Mutant(
        "a lifespan that has ended by itself isn't missed", HELD,
        "if not self.is_told and not self._scope.cancel_called:", "if False:", SHARED,
    ),
    Mutant(
        "Ctrl-C in a lifespan is a failure of that", HELD,
        "if isinstance(other, KeyboardInterrupt):", "if False:", SHARED,
    ),
    Mutant(
        "a lifespan in asyncio is told to end in trio's thread", HELD,
        "loop.call_soon_threadsafe(leave.set)", "leave.set()", SHARED,
    ),
    Mutant(
        "lifespans are left in the order in which they were entered", LIFESPANS,
        "in reversed(self._all):", "in self._all:", SHARED,
    ),
    Mutant(
        "an engine that is cancelled leaves one of its lifespans and no other", LIFESPANS,
        "with trio.CancelScope(shield=True):\n            for held", "with trio.CancelScope():\n"
        "            for held", SHARED,
    ),
    Mutant(
        "an engine whose lifespans are entered is never ready", LIFESPANS,
        '            self.entering = ""\n            if not', "            if not", SHARED,
    ),
    Mutant(
        "a drain waits for a lifespan that nobody needs any more", LIFESPANS,
        "                entering.start_soon(cancel_when, draining, entering.cancel_scope)\n", "",
        SHARED,
    ),
    Mutant(
        "all handlers see the first app's", LIFESPANS,
        "if held.lifespan is lifespan), None)", "), None)", SHARED,
    ),
    Mutant(
        "a handler that is not begun by hand finds nothing", "engine/runs/start.py",
        "            job._share(shared)", "            pass", SHARED,
    ),
    Mutant(
        "an engine enters what only its runners need", "registry.py",
        'if each.isolation != "process"}', "}", APART,
    ),
)  # fmt: skip
