"""A process that uses an embedded server until its input ends, or somebody kills it.

It says in one JSON line what it found. Arguments: the directory, and what to do besides.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.store.embedding import ask
from trioq.errors import StoreRefused
from trioq.store.embedded import start


def main() -> None:
    directory, what = Path(sys.argv[1]), sys.argv[2]
    if what == "deaf":  # as some shells, supervisors and modules leave it
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM})
    try:
        use = start(directory)
    except StoreRefused as error:
        print(json.dumps({"refused": str(error)}), flush=True)
        return
    if what == "fork" and os.fork() == 0:
        time.sleep(600)  # the child that outlives its parent
    try:
        pid = int(ask(use.socket_path, "INFO", "server").split(b"process_id:")[1].split()[0])
        if what.startswith("write"):
            ask(use.socket_path, "RPUSH", "written", *range(int(what.removeprefix("write"))))
        told = {"server": pid, "started_here": use.started_here, "pid": os.getpid()}
        print(json.dumps(told), flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    finally:
        use.close()


if __name__ == "__main__":
    main()
