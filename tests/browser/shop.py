"""What the shop of the browser's tests does: some of it well, some of it not."""

from __future__ import annotations

import trio

import trioq

app = trioq.App()

ONCE = trioq.Retry(max_attempts=1)


@app.job(queue="high", result="1h")
async def receipt(order: int) -> str:
    return f"receipt-{order}.pdf"


@app.job(queue="mail", retry=ONCE)
async def mail(to: str) -> None:
    raise ConnectionRefusedError(f"the mail server refuses {to}")


@app.job(retry=ONCE)
async def thumbnail(path: str) -> None:
    raise FileNotFoundError(2, "No such file or directory", path)


@app.job(queue="low")
async def report(job: trioq.Job, month: str) -> None:
    job.log(f"looks at {month}")
    job.progress(0.4, "page 4 of 10")
    await trio.sleep_forever()


@app.job(queue="high", breaker=None)
async def charge(customer: str, cents: int) -> None:
    await trio.sleep_forever()


@app.job(queue="low", retry=trioq.Retry(max_attempts=20, base=3600, cap=3600))
async def ship(parcel: int) -> None:
    raise TimeoutError("the carrier doesn't answer")
