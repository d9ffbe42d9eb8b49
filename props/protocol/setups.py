"""What is searched to the end: who takes part, and what may go wrong.

``QUICK`` runs with every test run, ``LONG`` in ``make props``.
"""

from __future__ import annotations

from props.protocol.server import VERBS
from props.protocol.world import Budget, Setup

QUICK = {
    "two engines, two jobs, one re-send": Setup(engines=2, jobs=2, budget=Budget(resends=1)),
    "two re-sends": Setup(jobs=2, budget=Budget(resends=2)),
    "every verb": Setup(jobs=2, verbs=VERBS, budget=Budget(resends=1, odd=1)),
    "put back and reaped": Setup(verbs=VERBS, budget=Budget(resends=1, odd=2, reaps=1)),
    "beats that arrive late": Setup(budget=Budget(resends=1, reaps=1, beats=1)),
    "a rollback": Setup(budget=Budget(resends=1, rollbacks=1)),
    "a client": Setup(jobs=1, new=1, budget=Budget(resends=2)),
    "a client that cancels": Setup(jobs=2, budget=Budget(resends=1, cancels=2)),
    "a cancel, and jobs that are put back": Setup(
        verbs=VERBS, budget=Budget(resends=1, odd=1, cancels=1)
    ),
    "a cancel, and an engine that dies": Setup(budget=Budget(resends=1, kills=1, cancels=1)),
    "an ask, and a step sent again": Setup(
        verbs=("ack", "release"), budget=Budget(resends=2, odd=1, cancels=1)
    ),
    "an ask, and who is asked dies": Setup(
        verbs=("ack", "retry", "cancel"), budget=Budget(odd=1, kills=1, cancels=1)
    ),
    "an ask, and who is asked stops": Setup(
        verbs=("ack", "retry", "cancel"), budget=Budget(odd=1, stops=1, cancels=1)
    ),
    "an ask, and a pause": Setup(budget=Budget(resends=1, reaps=1, cancels=1)),
    "jobs that run until they are asked": Setup(
        endless=True,
        verbs=("cancel",),
        at_once=False,
        budget=Budget(resends=1, kills=1, cancels=1),
    ),
    "stops and kills": Setup(budget=Budget(resends=1, stops=1, kills=1)),
    "suspects": Setup(jobs=2, want=2, budget=Budget(kills=2)),
    "a lost boot signs off": Setup(engines=2, budget=Budget(resends=1, reaps=1)),
    "two queues": Setup(queues=2, jobs=2, want=2, budget=Budget(resends=1, kills=1, stops=1)),
    "two queues, a pause": Setup(queues=2, jobs=2, want=2, budget=Budget(resends=1, reaps=1)),
    "a step that waits": Setup(jobs=0, new=1, budget=Budget(resends=1, kills=1, waits=1)),
    "a step that waits while a job runs": Setup(new=1, budget=Budget(resends=1, waits=1)),
    "a step that waits, and a pause": Setup(budget=Budget(resends=1, reaps=1, waits=1)),
    "a step that waits, and a proper end": Setup(
        jobs=0, new=1, budget=Budget(resends=1, stops=1, waits=1)
    ),
    "two steps that wait": Setup(engines=2, jobs=0, new=1, budget=Budget(resends=1, waits=2)),
    "a limit": Setup(
        jobs=2, limit=1, verbs=("ack", "release", "park"), budget=Budget(resends=1, odd=1)
    ),
    "a limit, and a pause": Setup(jobs=2, limit=1, budget=Budget(resends=1, reaps=1)),
    "a limit of two queues, a cancel": Setup(
        queues=2, jobs=2, want=2, limit=1, budget=Budget(stops=1, cancels=1)
    ),
    "a limit that rests": Setup(
        jobs=2, limit=1, verbs=("ack", "rest"), budget=Budget(resends=1, odd=1)
    ),
    "a limit that rests, and who let it dies": Setup(
        jobs=2, want=2, limit=2, verbs=("ack", "rest"), budget=Budget(odd=1, kills=1)
    ),
    "a key that is paused": Setup(jobs=2, limit=2, want=2, budget=Budget(resends=1, pauses=1)),
    "a key that is paused, of two queues": Setup(
        queues=2, jobs=2, limit=1, verbs=("ack", "release"), budget=Budget(odd=1, pauses=1)
    ),
    "a key that is paused, and who runs it dies": Setup(
        jobs=2, limit=1, budget=Budget(kills=1, pauses=1)
    ),
    "a key that is paused, a cancel": Setup(jobs=2, limit=1, budget=Budget(cancels=1, pauses=1)),
    "a key that is paused, a kill, a cancel": Setup(
        limit=1, budget=Budget(kills=1, cancels=1, pauses=1)
    ),
    "a job that arrives without what it takes": Setup(
        jobs=2, limit=1, unbound=1, budget=Budget(resends=1)
    ),
    "two that arrive so, and who binds them dies": Setup(
        jobs=2, want=2, limit=1, unbound=2, budget=Budget(kills=1)
    ),
    "one that arrives so, and a pause": Setup(
        limit=1, unbound=1, budget=Budget(resends=1, reaps=1)
    ),
    "one that arrives so, and a cancel": Setup(
        limit=1, unbound=1, budget=Budget(resends=1, cancels=1)
    ),
    "jobs that run on": Setup(jobs=2, want=2, at_once=False, budget=Budget(resends=1, kills=1)),
}

LONG = {
    "an ask, and who is asked stops or dies, or both in turn": Setup(
        verbs=("ack", "retry", "cancel"), budget=Budget(odd=1, kills=1, stops=1, cancels=1)
    ),
    "a key of two jobs that is paused, a kill, a cancel": Setup(
        jobs=2, limit=1, budget=Budget(kills=1, cancels=1, pauses=1)
    ),
    "two engines, jobs that arrive without what they take": Setup(
        engines=2, jobs=2, limit=1, unbound=2, budget=Budget(stops=1)
    ),
    "a limit, two engines, a kill": Setup(engines=2, jobs=2, limit=1, budget=Budget(kills=1)),
    "every verb, a kill": Setup(jobs=2, verbs=VERBS, budget=Budget(resends=1, odd=1, kills=1)),
    "re-sends, a kill, a pause": Setup(budget=Budget(resends=2, kills=1, reaps=1)),
    "a rollback, a pause": Setup(budget=Budget(resends=1, rollbacks=1, reaps=1)),
    "a rollback, a kill": Setup(budget=Budget(resends=1, rollbacks=1, kills=1)),
    "a lost boot signs off twice": Setup(engines=2, budget=Budget(resends=2, reaps=1)),
    "two queues, every verb": Setup(
        queues=2, jobs=2, want=2, verbs=VERBS, budget=Budget(resends=1, odd=1, reaps=1)
    ),
    "two queues, three jobs": Setup(
        queues=2, jobs=3, want=2, budget=Budget(resends=1, kills=1, stops=1)
    ),
    "cancels, every verb, a reap": Setup(
        verbs=VERBS, budget=Budget(resends=1, odd=1, reaps=1, cancels=2)
    ),
    "asks of two jobs, a suspect": Setup(
        jobs=2, want=2, verbs=("ack", "release"), budget=Budget(odd=1, kills=1, cancels=2)
    ),
    "an ask, and a rollback": Setup(
        verbs=("ack", "release"), budget=Budget(resends=1, odd=1, rollbacks=1, cancels=1)
    ),
    "two engines, a cancel": Setup(engines=2, budget=Budget(kills=1, cancels=1)),
    "a step that waits, a rollback": Setup(budget=Budget(resends=1, rollbacks=1, waits=1)),
    "a step that waits, a kill, a pause": Setup(
        jobs=0, new=1, budget=Budget(resends=1, kills=1, reaps=1, waits=1)
    ),
    "two engines that wait, a kill": Setup(
        engines=2, jobs=0, new=1, budget=Budget(kills=1, waits=2)
    ),
    "a client, a kill": Setup(jobs=1, new=1, budget=Budget(resends=1, kills=1)),
}
