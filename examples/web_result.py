"""A web view that waits for a job for a moment, and can be asked again.

    trioq serve examples/web.toml &
    python examples/web_result.py examples/web.toml &
    curl 127.0.0.1:8000/reports/2026-11

Plain WSGI, as Flask and Django are underneath. The client belongs to the program and is shared by
all threads; a process that the server forks has connections of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import trioq

app = trioq.App()

#: How long a request waits before it says "come again".
PATIENCE_S = 2.0


class NoSuchMonth(Exception):
    """Raised by the handler, and again by whoever waits."""


@dataclass
class Report:
    month: str
    orders: int


@app.job(result="10m", raises=[NoSuchMonth], retry=trioq.Retry(max_attempts=1))
def report(month: str) -> Report:
    """Something that takes a while."""
    year, _, number = month.partition("-")
    if number not in {f"{n:02}" for n in range(1, 13)}:
        raise NoSuchMonth(month)
    time.sleep(0.5)
    return Report(month, orders=int(year) * int(number))


def view(client: trioq.SyncClient, month: str) -> tuple[str, dict[str, Any]]:
    """The first request for a month enqueues; others find that job, and its result."""
    handle = client.enqueue(report.call(month), id=f"report:{month}")
    try:
        return "200 OK", asdict(handle.result(timeout=PATIENCE_S))
    except trioq.WaitTimeout:
        return "202 Accepted", {"again_in_s": 2}
    except NoSuchMonth as error:
        return "404 Not Found", {"error": f"no month {error}"}
    except trioq.ResultExpired:
        return "410 Gone", {"error": "it was there for ten minutes"}
    except trioq.NoResult as error:
        return "500 Internal Server Error", {"error": str(error)}


def application(client: trioq.SyncClient) -> Callable[..., Iterator[bytes]]:
    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        status, body = view(client, environ["PATH_INFO"].rpartition("/")[2])
        start(status, [("Content-Type", "application/json")])
        yield json.dumps(body).encode() + b"\n"

    return answer


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


def main(config: str, port: int) -> None:
    with trioq.connect_sync(config) as client:
        made = make_server("127.0.0.1", port, application(client), Threads, Quiet)
        print(f"listening on http://127.0.0.1:{made.server_port}", flush=True)
        made.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
