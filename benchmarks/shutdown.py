"""How long an engine takes to stop that has nothing to do.

    python -m benchmarks.shutdown [--rounds 10]

Starts ``trioq serve``, sends SIGTERM, and measures from there to the return of ``trio.run``
(written down by the process itself) and to the end of the process: once with the server
answering, once with the server stopped by SIGSTOP. The goals are 100 ms and 250 ms.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import Server, wait_until
from trioq.store.inspect import stats

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
[observability]
bind = ""
log_format = "json"
"""

#: Writes down, on the clock that all processes share, when trio.run has returned.
WRAPPED = """
import os, sys, time, trio
run = trio.run
def noted(*args, **options):
    try:
        return run(*args, **options)
    finally:
        with open(os.environ["RETURNED"], "w") as file:
            file.write(str(time.monotonic()))
trio.run = noted
from trioq.cli import main
sys.argv = ["trioq", "serve", os.environ["CONFIG"]]
main()
"""


def measure(server: Server, directory: Path, *, stopped: bool) -> tuple[float, float]:
    """Milliseconds to the return of trio.run, and to the end of the process."""
    config, returned = directory / "jobqueue.toml", directory / "returned"
    config.write_text(CONFIG.format(url=server.url))
    environ = {**os.environ, "RETURNED": str(returned), "CONFIG": str(config)}
    process = subprocess.Popen(
        [sys.executable, "-c", WRAPPED], env=environ, stderr=subprocess.DEVNULL
    )
    store = server.store("t")
    wait_until(lambda: len(stats(store).engines) == 1)
    store.lane.close()
    time.sleep(1.5)  # it is idle, and has polled
    if stopped:
        server.pause()
        time.sleep(1.2)  # a poll and a beat are under way
    signalled = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=60)
    ended = time.monotonic()
    server.resume()
    if code != 0:
        raise SystemExit(f"exit code {code}")
    return (float(returned.read_text()) - signalled) * 1000, (ended - signalled) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    print(f"{'ms':<18}{'run, median':>13}{'worst':>8}{'gone, median':>15}{'worst':>8}")
    with tempfile.TemporaryDirectory() as directory:
        for stopped in (False, True):
            server = Server().start()
            try:
                times = []
                for _ in range(rounds):
                    server.call("FLUSHALL")
                    times.append(measure(server, Path(directory), stopped=stopped))
            finally:
                server.close()
            run, gone = zip(*times, strict=True)
            print(
                f"{'server stopped' if stopped else 'server answers':<18}"
                f"{statistics.median(run):>13.1f}{max(run):>8.1f}"
                f"{statistics.median(gone):>15.1f}{max(gone):>8.1f}"
            )


if __name__ == "__main__":
    main()
