"""Enqueue jobs from ordinary code: :func:`connect_sync`. Nothing here loads trio.

Each request is one numbered write (:mod:`trioq.client.sync_outbox`), so that one whose answer
was lost can be sent again without queueing anything twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never
from uuid import UUID

from trioq.client.arguments import many, name_of, refuse_unknown
from trioq.client.jobs import Drafts, Handle, Seconds, handles, raise_told
from trioq.client.many import drafted, following
from trioq.client.opening import configured
from trioq.client.sync_outbox import SyncOutbox
from trioq.core.call import Call
from trioq.core.calls import NewJob
from trioq.core.config import Config
from trioq.errors import StoreUnreachable
from trioq.observe.tracing import Tracing

if TYPE_CHECKING:
    from trioq.store.connect import Connector


class SyncClient:
    """Enqueues from ordinary code. Blocks; several threads may share one, and forked children.

    What several threads enqueue at once goes together, in one request.
    """

    def __init__(self, connector: Connector, drafts: Drafts, tracing: Tracing) -> None:
        self._drafts = drafts
        self._tracing = tracing
        self._outbox = SyncOutbox(lambda: connector.store("client"))

    @property
    def sender(self) -> str:
        """What the server knows this client by."""
        return self._outbox.id

    def enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        delay: Seconds = 0.0,
        id: str | UUID | None = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        **unknown: Never,
    ) -> Handle:
        """Queue one job; see :meth:`~trioq.client.client.Client.enqueue`."""
        refuse_unknown(unknown)
        with self._tracing.sending(name_of(what)) as sending:
            job = self._drafts.draft(
                what, payload, queue=queue, delay=delay, id=id,
                max_attempts=max_attempts, timeout=timeout, trace=sending.headers,
            )  # fmt: skip
            made = self.send([job])
            sending.sent([job.uid], {job.queue})
        return made[0]

    def enqueue_many(self, calls: Iterable[Call], *, queue: str | None = None) -> list[Handle]:
        """Queue many jobs, in batches; see :meth:`~trioq.client.client.Client.enqueue_many`."""
        made: list[Handle] = []
        queues: set[str] = set()
        with self._tracing.sending(None) as sending:
            batches = drafted(many(calls), self._drafts, queue, sending.headers)
            batch = following(batches)
            while isinstance(batch, list):
                part = self._outbox.start(batch)
                try:
                    after = following(batches)
                except BaseException:
                    self._outbox.leave(part)
                    raise
                try:
                    made += handles(batch, self._outbox.finish(part))
                except StoreUnreachable as error:
                    raise_told(error, batch)
                queues |= {job.queue for job in batch}
                batch = after
            if batch is not None:
                raise batch
            sending.sent([handle.uid for handle in made], queues)
        return made

    def send(self, jobs: Sequence[NewJob]) -> list[Handle]:
        """Queue one batch of jobs that are made already."""
        try:
            return handles(jobs, self._outbox.send(jobs))
        except StoreUnreachable as error:
            raise_told(error, jobs)


@contextmanager
def connect_sync(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
) -> Iterator[SyncClient]:
    """Open a client for ordinary code; see :func:`~trioq.client.client.connect`."""
    # redis-py is loaded by whoever connects: an import of this module is to cost little.
    from trioq.store.connect import open_store

    made, knows_queues = configured(config, url, namespace)
    tracing = Tracing.open(made)
    connector = open_store(made)
    try:
        yield SyncClient(connector, Drafts(made, knows_queues), tracing)
    finally:
        connector.close()
