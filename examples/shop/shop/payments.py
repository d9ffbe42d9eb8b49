"""An order is paid: once, whatever happens meanwhile."""

from __future__ import annotations

import trioq
from shop.app import Deps, app
from shop.mail import send
from shop.psp import CardRefused

psp = trioq.Limit("psp", rate=20, concurrency=4)


@app.job(
    queue="payments",
    limits=psp,
    timeout=30,
    retry=trioq.Retry(max_attempts=8, base=1, cap=600),
    result="1h",
)
async def charge(job: trioq.Job[Deps], order_id: str) -> str:
    """Take an order's money, and tell the customer; returns ``paid`` or ``refused``.

    It may be cut off behind any line, and run again: the provider knows the payment by its key, the
    first word about an order is the last one, and a second mail finds the first by its id.
    """
    db, order = job.deps.db, job.deps.db.order(order_id)
    try:
        receipt = await job.deps.psp.charge(order.card, order.cents, key=f"order:{order_id}")
        order = db.settle(order_id, "paid", receipt)
    except CardRefused as refused:
        order = db.settle(order_id, "refused", str(refused))
    await job.client.enqueue(
        send.call(order.email, f"Your order {order_id}", f"{order.state}: {order.note}"),
        id=f"mail:charge:{order_id}",
    )
    return order.state


def payment(order_id: str) -> trioq.Call[str]:
    """The call that pays for an order; by its id, whoever asks again finds the first."""
    return charge.call(order_id).with_options(id=f"charge:{order_id}")


@app.schedule(every="1m")
@app.job(queue="low")
async def collect(job: trioq.Job[Deps]) -> None:
    """Enqueue what the web couldn't, as its process died or Redis was away just then."""
    await job.client.enqueue_many(payment(order_id) for order_id in job.deps.db.unsettled())
