"""Mutants of what runs, what handlers are, and what is seen of it all from outside."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

RULES: Killers = ("tests/engine/runs/test_rules.py",)
BREAKERS: Killers = ("tests/engine/runs/test_breaker.py",)
DISPATCHER: Killers = ("tests/engine/shard/test_dispatcher.py",)
RESENDING: Killers = ("tests/engine/shard/test_resending.py",)
LOST: Killers = ("tests/engine/shard/test_lost_boots.py",)
SETTLING: Killers = ("tests/engine/runs/test_settle.py",)
LEAVING: Killers = ("tests/engine/shard/test_leaving.py",)
EXPIRING: Killers = ("tests/engine/shard/test_expiry.py",)
FETCH: Killers = ("tests/engine/test_fetch.py",)
BACKLOG: Killers = ("tests/engine/test_backlog.py",)
JOBS: Killers = ("tests/engine/runs/test_jobs.py", "-k", "hands_on")
TRACING: Killers = ("tests/observe/test_tracing.py", "-k", "comes_to_nothing")
LIVE: Killers = ("tests/observe/test_live.py",)
LENIENT: Killers = ("tests/core/formats/test_lenient.py",)
HISTORY: Killers = ("tests/core/formats/test_history.py",)
HEADERS: Killers = ("tests/core/test_trace_headers.py",)
VALID: Killers = ("tests/core/test_valid.py",)
DESCRIBE: Killers = ("tests/engine/handlers/test_describe.py",)
SHAPE: Killers = ("tests/engine/handlers/test_shape.py",)
STARVED: Killers = ("tests/engine/handlers/test_starved.py",)
FAMILY: Killers = ("tests/engine/handlers/test_command_family.py",)
COMMAND: Killers = ("tests/engine/handlers/test_command.py",)
WANTS: Killers = ("tests/core/test_wants.py",)
OVERVIEW: Killers = ("tests/store/test_overview.py",)
CONTRACT: Killers = ("tests/store/contract/test_doors.py",)
DOORS: Killers = ("tests/store/test_doors.py",)
INSPECT: Killers = ("tests/store/test_inspect.py",)
SAMPLE: Killers = ("tests/store/test_sample.py",)
BATCHES: Killers = ("tests/client/test_jobs.py",)
HANDLER_QUEUES: Killers = ("tests/client/test_handler_queues.py",)
MANY: Killers = ("tests/observe/test_tracing.py", "-k", "each_job_of_many")
LINES: Killers = ("tests/test_lines.py",)
WEB: Killers = ("tests/web/test_server.py",)
SECRETS: Killers = ("tests/settings/test_secrets.py",)
ENVIRON: Killers = ("tests/settings/test_environ.py",)

DEMAND = "engine/shard/demand.py"
SETTLE = "engine/runs/settle.py"
SHARD = "engine/shard/shard.py"
EXPIRY = "engine/shard/expiry.py"
SERVER = "web/server.py"
LENIENTLY = "core/formats/lenient.py"
RULES_OF_JOBS = "core/valid.py"
DESCRIBING = "engine/handlers/describe.py"
TREND = "store/inspect/trend.py"

DURING = (
    Mutant(
        "a queue's timeout goes before its handler's", "engine/runs/rules.py",
        "            handler.timeout_s,\n            self.queue_timeouts_s.get(record.queue),\n",
        "            self.queue_timeouts_s.get(record.queue),\n            handler.timeout_s,\n",
        RULES,
    ),
    Mutant(
        "a call that says how often loses its handler's backoff", "engine/runs/rules.py",
        "attrs.evolve(retry, max_attempts=wanted)", "attrs.evolve(self.retry, max_attempts=wanted)",
        RULES,
    ),
    Mutant(
        "a handler that is none trips no breaker", "engine/handlers/ending.py",
        'if failed.permanent == "bad_handler":', "if False:", BREAKERS,
    ),
    Mutant(
        "what wasn't run teaches that jobs are tiny", SETTLE,
        "took_s=None if run is None else run.took_s", "took_s=0.0 if run is None else run.took_s",
        DISPATCHER,
    ),
    Mutant(
        "runs say that they are the first boot's", "engine/runs/worker.py",
        "        if by is not self._by:\n", "        if self._by is None:\n", LOST,
    ),
    Mutant(
        "the lease begins with the answer to the registration", SHARD,
        "pacemaker.step_answered(sent_at, self.clock())",
        "pacemaker.step_answered(self.clock(), self.clock())", DISPATCHER,
    ),
    Mutant(
        "who asks for a step while one is in flight isn't heard", "engine/shard/intake.py",
        "self.pace.answered(trio.current_time())\n",
        "self.pace.answered(trio.current_time())\n        self.pace.made()\n",
        RESENDING,
    ),
    Mutant(
        "a delayed job is wanted since its enqueue", SETTLE,
        "attempt, run.took_s, record.wanted_ms\n", "attempt, run.took_s, record.enqueued_ms\n",
        SETTLING,
    ),
    Mutant(
        "a history doesn't say that its job died", SETTLE,
        "claim.by.boot, now_ms, dead, trace,", "claim.by.boot, now_ms, None, trace,", SETTLING,
    ),
    Mutant(
        "nobody is told what an engine is short of", SETTLE,
        "(starved, *end.events)", "end.events", SETTLING,
    ),
    Mutant(
        "who is short of something doesn't tell that its job went back", SETTLE,
        "(starved, *end.events)", "(starved,)", SETTLING,
    ),
    Mutant(
        "what has ended isn't waited for at the end", SHARD,
        "SETTLE_S if dispatcher.holds else SIGN_OFF_S", "SIGN_OFF_S", LEAVING,
    ),
    Mutant(
        "a boot with nothing to settle waits for Redis", SHARD,
        "SETTLE_S if dispatcher.holds else SIGN_OFF_S", "SETTLE_S", LEAVING,
    ),
    Mutant(
        "an engine opens doors of queues that aren't its own", DEMAND,
        "if limit > 0 and q in ours)", "if limit > 0)", DISPATCHER,
    ),
    Mutant(
        "of those whose name nobody knows some die at each look", EXPIRY,
        "while died := await", "if died := await", EXPIRING,
    ),
    Mutant(
        "two looks are enough for a job to die of its name", EXPIRY,
        "            and absence.looks >= LOOKS\n", "", EXPIRING,
    ),
    Mutant(
        "who couldn't look goes on counting", EXPIRY,
        "                self._unknown.clear()  # who", "                pass  # who", EXPIRING,
    ),
    Mutant(
        "an attempt before that can't be told of ends the engine", "engine/fetch.py",
        "            except (StoreUnreachable, StoreBusy):\n", "            except StoreBusy:\n",
        FETCH,
    ),
    Mutant(
        "a payload is asked for once", "engine/fetch.py",
        "await self.outage.until_answered(\n"
        '            "payload", lambda: caller.call(caller.store.payload, uid)\n        )',
        "await caller.call(caller.store.payload, uid)", FETCH,
    ),
    Mutant(
        "who comes later keeps all in the backlog fresh", "engine/backlog.py",
        "self.jobs[0].at < STALE_S", "self.jobs[-1].at < STALE_S", BACKLOG,
    ),
    Mutant(
        "a run whose payload is gone has no error in its trace", "engine/runs/worker.py",
        '                run.outcome = Failed(told, permanent="undecodable")\n',
        "                pass\n", TRACING,
    ),
    Mutant(
        "who is still behind a door that was opened has waited there", "store/lua/step/hold.lua",
        'string.format("%d:0", now_ms))', 'string.format("%d:%d", now_ms, door.length))', CONTRACT,
    ),
    Mutant(
        "an engine that traces nothing keeps its jobs' traces to itself", "engine/runs/start.py",
        "else record.trace,", "else {},", JOBS,
    ),
)  # fmt: skip

HANDLERS = (
    Mutant(
        "an error tells what it hides", DESCRIBING,
        "link = _cause(link) if _hides_context(link) else _context(link)",
        "link = _cause(link) or _context(link)", DESCRIBE,
    ),
    Mutant(
        "of one long line nothing is kept", DESCRIBING,
        "(lines if newline and lines else rest)", "(lines if newline else rest)", DESCRIBE,
    ),
    Mutant(
        "what is wanting at the deadline costs an attempt", "engine/handlers/ending.py",
        "    if type(leaf) is NothingLeft:\n        return Starved(leaf.want)\n    if swallowed:",
        "    if swallowed:", STARVED,
    ),
    Mutant(
        "an engine without memory blames its jobs", "core/wants.py",
        "    if isinstance(error, MemoryError):\n", "    if False:\n", WANTS,
    ),
    Mutant(
        "a program that is ended has no time for it", "engine/handlers/group.py",
        "        patience_s = kill_after_s\n", "", FAMILY,
    ),
    Mutant(
        "a trace goes before what a command is configured with", "engine/handlers/command.py",
        "            **{name.upper(): value for name, value in job.trace.items()},\n"
        "            **self.env,\n",
        "            **self.env,\n"
        "            **{name.upper(): value for name, value in job.trace.items()},\n", COMMAND,
    ),
    Mutant(
        "a class's own method may be a handler", "engine/handlers/shape.py",
        'names[:1] in (("self",), ("cls",))', 'names[:1] == ("self",)', SHAPE,
    ),
    Mutant(
        "an object that is async takes a thread", "engine/handlers/shape.py",
        "inspect.iscoroutinefunction(underlying(function))",
        "inspect.iscoroutinefunction(function)", SHAPE,
    ),
)  # fmt: skip

SEEN = (
    Mutant(
        "a job that died again is told with what it died of first", "store/inspect/overview.py",
        "if died.get(u) == each.at_ms}", "if u in died}", OVERVIEW,
    ),
    Mutant(
        "who was revived is told as dead", "store/inspect/overview.py",
        "        self._dead = {\n", "        self._dead |= {\n", OVERVIEW,
    ),
    Mutant(
        "a rate is over less than its time", TREND,
        "self._overviews[1].at <= overview.at - RATE_S",
        "self._overviews[0].at <= overview.at - RATE_S", OVERVIEW,
    ),
    Mutant(
        "an engine has done all at once what it tells first", TREND,
        "if then.name == engine.name and then.told:", "if then.name == engine.name:", OVERVIEW,
    ),
    Mutant(
        "an engine that counts anew takes from the others", TREND,
        "rates.append(max(0, grown) /", "rates.append(grown /", OVERVIEW,
    ),
    Mutant(
        "doors come by name", "store/inspect/doors.py",
        "key=lambda door: (-door.parked, door.queue, door.called)",
        "key=lambda door: (door.queue, door.called)", DOORS,
    ),
    Mutant(
        "who was cancelled behind a door is counted there", "store/inspect/moment.py",
        "parked[queue, door] -= over", "parked[queue, door] -= 0", INSPECT,
    ),
    Mutant(
        "of many jobs the first ones are asked about", "store/inspect/ends.py",
        "for at in range(0, len(asked), JOBS)", "for at in range(0, min(1, len(asked)))", INSPECT,
    ),
    Mutant(
        "the next mark is the oldest", "store/inspect/summaries.py",
        "newest = piece if n == 0 else newest", "newest = piece", INSPECT,
    ),
    Mutant(
        "many summaries are read at once where few were large", "store/inspect/summaries.py",
        "min(fit, 4 * count, PIECES)", "min(fit, PIECES)", INSPECT,
    ),
    Mutant(
        "a full server ends who looks at it", "store/inspect/snapshot.py",
        "    with contextlib.suppress(StoreBusy):  # a full", "    if True:  # a full", SAMPLE,
    ),
    Mutant(
        "what an engine tells is kept for ten seconds", "store/inspect/snapshot.py",
        "max(KEPT_MS, kept_ms)", "KEPT_MS", SAMPLE,
    ),
    Mutant(
        "a job that snoozes runs on, on the terminal", "observe/live.py",
        "case e.JobReleased() | e.JobSnoozed() |", "case e.JobReleased() |", LIVE,
    ),
)  # fmt: skip

AROUND = (
    Mutant(
        "there is one connection more than there may be", SERVER,
        "if len(self._open) >= self._bounds.connections:",
        "if len(self._open) > self._bounds.connections:", WEB,
    ),
    Mutant(
        "the newest connection goes", SERVER,
        "(one for one in self._open if not one.scope.cancel_called)",
        "(one for one in reversed(self._open) if not one.scope.cancel_called)", WEB,
    ),
    Mutant(
        "each connection that fails is told of", SERVER,
        "            self._tell_at = now + TELL_S\n", "", WEB,
    ),
    Mutant(
        "the headers of a request have twice the room", SERVER,
        "    config.h11_max_incomplete_size = bounds.head_bytes\n", "", WEB,
    ),
    Mutant(
        "whatever stands in brackets is this machine", "web/hosts.py",
        'host.rpartition("]")[0].lstrip("[") if host.startswith("[") else ', "", WEB,
    ),
    Mutant(
        "a password may be read by all but the group", "settings/advice.py",
        "stat.S_IRGRP | stat.S_IROTH", "stat.S_IRGRP", SECRETS,
    ),
    Mutant(
        "a variable means the command with the first name", "settings/environ.py",
        "sorted(names, key=len, reverse=True)", "sorted(names)", ENVIRON,
    ),
    Mutant(
        "of a list's keys no meaning is known", "settings/meanings.py",
        "tuple(step for step in path[:-1] if not isinstance(step, int))", "path[:-1]", ENVIRON,
    ),
    Mutant(
        "after a large batch each job is a batch", "client/many.py",
        "yield batch\n            batch, size = [], 0\n", "yield batch\n            batch = []\n",
        BATCHES,
    ),
    Mutant(
        "after a large batch of calls each is a batch", "client/many.py",
        "kinds.values())\n            batch, others, count, size = [], [], 0, 0\n",
        "kinds.values())\n            batch, others, count = [], [], 0\n", BATCHES,
    ),
    Mutant(
        "what lies apart has no size", "client/many.py",
        "more = len(job.stored) + len(job.big)", "more = len(job.stored)", BATCHES,
    ),
    Mutant(
        "an app is imported for a queue that is named", "client/jobs.py",
        "return not queue and not self.handler_queues.is_known(name)",
        "return not self.handler_queues.is_known(name)", HANDLER_QUEUES,
    ),
    Mutant(
        "an app that can't be imported is tried again", "client/handler_queues.py",
        "            if self._of_app is None:", "            if not self._of_app:", HANDLER_QUEUES,
    ),
    Mutant(
        "nobody remembers that an app was imported", "client/handler_queues.py",
        " or self._of_app is not None", "", HANDLER_QUEUES,
    ),
    Mutant(
        "many jobs are of no trace", "client/many.py",
        "drafts.plan(call, place), trace,", "drafts.plan(call, place), {},", MANY,
    ),
    Mutant(
        "who was full takes no line until all is written", "lines.py",
        "self._full and self._bytes > QUEUE_BYTES // 2", "self._full and self._bytes > 0", LINES,
    ),
)  # fmt: skip

READ = (
    Mutant(
        "true is a number", LENIENTLY,
        "return isinstance(value, int) and not isinstance(value, bool)",
        "return isinstance(value, int)", LENIENT,
    ),
    Mutant(
        "a duration may be infinite", LENIENTLY,
        "is_number and 0 <= value <= LARGEST else", "is_number and not value < 0 else", LENIENT,
    ),
    Mutant(
        "whatever is said of draining is a yes", "core/formats/snapshot.py",
        'told.get("draining") is True', 'bool(told.get("draining"))', LENIENT,
    ),
    Mutant(
        "a header of a trace may hold anything", "core/formats/record.py",
        "isinstance(value, str) and value.isascii() and value.isprintable()",
        "isinstance(value, str)", HEADERS,
    ),
    Mutant(
        "a job that failed at once in its second life has had one", "core/formats/history.py",
        "0 < line.number <= before.number", "0 < line.number < before.number", HISTORY,
    ),
    Mutant(
        "a caller's id has a character less", RULES_OF_JOBS,
        "0 < len(value) <= 500", "0 < len(value) < 500", VALID,
    ),
    Mutant(
        "the second half of a surrogate pair can be sent", RULES_OF_JOBS,
        '<= character <= "\\udfff"', '<= character <= "\\udbff"', VALID,
    ),
    Mutant(
        "a job may be tried at most two billion times", RULES_OF_JOBS,
        "_is_whole(value, 1, LARGEST)", "_is_whole(value, 1, 2**31)", VALID,
    ),
)  # fmt: skip
