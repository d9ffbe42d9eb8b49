"""Mutants of what lies around the engine: settings, commands, operators' code, metrics."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

PRECEDENCE: Killers = ("tests/settings/test_precedence.py",)
OPTIONS: Killers = ("tests/cli/test_options_act.py",)
BETWEEN: Killers = ("tests/client/test_between_requests.py",)
CANCELLING: Killers = ("tests/client/test_cancelling.py",)
MIXED: Killers = ("tests/engine/test_mixed_engines.py",)
IN_A_ROW: Killers = ("tests/engine/test_in_a_row.py",)
NUMBERS: Killers = ("tests/observe/test_each_number.py",)
LISTS: Killers = ("tests/store/test_lists.py",)
ANYTHING: Killers = ("tests/core/formats/test_anything.py",)

FROM_CONFIG = "engine/from_config.py"
CONNECTOR, CONNECT = "store/connector.py", "store/connect.py"
RULES = "engine/runs/rules.py"
LISTENER = "observe/metrics/listener.py"
CATALOGUE = "observe/metrics/catalogue.py"


def keys(*names: str) -> Killers:
    """The observations of these keys of a file."""
    return ("tests/settings/test_every_key.py", "-k", " or ".join(f"kept[{n}]" for n in names))


def key(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"`{name}` is ignored", file, old, new, keys(name))


SETTINGS = (
    key("namespace", CONNECTOR, "Keys(config.namespace)", 'Keys("jobqueue")'),
    key(
        "queues[].timeout", FROM_CONFIG,
        "{q.name: q.timeout_s for q in config.queues if q.timeout_s is not None}", "{}",
    ),
    key(
        "queues[].max_length", CONNECTOR,
        "{q.name: q.max_length for q in config.queues if q.max_length is not None}", "{}",
    ),
    key(
        "queues[].max_wait", "engine/shard/shard.py",
        "if queue.max_wait_s is not None and queue.name in self.queues", "if False",
    ),
    key(
        "queues[].when_full", CONNECTOR,
        "{q.name: q.when_full for q in config.queues if q.when_full is not None}", "{}",
    ),
    key("queues[].weight", "engine/wiring.py", "queue.weight) for", "None) for"),
    key(
        "max_payload", "client/jobs.py",
        "encode_payload(call.payload, self.config.max_payload_bytes)",
        "encode_payload(call.payload, 2**20)",
    ),
    key(
        "default_queue", "client/jobs.py",
        "queue or self.config.default_queue\n", 'queue or "low"\n',
    ),
    key("redis.db", "store/greeting.py", "if self.redis.db:", "if False:"),
    key(
        "redis.username", "store/greeting.py",
        "[] if username is None else [username]", "[]",
    ),
    key("redis.tls_ca", CONNECT, "str(ca) if ca else None", "None"),
    key(
        "redis.read_timeout", CONNECTOR, "min(self.redis.read_timeout_s, at_most_s)",
        "min(3.0, at_most_s)",
    ),
    key(
        "redis.connect_timeout", CONNECTOR, "min(self.redis.connect_timeout_s, at_most_s)",
        "min(5.0, at_most_s)",
    ),
    key("worker.keep_done", CONNECTOR, "keep_done=config.worker.keep_done", "keep_done=1000"),
    key(
        "worker.id_retention", CONNECTOR, "int(config.worker.id_retention_s * 1000)", "86_400_000",
    ),
    key("worker.max_attempts", FROM_CONFIG, "Retry(worker.max_attempts,", "Retry(4,"),
    key("worker.backoff.cap", FROM_CONFIG, "backoff.cap_s,", "10.0,"),
    key("worker.backoff.jitter", FROM_CONFIG, "backoff.jitter)", "0.5)"),
    key("worker.timeout", FROM_CONFIG, "config.worker.timeout_s", "300.0"),
    key("circuit_breaker.window", FROM_CONFIG, "breaker.window_s, breaker", "60.0, breaker"),
    key("circuit_breaker.cooldown", FROM_CONFIG, "breaker.cooldown_s, breaker", "30.0, breaker"),
    key("circuit_breaker.min_samples", FROM_CONFIG, "breaker.min_samples", "20"),
    key("limiter.burst", FROM_CONFIG, "limiter.burst)", "20)"),
    key("producer.exclude_globs", FROM_CONFIG, "tuple(producer.exclude_globs)", '("**/.*",)'),
    key(
        "producer.default_queue", FROM_CONFIG,
        "producer.default_queue or config.default_queue", "config.default_queue",
    ),
    key("producer.job", "engine/wiring.py", "job=config.job", 'job="fingerprint"'),
    key("producer.watch", "engine/wiring.py", "watch=config.watch", "watch=True"),
    key(
        "observability.queue_sample_interval", "engine/wiring.py",
        "given.config.observability.queue_sample_interval_s", "2.0",
    ),
    key(
        "observability.tracing.sample_ratio", "observe/otlp.py",
        "FollowLinks(config.sample_ratio)", "FollowLinks(1.0)",
    ),
    key("commands.NAME.cwd", "registry.py", "str(directory / config.cwd) if config.cwd else ", ""),
    key("commands.NAME.env", "registry.py", "        env=config.env,\n", ""),
    Mutant(
        "a command with attempts of its own waits by the defaults", "registry.py",
        "_command(name, config, directory, retry)", "_command(name, config, directory, Retry())",
        keys("commands.NAME.max_attempts"),
    ),
    Mutant(
        "a queue's timeout is above its handlers'", RULES,
        "            handler.timeout_s,\n            self.queue_timeouts_s.get(record.queue),\n",
        "            self.queue_timeouts_s.get(record.queue),\n            handler.timeout_s,\n",
        PRECEDENCE,
    ),
    Mutant(
        "a handler's timeout is above the call's", RULES,
        "            record.options.timeout_s,\n            handler.timeout_s,\n",
        "            handler.timeout_s,\n            record.options.timeout_s,\n", PRECEDENCE,
    ),
    Mutant(
        "attempts of a call bring the engine's waits along", RULES,
        "attrs.evolve(retry, max_attempts=wanted)", "attrs.evolve(self.retry, max_attempts=wanted)",
        PRECEDENCE,
    ),
    Mutant(
        "[worker] is above a decorator", RULES,
        "handler.retry or self.retry", "self.retry or handler.retry", PRECEDENCE,
    ),
    Mutant(
        "a call's queue is its handler's", "client/jobs.py",
        "queue_name(queue) or arguments.queue_name(call.queue)",
        "queue_name(call.queue) or arguments.queue_name(queue)", PRECEDENCE,
    ),
    Mutant(
        "the file is above the environment", "settings/read.py",
        "[Layer(tree), from_environment(environ, tree)]",
        "[from_environment(environ, tree), Layer(tree)]", PRECEDENCE,
    ),
)  # fmt: skip

FACES = (
    Mutant(
        "a name chooses no dead jobs", "store/inspect/dead.py",
        "        if wanted.name is not None:\n", "        if False:\n", OPTIONS,
    ),
    Mutant(
        "an error chooses no dead jobs", "store/inspect/dead.py",
        "        if wanted.error is not None or wanted.fingerprint is not None:\n",
        "        if wanted.fingerprint is not None:\n", OPTIONS,
    ),
    Mutant(
        "an age chooses no dead jobs", "store/inspect/dead.py",
        "    if older_than_s is None:\n", "    if True:\n", OPTIONS,
    ),
    Mutant(
        "a command whose configuration is misspelt is for another one", "cli/configured.py",
        'return word.endswith(".toml") or (', "return (", ("tests/cli/test_configured.py",),
    ),
    Mutant(
        "a dry run purges queues", "cli/queues.py",
        "if total and not dry_run:", "if total:", OPTIONS,
    ),
    Mutant(
        "a dry run purges the dead", "cli/dead.py",
        "if chosen.total and not dry_run:", "if chosen.total:", OPTIONS,
    ),
    Mutant(
        "a dry run revives", "cli/dead.py", "if able and not dry_run:", "if able:", OPTIONS,
    ),
    Mutant(
        "nobody is asked before the dead are forgotten", "cli/dead.py",
        'for good?", yes=yes)', 'for good?", yes=True)', OPTIONS,
    ),
    Mutant(
        "a purge of one queue is one of all", "cli/queues.py",
        "list(found) if queue is None else [there.known_queue(queue)]", "list(found)", OPTIONS,
    ),
    Mutant("a pace is not kept", "cli/bulk.py", "if self.rate is None:", "if True:", OPTIONS),
    Mutant(
        "a drain waits for whatever is due", "cli/serve.py",
        "drain_horizon if drain else None", "60.0 if drain else None", OPTIONS,
    ),
    Mutant(
        "an enqueue of the command line has no delay", "cli/enqueue.py",
        "delay_s=self.delay_s", "delay_s=0.0", OPTIONS,
    ),
    Mutant(
        "a job that ends while it is looked for is not found", "store/inspect/jobs.py",
        "for _ in range(2):  # a job", "for _ in range(1):  # a job", BETWEEN,
    ),
    Mutant(
        "a job that was claimed meanwhile is called ready", "store/inspect/jobs.py",
        "if not set(there) <= set(engines):", "if not engines and there:", BETWEEN,
    ),
    Mutant(
        "a cancel doesn't know of a job that has just ended", "client/cancelling.py",
        'if word == "unknown":', "if not word:", BETWEEN,
    ),
    Mutant(
        "a job that ends while its id is looked up is unknown", "store/inspect/living.py",
        "remembered(store, _known(store, gone))", "remembered(store, dict.fromkeys(gone))",
        BETWEEN,
    ),
    Mutant(
        "a cancel of many looks at a part of all jobs", "store/inspect/living.py",
        'if cursor == b"0":', "if jobs:", CANCELLING,
    ),
    Mutant(
        "what runs is asked to end before its end would be told", "client/cancelling.py",
        "self._wait_for(self.waits, waits)", "pass", CANCELLING,
    ),
    Mutant(
        "what waits and is cancelled is kept as if somebody waited for it", "client/cancelling.py",
        " if job.uid in running]", "]", CANCELLING,
    ),
    Mutant(
        "engines that come are not counted with their jobs", "store/inspect/moment.py",
        "and other.engines <= self.engines", "", BETWEEN,
    ),
    Mutant(
        "a page of the dead is read by its number", "store/inspect/dead.py",
        "if offset and (not there or there[0] > last):", "if False:",
        ("tests/store/test_inspect.py", *BETWEEN),
    ),
    Mutant(
        "everybody has the reaper's own lease", "engine/shard/reaper.py",
        "if watch.stood_s(boot, now) < self._leases[boot]:", "if False:", MIXED,
    ),
    Mutant(
        "an engine doesn't tell its lease", "engine/wiring.py",
        "                lease_s=given.config.worker.lease_s,\n", "", MIXED,
    ),
    Mutant(
        "times without an engine for a name add up", "engine/shard/expiry.py",
        "self._unknown.get(name, fresh) for name in unknown}",
        "self._unknown.get(name, fresh) for name in unknown} | self._unknown", IN_A_ROW,
    ),
    Mutant(
        "who couldn't look counts that time as well", "engine/shard/expiry.py",
        "                self._unknown.clear()  # who has not looked doesn't know\n", "", IN_A_ROW,
    ),
    Mutant(
        "an answer doesn't end what failed before it", "engine/outage.py",
        "trouble = self._lanes.pop(lane, None)", "trouble = self._lanes.get(lane)", IN_A_ROW,
    ),
    Mutant(
        "a breaker remembers what was before its last change", "core/breaker.py",
        "        self._generation += 1\n", "        self._generation += 1\n        return change\n",
        IN_A_ROW,
    ),
    Mutant(
        "results stay in a breaker's window", "core/breaker.py",
        "self.failed -= self._failures[bucket]", "pass", IN_A_ROW,
    ),
    Mutant(
        "a standstill goes on through a claim", "core/standstill.py",
        "ready > 0 and idle > 0 and claimed == self._claimed", "ready > 0 and idle > 0", IN_A_ROW,
    ),
    Mutant(
        "retries are told as done", CATALOGUE,
        '"done": ALL_DONE, "retried": ALL_RETRIED', '"done": ALL_RETRIED, "retried": ALL_DONE',
        NUMBERS,
    ),
    Mutant(
        "claimed and settled jobs of a step are swapped", LISTENER,
        "self._step_claimed.observe(event.count)", "self._step_claimed.observe(event.settled)",
        NUMBERS,
    ),
    Mutant(
        "refused and unknown outcomes are swapped", LISTENER,
        "self._counts.add(c.REFUSED, by=event.lost)", "self._counts.add(c.UNKNOWN, by=event.lost)",
        NUMBERS,
    ),
    Mutant(
        "reaped engines are counted as jobs", LISTENER,
        "self._counts.add(c.REAPED, by=event.jobs)", "self._counts.add(c.REAPED)", NUMBERS,
    ),
    Mutant(
        "an outage counts each time it is told", LISTENER,
        "if not self._away:", "if True:", NUMBERS,
    ),
    Mutant(
        "a value on a bound lies above it", "observe/metrics/series.py",
        "self.counts[bisect_left(self.bounds, value)]",
        "self.counts[__import__('bisect').bisect_right(self.bounds, value)]", NUMBERS,
    ),
    Mutant(
        "strays are told as dead", "observe/metrics/gauges.py",
        "c.DEAD_JOBS: sample.stats.dead", "c.DEAD_JOBS: sample.stats.strays", NUMBERS,
    ),
    Mutant(
        "a server that can't write says no", "store/answers.py",
        '"MISCONF", "OOM", ', '"OOM", ', LISTS,
    ),
    Mutant(
        "the embedded server may evict", "store/embedded/children.py",
        '"noeviction"', '"allkeys-lru"', LISTS,
    ),
    Mutant(
        "a sender is forgotten after a minute", "store/lua/shared/sender.lua",
        '"PX", 3600000', '"PX", 60000', LISTS,
    ),
    Mutant(
        "an engine's queues may be anything", "core/formats/engine_info.py",
        'queues=lenient.texts(told.get("queues"))', 'queues=tuple(told.get("queues"))', ANYTHING,
    ),
    Mutant(
        "what has no breaker is told as what has its own", "engine/from_config.py",
        'if job in rules else ""', "if job in rules else job", ("tests/engine/test_engine.py",),
    ),
    Mutant(
        "a breaker is offered that a handler doesn't have", "client/known.py",
        "engine.info.behind.get(job, job)", "job", ("tests/cli/test_breakers.py",),
    ),
    Mutant(
        "a time may be anything", "core/formats/lenient.py",
        "return value if _is_whole(value) and 0 <= value <= LATEST_MS else None", "return value",
        ANYTHING,
    ),
    Mutant(
        "half a surrogate pair is a text", "core/formats/lenient.py",
        'return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()',
        "return value", ANYTHING,
    ),
    Mutant(
        "a role isn't asked for", "web/operations/perform.py",
        "if not user.may(operation.role):", "if False:", ("tests/web/operations/test_perform.py",),
    ),
    Mutant(
        "a field that there isn't is passed over", "web/operations/fields.py",
        "        if name not in known:", "        if False:",
        ("tests/web/operations/test_perform.py",),
    ),
    Mutant(
        "who dies again meanwhile is revived again", "store/inspect/dead.py",
        "until = whence.until or min(", "until = min(", ("tests/web/operations/test_effects.py",),
    ),
    Mutant(
        "of a member that is there twice the last one counts", "web/api/reading.py",
        "if len(read) < len(pairs):", "if False:", ("tests/web/api/test_requests.py",),
    ),
    Mutant(
        "only the first level of a payload is masked", "web/masks.py",
        "in sensitive else _masked(each, sensitive)", "in sensitive else each",
        ("tests/web/api/test_requests.py",),
    ),
    Mutant(
        "what changes something is sent twice", "client/remote/http.py",
        'if is_last or not was_open or method != "GET":', "if is_last or not was_open:",
        ("tests/client/remote/test_http.py",),
    ),
    Mutant(
        "one is led on to a stranger's host", "web/site/forms.py",
        """ and not path.startswith(("//", "/\\\\"))""", "", ("tests/web/site/test_core.py",),
    ),
    Mutant(
        "what comes from jobs is markup", "web/site/site.py",
        "            autoescape=True,", "            autoescape=False,",
        ("tests/web/site/test_pages.py",),
    ),
    Mutant(
        "an open page is told all of it each time", "web/site/live.py",
        " if known.get(k) != text}", "}", ("tests/web/site/test_live.py",),
    ),
    Mutant(
        "a page that is closed counts as open", "web/site/live.py",
        "        live.open[topic] -= 1\n", "        pass\n", ("tests/web/site/test_live.py",),
    ),
)  # fmt: skip
