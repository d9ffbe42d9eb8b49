"""Mutants of what runs in asyncio: the client, and handlers."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

LOOP = "engine/handlers/asyncio_loop.py"
THREAD = "engine/handlers/asyncio_thread.py"
GUEST = "aio/guest.py"
OUTBOX = "client/loop_outbox.py"
SENDER = "client/loop_sender.py"
WAITS = "client/loop_waits.py"

HANDLERS: Killers = ("tests/engine/runs/test_asyncio.py", "--timeout", "30")
TASK: Killers = ("tests/engine/handlers/test_asyncio_task.py", "--timeout", "10")
HOSTED: Killers = ("tests/engine/test_guest.py", "--timeout", "30")
CLIENT: Killers = ("tests/client/test_aio.py", "--timeout", "30")

LOOPS = (
    Mutant(
        "a handler that was cancelled before it began is done", LOOP,
        "self.ended = _Stopped() if self.is_told else self._unasked(asyncio.CancelledError())",
        "self.ended = _Stopped()", HANDLERS,
    ),
    Mutant(
        "a handler in asyncio that resists is told again at its grace's end", LOOP,
        "max(AGAIN_S, self.grace_s / 2)", "self.grace_s", TASK,
    ),
    Mutant(
        "who cleans up in asyncio is cancelled again at once", LOOP,
        "max(AGAIN_S, self.grace_s / 2)", "0.001", HANDLERS,
    ),
    Mutant(
        "a task in asyncio gives its place back never", LOOP,
        "            places.release_on_behalf_of(task)\n", "            pass\n", HANDLERS,
    ),
    Mutant(
        "a guest's handlers run in a loop beside its host's", LOOP,
        "if (loop := host_loop.get()) is None:", "if (loop := None) is None:", HOSTED,
    ),
    Mutant(
        "a handler ends the loop of all", THREAD,
        "while not self._is_over:", "if True:", HANDLERS,
    ),
    Mutant(
        "the end of a loop of asyncio forgets its threads", THREAD,
        "await self.loop.shutdown_default_executor()", "pass", HANDLERS,
    ),
    Mutant(
        "a cancelled engine leaves its loop of asyncio", THREAD,
        "shield=True", "shield=False", HANDLERS,
    ),
    Mutant(
        "how late a loop was is told until it turns", THREAD,
        "return max(self.late_s(), *lags, 0.0)", "return self.late_s()", HANDLERS,
    ),
    Mutant(
        "a guest that is cancelled goes on", GUEST,
        "                self._is_cancelled = True\n", "                pass\n", HOSTED,
    ),
    Mutant(
        "a guest takes its host's signals", GUEST,
        "host_uses_signal_set_wakeup_fd=True", "host_uses_signal_set_wakeup_fd=False", HOSTED,
    ),
    Mutant(
        "a thread goes on for whom nobody waits", "client/sync_outbox.py",
        "    while not part.is_over:\n", "    while not part.is_answered:\n", CLIENT,
    ),
    Mutant(
        "a loop that has ended holds up the others' requests", OUTBOX,
        "if loop in self._sending:", "if len(self._sending):", CLIENT,
    ),
    Mutant(
        "who leaves gives its turn away while its thread has it", SENDER,
        "await asyncio.wait([answer], timeout=ends_s)",
        "await asyncio.wait_for(answer, ends_s)", CLIENT,
    ),
    Mutant(
        "loops that share a client start a thread whenever another one waits", WAITS,
        "if (here := self._attended.get(loop)) is None:", "if (here := None) is None:", CLIENT,
    ),
)  # fmt: skip
