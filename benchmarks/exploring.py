"""How long a handler of 20 steps takes to explore: ``python -m benchmarks.exploring``."""

from __future__ import annotations

import time

import trio

from trioq import App
from trioq.core.config import Config, QueueConfig
from trioq.testing import explore

CONFIG = Config(queues=(QueueConfig("default"),))
app: App[None] = App()


@app.job
async def steps() -> None:
    for _ in range(9):
        await trio.sleep(1)


def main() -> None:
    for faults in (
        ["crash"],
        ["cancel"],
        ["freeze"],
        ["lost"],
        ["crash", "cancel", "freeze", "lost"],
    ):
        began = time.perf_counter(), time.process_time()
        explored = explore(steps.call(), lambda: True, config=CONFIG, faults=faults)
        took, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        print(
            f"{'+'.join(faults):26} {len(explored.steps)} steps {explored.runs:4} runs"
            f" {took:6.2f} s ({cpu:.2f} s of CPU)"
        )


if __name__ == "__main__":
    main()
