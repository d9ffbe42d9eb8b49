"""The way to a server, and a server of one's own."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

ATTEMPT: Killers = ("tests/store/test_attempt.py",)
REVIVAL: Killers = ("tests/store/test_embedded_revival.py",)

SERVER = "store/embedded/server.py"

SERVERS = (
    Mutant(
        "a Ctrl-C leaves the connection that was made meanwhile", "store/attempt.py",
        "BaseException:\n            self.abandon()\n", "BaseException:\n", ATTEMPT,
    ),
    Mutant(
        "a Ctrl-C leaves the connection that was handed over", "store/attempt.py",
        "                connection.disconnect()\n            raise",
        "                pass\n            raise", ATTEMPT,
    ),
    Mutant(
        "a keeper that was killed is missed by nobody", SERVER,
        "                    self._ensure_keeper()\n", "                    pass\n", REVIVAL,
    ),
    Mutant(
        "a server that was killed and that nobody calls stays a zombie", SERVER,
        "            reap()\n            with self._closing:", "            with self._closing:",
        REVIVAL,
    ),
    Mutant(
        "data that nobody can load are waited for", SERVER,
        "        except DataUnusable:\n            raise\n", "", REVIVAL,
    ),
)  # fmt: skip
