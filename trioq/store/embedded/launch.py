"""Starts a program with its signals as they are at a login, however this process has them.

What is ignored or blocked here is so in what is started from here. A server that inherits an
ignored SIGCHLD never hears that its rewriting child has ended, and its file grows for ever; one
with SIGTERM blocked can't be asked to end. Started as a file, and only where it is needed:

    launch.py PROGRAM ARGUMENT…
"""

from __future__ import annotations

import os
import signal
import sys

#: What a program needs to hear of.
NEEDED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM)


def unmasked() -> list[str]:
    """The words before a program's own that start it so; none where nothing is in the way."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    ignored = [number for number in NEEDED if signal.getsignal(number) is signal.SIG_IGN]
    return [sys.executable, "-I", "-S", __file__] if blocked or ignored else []


def main(argv: list[str]) -> None:
    """Become the program."""
    for number in NEEDED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(sys.argv[1:])
