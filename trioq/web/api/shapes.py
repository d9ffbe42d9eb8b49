"""What is answered, as JSON Schema: the shapes of ``docs/cli.md``. Fields may be added to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def _or_null(schema: Schema) -> Schema:
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _object(says: str, required: Mapping[str, Schema], **others: Schema) -> Schema:
    told: Schema = {"type": "object", "properties": {**required, **others}}
    told |= {"required": list(required)}
    return {"description": says, **told} if says else told


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}
TIME: Schema = {"type": "integer", "description": "Epoch milliseconds."}
ANY: Schema = {}
TEXTS = _list(TEXT)
MAYBE_TEXT, MAYBE_TIME, MAYBE_COUNT = map(_or_null, (TEXT, TIME, COUNT))

ERROR = _object("", {"type": TEXT, "message": TEXT, "traceback": TEXT})
IN_QUEUE = {
    **dict.fromkeys(
        ("ready", "limited", "scheduled", "parked", "running", "suspects", "fair", "in_line",
         "in_line_jobs"), COUNT,
    ),
    "paused": TRUTH, "served": TRUTH, "in_line_since_ms": MAYBE_TIME,
}  # fmt: skip
PAUSED = {"since_ms": MAYBE_TIME, "until_ms": MAYBE_TIME, "by": TEXT, "note": TEXT}
PROGRESS = _object(
    "", {"fraction": NUMBER, "text": TEXT, "data": ANY, "attempt": COUNT, "at_ms": MAYBE_TIME}
)
ALLOWED = {"rate": ANY, "burst": COUNT, "concurrency": MAYBE_COUNT}

#: By name; each is that of the command that prints it with ``--json``.
SHAPES: Mapping[str, Schema] = {
    "Problem": _object(
        "Why a request isn't answered (RFC 9457).",
        {"type": TEXT, "title": TEXT, "status": COUNT},
        detail=TEXT,
        faults=_list(_object("", {"where": TEXT, "what": TEXT})),
    ),
    "Time": TIME,
    "About": _object(
        "What is served here, to whom, and what they may do.",
        {
            "trioq": TEXT, "namespace": TEXT, "server": TEXT, "now_ms": TIME,
            "user": TEXT, "role": TEXT, "operations": TEXTS, "queues": TEXTS, "breakers": TEXTS,
            "limits": _map(MAYBE_TEXT),
            "worker": _map(NUMBER),
        },
    ),
    "Operation": _object(
        "Something that can be done.",
        {"name": TEXT, "role": TEXT, "does": TEXT, "grave": TRUTH, "allowed": TRUTH},
    ),
    "Keys": _object(
        "How large each key is; null where that may not be asked.",
        {
            "namespace": TEXT, "bytes": MAYBE_COUNT,
            "keys": _list(_object("", {"key": TEXT, "type": TEXT, "length": COUNT,
                                       "bytes": MAYBE_COUNT})),
        },
    ),
    "InQueue": _object("What is in a queue.", IN_QUEUE),
    "Queues": {"description": "Queue by queue.", **_map(_ref("InQueue"))},
    "Reason": _object("Why something doesn't run.", {"why": TEXT, "says": TEXT}),
    "Door": _object(
        "A queue and a name that jobs are parked under.",
        {
            "queue": TEXT, "name": TEXT, "parked": COUNT, "since_ms": MAYBE_TIME, "why": TEXTS,
            "breakers": _map(TEXT), "breaker": MAYBE_TEXT, "shared": TRUTH,
            "until_ms": MAYBE_TIME, "breaker_says": TEXT, "unfit": TEXTS,
        },
    ),
    "Queue": _object(
        "A queue, and why it doesn't move.",
        {
            "queue": TEXT,
            **dict.fromkeys(("ready", "limited", "scheduled", "parked", "running"), COUNT),
            "reasons": _list(_ref("Reason")), "doors": _list(_ref("Door")),
            "rooms": _list(_object("", {"queue": TEXT, "take": TEXT, "jobs": COUNT,
                                        "next_ms": MAYBE_TIME})),
        },
    ),
    "Breaker": _object(
        "A breaker of one engine, or of all.",
        {
            "name": TEXT, "engine": MAYBE_TEXT, "shared": TRUTH, "state": TEXT,
            "since_ms": MAYBE_TIME, "until_ms": MAYBE_TIME, "failures": COUNT, "runs": COUNT,
            "jobs": TEXTS, "probes": _map(TEXT),
        },
    ),
    "Minute": _object(
        "What happened in a minute, and what was so when it began.",
        {
            "at_ms": TIME, "enqueued": COUNT, "done": COUNT, "failed": COUNT, "dead": COUNT,
            "oldest_ms": MAYBE_COUNT, "waiting": COUNT, "running": COUNT,
        },
    ),
    "Pause": _object(
        "What is paused: one of queue, job, limit and key, schedule.",
        {"queue": MAYBE_TEXT, "job": MAYBE_TEXT, "limit": MAYBE_TEXT, "key": ANY,
         "schedule": MAYBE_TEXT, **PAUSED},
    ),
    "Engine": _object(
        "An engine. What one of another version doesn't say of itself isn't there.",
        {"id": TEXT, "running": COUNT},
        name=TEXT, pid=COUNT, started_ms=MAYBE_TIME, queues=TEXTS, names=TEXTS, workers=COUNT,
        http=TEXT, lease_s=NUMBER, supervisor=TEXT, process=COUNT, strict=TRUTH,
        behind=_map(TEXT), signatures=_map(TEXT), abandoned=_map(COUNT),
        jobs=_list(_object("", {"id": TEXT, "uid": TEXT, "name": MAYBE_TEXT, "queue": MAYBE_TEXT,
                                "enqueued_ms": MAYBE_TIME})),
    ),
    "Stats": _object(
        "One moment of a namespace.",
        {
            "namespace": TEXT, "queues": _map(_ref("InQueue")),
            **dict.fromkeys(("running", "done", "dead", "cancelled", "enqueued", "retried",
                             "reaped", "strays"), COUNT),
            "pauses": _list(_ref("Pause")), "engines": _list(_ref("Engine")),
            "doors": _list(_ref("Door")), "doors_left_out": COUNT,
            "breakers": _list(_ref("Breaker")),
            "schedules": _object("", {
                "count": COUNT, "next_ms": MAYBE_TIME,
                **dict.fromkeys(("late", "unlisted", "retired"), COUNT),
            }),
        },
    ),
    "Notes": _or_null(
        _object(
            "What an attempt has said last.",
            {"attempt": COUNT, "progress": _or_null(PROGRESS), "log": TEXTS, "logged": COUNT},
        )
    ),
    "Job": _object(
        "A job, where it is and what became of it so far.",
        {
            "id": TEXT, "uid": TEXT, "name": MAYBE_TEXT, "queue": MAYBE_TEXT, "state": TEXT,
            "payload": ANY, "reason": MAYBE_TEXT, "reaps": COUNT,
            "attempts": _list({"anyOf": [
                _object("", {"attempt": COUNT, "error": ERROR, "engine": MAYBE_TEXT,
                             "at_ms": MAYBE_TIME}, dead=TEXT, trace=TEXT, log=TEXTS),
                _object("", {"omitted": COUNT}),
            ]}),
            "enqueued_ms": MAYBE_TIME,
        },
        due_ms=TIME, died_ms=TIME, engine=TEXT, take=TEXT, door=_ref("Door"),
        payload_raw=MAYBE_TEXT,
        asked=_object("", {"at_ms": MAYBE_TIME, "reason": TEXT, "by": TEXT}),
        done=_object("", {"at_ms": MAYBE_TIME}),
        noted=_ref("Notes"), has_result=TRUTH,
    ),
    "Jobs": _object(
        "Some jobs, and whether there are more, or may be.",
        {"jobs": _list(_ref("Job")), "more": TRUTH, "passed_over": COUNT},
        next=MAYBE_TEXT,
    ),
    "Dead": _object(
        "Some of the dead, and where the next ones are asked for.",
        {"jobs": _list(_ref("Job")), "next": MAYBE_TEXT, "looked_at": COUNT},
    ),
    "DeadGroups": _object(
        "What the newest of the dead died of, those with the most jobs first.",
        {
            "groups": _list(_object(
                "Dead jobs of one handler that died of the same.",
                {"name": MAYBE_TEXT, "fingerprint": TEXT, "type": TEXT, "message": TEXT,
                 "count": COUNT, "first_ms": TIME, "last_ms": TIME, "uid": TEXT},
            )),
            "looked_at": COUNT, "total": COUNT,
        },
    ),
    "Explanation": _object(
        "Why a job doesn't run now.",
        {"uid": TEXT, "id": TEXT, "name": TEXT, "queue": TEXT, "state": TEXT,
         "reasons": _list(_ref("Reason"))},
    ),
    "Result": _object(
        "How a job has ended.",
        {
            "id": TEXT, "uid": TEXT, "state": TEXT, "result": ANY,
            "error": _or_null(_object("", {"kind": TEXT, "message": TEXT},
                                      type=TEXT, reason=TEXT, traceback=TEXT)),
        },
    ),
    "Limit": _object(
        "A limit, how much of it is in use, and who waits.",
        {
            "name": TEXT, **ALLOWED, "keyed": TRUTH, "known": TRUTH, "since_ms": TIME,
            "by_hand": TRUTH,
            "deployed": _or_null(_object("", {"allows": TEXT, "since_ms": TIME, "older": TEXTS})),
            "running": COUNT, "waiting": COUNT,
            "takes": _list(_object("", {
                "take": TEXT, "key": ANY, "own": _or_null(_object("", ALLOWED)),
                "running": COUNT, "holders": TEXTS, "waiting": COUNT, "first": TEXTS,
                "ids": _map(TEXT), "next_ms": MAYBE_TIME, "last_ms": MAYBE_TIME,
            })),
            "takes_left_out": COUNT, "paused": _list(_object("", {"key": ANY, **PAUSED})),
            "paused_left_out": COUNT,
        },
    ),
    "Schedule": _object(
        "A schedule, and what became of its last ticks.",
        {
            "name": TEXT, "when": TEXT,
            **dict.fromkeys(("cron", "tz", "job", "queue", "misfire", "overlap", "owner", "app",
                             "wrong"), MAYBE_TEXT),
            **dict.fromkeys(("every_ms", "anchor_ms", "at_ms", "misfire_grace_ms", "jitter_ms",
                             "next_ms", "unlisted_ms", "retired_ms"), MAYBE_TIME),
            "payload": ANY, "state": TEXT, "paused": _or_null(_object("", PAUSED)),
            "runs": TEXTS,
            "ticks": _list(_object("", {"at_ms": TIME, "outcome": TEXT,
                                        "late_ms": {"type": "integer"}, "uid": TEXT})),
        },
    ),
    "Doctor": _object(
        "What is wrong.",
        {
            "verdict": {"enum": ["ok", "warning", "fault"]},
            "findings": _list(_object("", {"check": TEXT, "verdict": TEXT, "said": TEXT})),
        },
    ),
    "Done": _object("What came of it; `done` is a sentence.", {"done": TEXT}),
}  # fmt: skip
