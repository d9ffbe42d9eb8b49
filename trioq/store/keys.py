"""The name, type and content of every key.

All keys of a namespace share one hash tag, so that every script touches one
cluster slot. ``docs/keys.md`` is drawn from :data:`CATALOGUE`.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trioq.core.formats.door import name_of


@attrs.frozen
class KeyDoc:
    """One line of the catalogue."""

    name: str
    type: str
    holds: str
    written_by: str
    removed_by: str


CATALOGUE: tuple[KeyDoc, ...] = (
    KeyDoc("jobs", "HASH", "uid → the job as it was enqueued, or replaced since", "enqueue, replace", "ack, cancel, purge"),
    KeyDoc("big", "HASH", "uid → a payload above 8 kB, fetched ahead of its run", "enqueue, replace", "with the job"),
    KeyDoc("ids", "HASH", "a caller's id → uid while the job lives, then `state:uid`", "enqueue, ack, cancel", "beat, after id_retention; ack, cancel, of an id that isn't remembered"),
    KeyDoc("ended", "ZSET", "a caller's id → when it may be forgotten, epoch ms", "ack, cancel, purge", "beat"),
    KeyDoc("id_of", "HASH", "uid → the caller's id, for jobs that have one; where such a job says how long it is remembered, NUL and `after_end until latest` behind it, ms and epoch ms, or `-`", "enqueue, replace", "with the job; enqueue, of one that loses it"),
    KeyDoc("attempts", "HASH", "uid → failed attempts since it was enqueued or revived", "retry, dead-letter", "with the job; revive"),
    KeyDoc("reaps", "HASH", "uid → how often it was the suspect of an engine that died", "reap", "with the job; revive"),
    KeyDoc("history", "HASH", "uid → one JSON line for each failed attempt", "retry, dead-letter, reap", "with the job"),
    KeyDoc("reasons", "HASH", "uid → why the job is dead", "dead-letter, reap", "revive, purge"),
    KeyDoc("ready:<queue>", "LIST", "uids, oldest at the right", "enqueue, promote, release", "claim"),
    KeyDoc("suspects:<queue>", "LIST", "uids that were running when an engine died", "reap", "claim"),
    KeyDoc("scheduled:<queue>", "ZSET", "uid → due, epoch ms", "enqueue, retry, replace", "promote, cancel"),
    KeyDoc("parked:<queue>:<door>", "LIST", "uids that met a closed door, oldest at the right; it is called as the jobs' name, and if their payloads fit not every version of the handler, by a tab and the signatures that they didn't fit besides", "park", "claim, cancel"),
    KeyDoc("parked", "HASH", "`queue:door` → since when and how many have waited", "park", "claim"),
    KeyDoc("behind", "SET", "uids that lie in parked lists", "park", "claim, cancel, expire_parked, purge"),
    KeyDoc("dropped_behind:<queue>:<name>", "SET", "uids that were cancelled and still lie in `parked`, whichever of the name's doors", "cancel", "claim, expire_parked, purge"),
    KeyDoc("dropped:<queue>", "SET", "uids that were cancelled and still lie in `ready`", "cancel", "claim"),
    KeyDoc("running:<boot>", "HASH", "uid → `step:i:suspect:queue`: step, place in the batch, where it came from; of what was claimed alone", "claim", "settle, reap, sign-off"),
    KeyDoc("packs:<boot>", "HASH", "`step:i:queue` → `count:uid uid …`: claims that one step made of one queue, in their order; i is the place of the first", "claim", "settle, reap, sign-off"),
    KeyDoc("asks:<boot>", "HASH", "uid → `nth:step:keep ms:summary`: somebody wants the claim of this step to end; the summary tells who, when and why. Of those with nth 0 the engine isn't told: the claim may run to its end, and isn't put back", "cancel, enqueue", "with the claim"),
    KeyDoc("asked", "HASH", "boot → how many asks it was ever sent", "cancel, enqueue", "sign-off, reap"),
    KeyDoc("steps", "HASH", "boot → its last step, how many of its claims lie in packs, what that step refused and what it cancelled", "register, step", "sign-off, reap"),
    KeyDoc("beats", "HASH", "boot → its beats, counted down from -1; each of its steps is a sign of life, too", "register, beat", "sign-off, reap"),
    KeyDoc("engines", "HASH", "boot → what it said of itself, JSON", "register", "sign-off, reap"),
    KeyDoc("dead", "ZSET", "uid → when it died, epoch ms", "dead-letter, reap", "revive, purge"),
    KeyDoc("done", "LIST", "of jobs that ended together: their JSON summaries, a line each, then how many had ended by then; the newest first, the last `keep_done` that are done or were cancelled and what lies with them", "ack, cancel, reap, sign-off", "the same, by trimming"),
    KeyDoc("results", "HASH", "uid → how a job ended and what it returned, where that is kept", "ack, cancel", "beat and step, after its time"),
    KeyDoc("results_due", "ZSET", "uid → when its result may be forgotten, epoch ms", "ack, cancel", "with the result"),
    KeyDoc("waits", "HASH", "uid → the clients that wait for its end", "wait_for", "with the job; dead-letter"),
    KeyDoc("notes", "HASH", "uid → what its handler last said of how far it is, JSON", "note", "with the job"),
    KeyDoc("flow", "HASH", "uid → what decides when it may start: a line for its turn among fair keys, then what it takes of limits, a line each", "enqueue, release, replace", "with the job"),
    KeyDoc("fair", "ZSET", "queue, NUL, tag, NUL, uid of ready jobs that have a fair key, all of score 0: by queue, and in the order of their turns", "enqueue, promote, release", "claim"),
    KeyDoc("turns", "HASH", "queue → its virtual time; queue, NUL, key → when its last turn is through; queue, NUL, key, NUL, tag → end and start of turns that nobody waits for and that others of the key come after", "enqueue, promote, claim, cancel, purge", "claims, once that is over; all, once no job has a turn"),
    KeyDoc("took", "HASH", "uid → what its claim took of limits, a line each; of claims that are held", "claim, enqueue", "whatever ends the claim"),
    KeyDoc("slots", "HASH", "take → how many claims hold it: what is in `took`, counted", "claim, enqueue", "with the last of them"),
    KeyDoc("limits", "HASH", "limit → `version:interval:burst:concurrency:keyed`, the interval in µs; 0: unlimited, as where nobody declares it any more; and take → the same, where one value of a key has settings of its own", "declare_limits, set_limits", "never; of a value, the next deployment"),
    KeyDoc("declared", "HASH", "boot → what its configuration has of limits, a line each: `limit:interval:burst:concurrency:keyed`", "declare_limits", "declare_limits, of boots that are gone"),
    KeyDoc("deployed", "HASH", "limit → what was declared of it, a line each, oldest first: `interval:burst:concurrency:keyed since gone`, epoch ms; the last holds, and gone is `-` while a boot that lives declares it", "declare_limits", "declare_limits, when no boot that lives has declared it for a minute"),
    KeyDoc("tats", "ZSET", "take → the theoretical arrival time of its next start, and NUL take → until when it rests; epoch µs", "claim", "claim, when it is over"),
    KeyDoc("limited", "ZSET", "`queue NUL take NUL uid`, all of one score: who was refused, in the room of the take that refused it, by age", "claim", "claim, cancel, purge"),
    KeyDoc("rooms", "HASH", "take → the queues in which somebody waits for it, a line each", "claim", "with the last who waits"),
    KeyDoc("open", "ZSET", "`queue NUL take`, all of one score: rooms whose take may have something to give", "whatever frees it, declare_limits, set_limits", "claim"),
    KeyDoc("permits", "ZSET", "`queue NUL take` → when the permit comes that is waited for, epoch ms", "claim", "step, when it is due"),
    KeyDoc("strays", "LIST", "uids found without a record: a bug, kept for inquiry", "claim", "an operator"),
    KeyDoc("stats", "HASH", "counters, changed only by the script that accepts", "all scripts", "never"),
    KeyDoc("queues", "SET", "the names of all queues that anything is in, and of others", "whatever puts a job there", "forget_queues, or a step of many queues, when it is empty"),
    KeyDoc("paused", "SET", "the names of paused queues; with an `@` before them, those of jobs; with a `=`, takes", "pause", "resume, or a step when its time is over"),
    KeyDoc("pauses", "HASH", "what is paused → `since:until:said`: epoch ms, no end is 0; who and why, JSON", "pause", "the same"),
    KeyDoc("seen", "HASH", "path → `size:mtime_ns` of each file a producer has enqueued, which is all that older versions know; NUL and path → its mark, `size:mtime_ns:ctime_ns`, and if it is gone `:` and since when, epoch ms", "enqueue, note_files", "note_files, after forget_after"),
    KeyDoc("sender:<id>", "STRING", "the number of a client's last write, and how it was answered", "enqueue and other client writes", "expires after an hour"),
    KeyDoc("enqueuers", "HASH", "uid of the first job of an enqueue that waits for room → `nth until tried jobs most client queue id`: its place in line, until when it is waited for and when it tried last (epoch ms; 0: there is room), how many jobs, the max_length that it knows, who is told, and the caller's id of its first job, if it has one", "enqueue", "the same, wait_for, step_aside, whatever makes room"),
    KeyDoc("enqueuers_line", "ZSET", "`queue\\0nth\\0uid` of the same, all with score 0: the first is the next", "enqueue", "with the former"),
    KeyDoc("limit:<name>", "STRING", "the limiter's theoretical arrival time, epoch µs", "enqueue", "expires when the bucket is full"),
    KeyDoc("sampler", "STRING", "the engine whose turn it is to count for the metrics: a hint", "that engine", "expires when it stops"),
    KeyDoc("minutes", "STRING", "the last day: a record of 32 bytes for each minute, in a ring", "the engine whose turn it is to count", "nobody: it doesn't grow"),
    KeyDoc("bell:<queue>", "LIST", "at most one token: something may be claimable", "whatever makes it so", "an idle engine; forget_queues"),
    KeyDoc("bell:@<boot>", "LIST", "at most one token: somebody asks something of this engine", "cancel", "that engine; sign-off, reap"),
    KeyDoc("breakers", "HASH", "breaker → its state and what engines have said of it, where all share it, and of others how often they were reset; a line each", "breakers, reset_breaker", "never"),
    KeyDoc("schedules", "HASH", "schedule → what it says of itself, JSON", "schedule", "the same"),
    KeyDoc("ticks", "ZSET", "schedule → when it comes next, epoch ms; one that has no next tick isn't there", "schedule, enqueue", "the same"),
    KeyDoc("runs", "HASH", "schedule → the uids of its last two runs, the newest first", "enqueue", "schedule"),
    KeyDoc("ticked", "HASH", "schedule → what became of its last 20 ticks, the earliest first, a line each: `tick outcome late_ms uid`", "enqueue", "schedule"),
    KeyDoc("listing", "HASH", "boot → the digest of the schedules that its configuration and its app list, and whose they are: `digest app`", "list_schedules", "list_schedules, of boots that are gone"),
    KeyDoc("lists", "HASH", "app → of which list its schedules are, behind a `~` where others have some of them, then its deployments, a line each, oldest first: `digest since gone`, epoch ms; the last one's list holds, and gone is `-` while a boot of it lives", "list_schedules", "never"),
    KeyDoc("owners", "HASH", "schedule → the app that lists it, or did; of those that clients have put there is none", "list_schedules", "schedule"),
    KeyDoc("unlisted", "HASH", "schedule that isn't listed any more → `since retired`, epoch ms; retired is `-` in the first hour", "list_schedules", "list_schedules, when it is listed again; schedule"),
    KeyDoc("watched", "STRING", "somebody watches: engines tell what they do", "top", "expires after 10 s"),
    KeyDoc("drain:<boot>", "STRING", "who wants this engine to drain, and why, JSON", "an operator", "expires after an hour"),
    KeyDoc("shown:<boot>", "STRING", "what an engine does, JSON, for a screen", "the sampler, while watched, a breaker isn't closed, handlers are abandoned or all workers wait", "expires when it stops"),
)  # fmt: skip

FIXED: frozenset[str] = frozenset(doc.name for doc in CATALOGUE if "<" not in doc.name)
"""Keys that a namespace has one of; scripts name them in their headers."""


@attrs.frozen(eq=False)  # what is made of them is remembered by them, and looked up each time
class Keys:
    """Makes the keys of one namespace.

    A namespace can later have several shards, each with a tag of its own; shard 0's
    tag is the namespace's name.
    """

    namespace: str
    shard: int = 0

    @property
    def tag(self) -> str:
        return self.namespace if self.shard == 0 else f"{self.namespace}/{self.shard}"

    def fixed(self, name: str) -> str:
        """A key that the namespace has one of, such as ``jobs``."""
        assert name in FIXED, name
        return f"{{{self.tag}}}:{name}"

    def of(self, kind: str, *names: str) -> str:
        """A key that there are several of: ``of("ready", "high")``."""
        return ":".join((f"{{{self.tag}}}", kind, *names))

    def of_queues(self, queues: Iterable[str], *kinds: str) -> list[str]:
        """The named kinds of key for each queue, queue by queue."""
        return [self.of(kind, queue) for queue in queues for kind in kinds]

    def running(self, boot: str) -> str:
        return self.of("running", boot)

    def held(self, boot: str) -> list[str]:
        """What an engine holds: what it claimed alone, and what together."""
        return [self.running(boot), self.of("packs", boot)]

    def of_boot(self, boot: str) -> list[str]:
        """What an engine holds, what is asked of it, and its own bell."""
        return [*self.held(boot), self.of("asks", boot), self.own_bell(boot)]

    def behind(self, queue: str, name: str) -> list[str]:
        """Who is parked behind a door, and who was cancelled there."""
        return [self.of("parked", queue, name), self.dropped_behind(queue, name)]

    def dropped_behind(self, queue: str, door: str) -> str:
        """All doors of a name have one: who cancels a job doesn't know where it lies."""
        return self.of("dropped_behind", queue, name_of(door))

    def own_bell(self, boot: str) -> str:
        """No queue has a name that begins so."""
        return self.of("bell", f"@{boot}")

    @property
    def ends(self) -> str:
        """What the channels begin with on which clients are told of ends."""
        return self.of("ends", "")


def bench_namespace(namespace: str, which: str) -> str:
    """What ``trioq bench`` calls a namespace of its own; a name has 64 characters at most."""
    return f"{namespace[:48]}.bench-{which}"


def keys_md() -> str:
    """The page ``docs/keys.md``."""
    rows = "\n".join(
        f"| `{d.name}` | {d.type} | {d.holds} | {d.written_by} | {d.removed_by} |"
        for d in CATALOGUE
    )
    return (
        "# Keys\n\n"
        "<!-- drawn from trioq/store/keys.py by `make docs` -->\n\n"
        "Every key of a namespace starts with its hash tag: `{jobqueue}:jobs`. No correctness\n"
        "rests on a time to live. A uid is in exactly one container at any time.\n\n"
        "| key | type | holds | written by | removed by |\n| --- | --- | --- | --- | --- |\n"
        f"{rows}\n"
    )
