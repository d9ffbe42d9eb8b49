"""An engine in a nursery of your own, beside an HTTP server.

python examples/embedded_engine.py            serve on 127.0.0.1:8000 until Ctrl-C
curl -X POST '127.0.0.1:8000/greet?name=Ada'
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import trio

import trioq

app = trioq.App()


@app.job("greet", queue="high", retry=trioq.Retry(max_attempts=3))
async def greet(job: trioq.Job, name: str) -> None:
    print(f"hello {name} (attempt {job.attempt})", flush=True)


async def answer(client: trioq.Client, stream: trio.SocketStream) -> None:
    """One request, one job. Use a real HTTP server for more than an example."""
    async with stream:
        request = (await stream.receive_some(8192)).decode("latin-1")
        _, target, _ = request.split(" ", 2)
        [name] = parse_qs(urlsplit(target).query).get("name", ["world"])
        handle = await client.enqueue(greet.call(name=name))
        body = f"{handle.uid}\n".encode()
        head = f"HTTP/1.1 202 Accepted\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await stream.send_all(head.encode() + body)


async def main(config: Path, port: int) -> None:
    async with trioq.connect(config) as client, trio.open_nursery() as nursery:
        await nursery.start(trioq.Engine(app, config).run)

        async def handle(stream: trio.SocketStream) -> None:
            await answer(client, stream)

        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        address = listeners[0].socket.getsockname()
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            print(f"listening on http://{address[0]}:{address[1]}", flush=True)
            await anext(signals)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    here = Path(__file__).parent
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "example.toml"
    trio.run(main, chosen, int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
