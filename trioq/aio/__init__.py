"""trioq in programs of asyncio.

    async with trioq.aio.connect("jobqueue.toml") as client:
        handle = await client.enqueue(greet.call("Ada"))
        print(await handle.result(timeout=10))

The client is that of trio, with each of its methods (:class:`trioq.Client`), and so are its
handles, and :func:`trioq.as_done`.

    await trioq.aio.run_engine(app, "jobqueue.toml")

runs an engine in the loop that runs here.
"""

from typing import TYPE_CHECKING, Any

from trioq.client.loop_runtime import LoopClient as Client
from trioq.client.loop_runtime import connect
from trioq.extras import extra

if TYPE_CHECKING:
    from trioq.aio.guest import run_engine

__all__ = ["Client", "connect", "run_engine"]


def __getattr__(name: str) -> Any:
    # It brings an engine with it, and trio, which who enqueues needn't load.
    if name == "run_engine":
        with extra("trioq.aio.run_engine"):
            from trioq.aio.guest import run_engine

        return run_engine
    raise AttributeError(f"module 'trioq.aio' has no attribute {name!r}")
