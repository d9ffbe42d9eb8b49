"""The least that a drain can cost: a step loop in one thread, with nothing around it.

It claims and settles in batches, by one script with a constant number of commands, as trioq
does. It keeps a fence, a list of what is done, counters on the server, and two counters and a
histogram for Prometheus. It has no leases, no scheduled jobs, no retries, no timeouts, no
repeats after a lost answer, no other tasks: it is what trioq is measured against, not what
anybody should use.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from trioq.core.job import new_uid
from trioq.store.lane import Lane

BATCH = 256

STEP = """
-- KEYS ready, running, jobs, done, stats; ARGV token, want, keep, n, then n * (uid, token, summary)
local uids, summaries, values = {}, {}, {}
local n = tonumber(ARGV[4])
for i = 0, n - 1 do
  uids[i + 1], summaries[i + 1] = ARGV[5 + i * 3], ARGV[7 + i * 3]
end
if n > 0 then
  for i, token in ipairs(redis.call("HMGET", KEYS[2], unpack(uids))) do
    if token ~= ARGV[3 + i * 3] then
      return redis.error_reply("LOST a claim")
    end
  end
  redis.call("HDEL", KEYS[2], unpack(uids))
  redis.call("HDEL", KEYS[3], unpack(uids))
  redis.call("LPUSH", KEYS[4], unpack(summaries))
  redis.call("LTRIM", KEYS[4], 0, ARGV[3] - 1)
  redis.call("HINCRBY", KEYS[5], "done", n)
end
local claimed = redis.call("RPOP", KEYS[1], ARGV[2])
if not claimed then
  return { {}, {} }
end
for i, uid in ipairs(claimed) do
  values[i * 2 - 1], values[i * 2] = uid, ARGV[1]
end
redis.call("HSET", KEYS[2], unpack(values))
redis.call("HINCRBY", KEYS[5], "claimed", #claimed)
return { claimed, redis.call("HMGET", KEYS[3], unpack(claimed)) }
"""

KEYS = ("{proto}:ready", "{proto}:running", "{proto}:jobs", "{proto}:done", "{proto}:stats")


def fill(lane: Lane, count: int, payload: dict[str, Any]) -> None:
    """Queue this many jobs."""
    stored = json.dumps({"name": "noop", "payload": payload}, separators=(",", ":")).encode()
    for start in range(0, count, 500):
        uids = [new_uid() for _ in range(min(500, count - start))]
        lane.pipeline(
            [
                ("HSET", KEYS[2], *(part for uid in uids for part in (uid, stored))),
                ("LPUSH", KEYS[0], *uids),
            ]
        )


def drain(lane: Lane, handlers: dict[str, Callable[..., Any]], batch: int = BATCH) -> int:
    """Run all jobs, batch by batch; returns how many there were."""
    sha = hashlib.sha1(STEP.encode()).hexdigest()
    lane.call("SCRIPT", "LOAD", STEP)
    settled: list[Any] = []
    dumps = json.JSONEncoder(separators=(",", ":")).encode
    registry = CollectorRegistry()
    started_total = Counter("started", "jobs", registry=registry)
    done_total = Counter("done", "jobs", registry=registry)
    took = Histogram("took_seconds", "of a run", registry=registry)
    done, n = 0, 0
    while True:
        n += 1
        token = str(n)
        claimed: Sequence[bytes]
        claimed, records = lane.call(
            "EVALSHA", sha, len(KEYS), *KEYS, token, batch, 1000, len(settled) // 3, *settled
        )
        if not claimed:
            return done
        settled = []
        for uid, stored in zip(claimed, records, strict=True):
            record = json.loads(stored)
            started_total.inc()
            started = time.perf_counter()
            handlers[record["name"]](**record["payload"])
            took_s = time.perf_counter() - started
            done_total.inc()
            took.observe(took_s)
            at_ms = time.time_ns() // 1_000_000
            summary = {"uid": uid.decode(), "took_ms": took_s * 1000, "at_ms": at_ms}
            settled += (uid, token, dumps(summary))
        done += len(claimed)
