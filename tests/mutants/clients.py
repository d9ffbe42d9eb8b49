"""Clients: what would lose a job that was enqueued, queue it twice, or keep somebody waiting."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

CANCELLING: Killers = ("tests/client/test_cancelling.py",)
HANDLES: Killers = ("tests/client/test_handles.py", "--timeout", "60")
CANCEL: Killers = ("tests/client/test_cancel.py",)
BATCHES: Killers = ("tests/client/test_many.py",)
DRAFTS: Killers = ("tests/client/test_jobs.py",)
OUTBOX: Killers = ("props/test_outbox.py",)
SHARING: Killers = ("tests/client/test_sharing.py",)
TRACING: Killers = ("tests/observe/test_tracing.py", "-k", "provider")
PATIENCE: Killers = ("tests/client/test_patience.py", "--timeout", "60")
OF_ENGINE: Killers = ("tests/client/test_of_engine.py",)
OPTIONS: Killers = ("tests/client/test_with_options.py",)
MADE_IDS: Killers = ("tests/client/test_id_from.py",)
RESOLVING: Killers = ("tests/client/test_resolving.py",)
CONFLICTS: Killers = ("tests/client/test_conflicts.py", "--timeout", "60")
STORM: Killers = ("tests/faults/test_network_engine.py",)

CLIENTS = (
    Mutant(
        "a client numbers each try", "client/task_outbox.py",
        "enqueue, sender, write.number, write.jobs, who",
        "enqueue, *own.box.numbering.next(), write.jobs, who", STORM,
    ),
    Mutant(
        "one full queue refuses all who share the request", "client/outbox.py",
        "if len(parts) > 1 and isinstance(", "if not parts and isinstance(", OUTBOX,
    ),
    Mutant(
        "a request is given up with whoever sends it", "client/outbox.py",
        "if self._under_way is None or not self._under_way.is_wanted:", "if True:", OUTBOX,
    ),
    Mutant(
        "a request that Ctrl-C breaks off is forgotten", "client/outbox.py",
        "for part in list(self._waiting):",
        "for part in [self._waiting.popleft() for _ in range(len(self._waiting))]:", OUTBOX,
    ),
    Mutant(
        "who shares a request is told of another's job", "client/outbox.py",
        "place - first: other", "place: other", OUTBOX,
    ),
    Mutant(
        "what goes together has no bound in bytes", "client/outbox.py",
        "count > BATCH_JOBS or size > BATCH_BYTES", "count > BATCH_JOBS", OUTBOX,
    ),
    Mutant(
        "what was tried together is tried again together", "client/outbox.py",
        "part.is_alone = True", "part.is_alone = False", OUTBOX,
    ),
    Mutant(
        "an error in the calls is told before the batch under way is answered", "client/many.py",
        "        return error\n", "        raise\n", BATCHES,
    ),
    Mutant(
        "a patient call's time begins when it is its turn", "client/sync_sender.py",
        "if not self.is_bound:", "if True:", PATIENCE,
    ),
    Mutant(
        "a patient task's time begins when it is its turn", "client/task_sender.py",
        "if self._patience_s is None:", "if True:", PATIENCE,
    ),
    Mutant(
        "an answer that drips is waited for without end", "store/lane.py",
        "        _parser(connection).until = ends\n", "", PATIENCE,
    ),
    Mutant(
        "a request that waits for its connection has no end", "store/lane.py",
        "attempt.run(self.connect, left_s)", "attempt.run(self.connect)", PATIENCE,
    ),
    Mutant(
        "a job of many that has options comes after the others", "client/many.py",
        "jobs.insert(place, other)", "jobs.append(other)", OPTIONS,
    ),
    Mutant(
        "a call goes before what its enqueue says", "client/what.py",
        "over(what.options, given)", "over(given, what.options)", OPTIONS,
    ),
    Mutant(
        "a call's delay stays beside another time", "core/call_options.py",
        "if _SAY_WHEN & then.keys()", "if not then.keys()", OPTIONS,
    ),
    Mutant(
        "of many, nobody gets the handles of the last batch", "client/sync.py",
        "            made += handles(SyncHandle, self, before, enqueued)\n            if batch",
        "            if batch", BATCHES,
    ),
    Mutant(
        "a timeout is asked for once", "client/jobs.py",
        "options is not NO_OPTIONS or trace", "options.max_attempts is not None or trace", DRAFTS,
    ),
    Mutant(
        "what was right for one handler's jobs is right for all", "client/jobs.py",
        "self._places.get((name, asked))", "self._places.get((name, None))", DRAFTS,
    ),
    Mutant(
        "many are enqueued when the first of them was looked at", "client/many.py",
        "        kind.renew()\n", "        pass\n", DRAFTS,
    ),
    Mutant(
        "of many, what is like a call is one", "client/many.py",
        "type(what) is Call and type(what.name)", "type(what.name)", DRAFTS,
    ),
    Mutant(
        "of many, a handler's jobs all go where its first one goes", "client/many.py",
        "kinds.get((what.name, what.queue))", "kinds.get((what.name, None))", DRAFTS,
    ),
    Mutant(
        "a list in a payload is never too deep", "core/formats/payload.py",
        "frozenset({str, int,", "frozenset({list, str, int,", ("tests/client/test_arguments.py",),
    ),
    Mutant(
        "who takes many uids takes one", "core/job.py",
        "self._last = first + count - 1", "self._last = first", ("tests/core/test_uids.py",),
    ),
    Mutant(
        "a provider that is set after the first enqueue is never used", "observe/tracing.py",
        'getattr(api, "_TRACER_PROVIDER", api) is None', "True", TRACING,
    ),
    Mutant(
        "a provider that the environment names is never used", "observe/tracing.py",
        'if self._has_looked and getattr(api', "if getattr(api", TRACING,
    ),
    Mutant(
        "of a large request the beginning is sent twice", "store/lane.py",
        "packed = packed[sent:]", "pass", ("tests/store/test_lane.py",),
    ),
    Mutant(
        "who has left is queued all the same", "client/outbox.py",
        "            if part.has_left or part.is_answered:\n", "            if part.is_answered:\n",
        SHARING,
    ),
    Mutant(
        "who was to send and is cancelled wakes nobody", "client/task_outbox.py",
        "        part.has_left = True\n        self._own.box.wake_next()\n",
        "        part.has_left = True\n", SHARING,
    ),
    Mutant(
        "who has sent wakes nobody", "client/task_outbox.py",
        "            own.is_sending = False\n            own.box.wake_next()\n",
        "            own.is_sending = False\n", SHARING,
    ),
    Mutant(
        "a moment of a job is counted from its enqueue on", "store/enqueuing.py",
        'f"@{job.at_ms}" if job.at_ms else str(job.delay_ms)',
        "str(job.delay_ms or job.at_ms)", ("tests/store/contract/test_claims.py",),
    ),
    Mutant(
        "what many have their ids made of is left out", "client/many.py",
        "        if kind.id_from:\n", "        if False:\n", MADE_IDS,
    ),
    Mutant(
        "an id is made of the order in which somebody wrote a field", "core/id_from.py",
        "sort_keys=True", "sort_keys=False", ("tests/core/test_id_from.py",),
    ),
    Mutant(
        "who gives an id is given another", "client/jobs.py",
        "        if id is None:\n            id = self.made_id(call)\n",
        "        id = self.made_id(call) or id\n", MADE_IDS,
    ),
    Mutant(
        "what has moved meanwhile counts as taken", "client/conflict.py",
        "return None if enqueued.moved else met", "return met", RESOLVING,
    ),
    Mutant(
        "who gives up looking again never does", "client/conflict.py",
        "        if now() >= ends:\n", "        if False:\n", RESOLVING,
    ),
    Mutant(
        "what supersedes a run lets it be", "client/conflict.py",
        'record.uid, "supersede" if is_superseded else "again",', 'record.uid, "again",', RESOLVING,
    ),
    Mutant(
        "another handler's job is replaced", "client/conflict.py",
        "    if record.name != job.name:\n", "    if False:\n", RESOLVING,
    ),
    Mutant(
        "what comes while a debounced job runs is lost", "core/same.py",
        'if self.debounce is None else "again"', 'if self.debounce is None else "replace"',
        RESOLVING,
    ),
    Mutant(
        "an id that is free for the next run is remembered after the last", "core/same.py",
        "return 0 if self.wants_newest or self.cooldown is not None else None", "return None",
        CONFLICTS,
    ),
    Mutant(
        "who has waited for room takes no id", "client/enqueues.py",
        "self.when_there_is_room(jobs, full, patience_s, taking)",
        "self.when_there_is_room(jobs, full, patience_s)", CONFLICTS,
    ),
    Mutant(
        "a replace whose answer is lost has changed nothing", "client/sync_enqueues.py",
        "                    raise_told(error, [move.job])\n", "                    raise\n",
        CONFLICTS,
    ),
    Mutant(
        "who has only looked may have written", "client/made.py",
        "sent=False) from error", "sent=error.sent) from error", CONFLICTS,
    ),
    Mutant(
        "a trace alone isn't asked for", "client/jobs.py",
        "options is not NO_OPTIONS or trace", "options is not NO_OPTIONS", DRAFTS,
    ),
    Mutant(
        "tasks that have met don't meet again", "client/task_outbox.py",
        "            if own.box.was_shared:\n", "            if False:\n", SHARING,
    ),
    Mutant(
        "others come along again only where it is their turn first", "client/task_outbox.py",
        "TURNS = 2", "TURNS = 1", SHARING,
    ),
    Mutant(
        "a thread that has sent wakes nobody", "client/sync_outbox.py",
        "                    _send(own, write, ends, part.by)\n            own.box.wake_next()\n",
        "                    _send(own, write, ends, part.by)\n", SHARING,
    ),
    Mutant(
        "a thread that drafts keeps those waiting who came while it sent", "client/sync_outbox.py",
        "                    _start(own)\n                own.box.wake_next()\n",
        "                    _start(own)\n", SHARING,
    ),
    Mutant(
        "who drafts is woken instead of who sleeps", "client/outbox.py",
        "if sleeps and not part.has_left", "if not part.has_left", SHARING,
    ),
    Mutant(
        "a batch that is under way is begun again", "client/sync_outbox.py",
        "if (write := box.next(now)) and write.is_new:", "if write := box.next(now):", SHARING,
    ),
    Mutant(
        "a call tries as long as any other enqueue", "client/outbox.py",
        "if now + pause_s >= ends:", "if False:", HANDLES,
    ),
    Mutant(
        "all who share a request raise one error", "client/outbox.py",
        "error if part is parts[0] else _again(error)", "error", SHARING,
    ),
    Mutant(
        "a forked child of a trio program writes by its parent's numbers", "client/task_sender.py",
        "if own is None or own.place != place():", "if own is None:", CANCEL,
    ),
    Mutant(
        "a question from trio whose answer is lost isn't asked again", "client/task_sender.py",
        "self._in_turn(within_s, lambda _: question)",
        "self._own.way.call(question, self._own.way.store)",
        CANCEL,
    ),
    Mutant(
        "another job that has the id by now is told of", "client/cancelling.py",
        "if view is not None and view.uid == uid:", "if view is not None:", CANCELLING,
    ),
    Mutant(
        "what is remembered of one that was asked isn't looked for", "client/cancelling.py",
        "if told is CancelOutcome.unknown:", "if False:", CANCELLING,
    ),
    Mutant(
        "what is called from trio is kept as long as it is waited for", "client/client.py",
        'options.setdefault("result", wait_s + CALLED_S)', 'options.setdefault("result", wait_s)',
        HANDLES,
    ),
    Mutant(
        "of several attempts the first one is told", "client/ends.py",
        "last = attempts[-1]", "last = attempts[0]", HANDLES,
    ),
    Mutant(
        "who cancels isn't registered before", "client/sync_wishes.py",
        "(end,) = self._sender.ask(lambda store: store.wait_for(name, [(uid, id)]))",
        'end = type("End", (), {"state": "live"})()', CANCEL,
    ),
    Mutant(
        "who waits for a result isn't told for as long that it was cancelled", "client/cancel.py",
        "round((keep_s or 0) * 1000)", "0", CANCEL,
    ),
    Mutant(
        "of many, those that ask for something themselves are in each later batch, too",
        "client/many.py",
        "batch, others, count, size = [], [], 0, 0", "batch, count, size = [], 0, 0", OPTIONS,
    ),
    Mutant(
        "of many, those that ask for something themselves don't count for their batch",
        "client/many.py",
        "if count and (count >= BATCH_JOBS", "if count and (len(batch) >= BATCH_JOBS", OPTIONS,
    ),
    Mutant(
        "each job has a client of its own", "client/of_engine.py",
        "            if make not in self._made:\n", "            if True:\n", OF_ENGINE,
    ),
    Mutant(
        "an engine's client serves a loop of asyncio that a handler has started",
        "client/of_engine.py", "if loop is not self._asyncio():", "if False:", OF_ENGINE,
    ),
    Mutant(
        "a handler may block the loop of asyncio with its client", "client/of_engine.py",
        "if trio.lowlevel.in_trio_task() or _asyncio_here() is not None:",
        "if trio.lowlevel.in_trio_task():", OF_ENGINE,
    ),
    Mutant(
        "an engine's client outlives it", "client/of_engine.py",
        "            connector.close()", "            pass", OF_ENGINE,
    ),
)  # fmt: skip
