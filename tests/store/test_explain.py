"""Why a job doesn't run now: a test for each reason."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import pytest

from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import cancelled_by, new_job
from trioq.core.calls import Pausing
from trioq.core.fair import fair_key
from trioq.core.formats.engine_info import EngineInfo, encode
from trioq.core.formats.pause import encode as encode_pause
from trioq.core.formats.snapshot import Shut, Snapshot
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Park
from trioq.store.inspect import Reason, explain, explain_queue, glance, tell
from trioq.store.inspect.explain import LOOKED, now_ms_of

#: As it is told.
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


def why(scene: Scene, uid: str) -> list[str]:
    return [reason.why for reason in explain(scene.store, uid).reasons]


def only(scene: Scene, uid: str) -> Reason:
    (reason,) = explain(scene.store, uid).reasons
    return reason


def ending(scene: Scene, uid: str) -> bytes:
    """The summary of a job that has just ended."""
    seconds, micros = scene.store.lane.call("TIME")
    at_ms = 1000 * int(seconds) + int(micros) // 1000
    told = {"uid": uid, "name": "noop", "queue": "low", "attempt": 1, "took_ms": 1.0}
    return json.dumps({**told, "at_ms": at_ms, "enqueued_ms": at_ms, "engine": "e"}).encode()


def test_a_job_that_never_was_is_unknown(scene: Scene) -> None:
    told = explain(scene.store, "nothing")
    assert (told.id, told.state, told.queue) == ("nothing", "unknown", "")
    assert only(scene, "nothing").why == "unknown"


def test_a_job_that_waits_for_nothing_is_said_to_wait_for_nothing(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", id="order-1"))
    told = explain(scene.store, "order-1")
    assert (told.uid, told.id, told.name, told.queue, told.state) == (
        uid, "order-1", "noop", "low", "ready",
    )  # fmt: skip
    (reason,) = told.reasons
    assert reason.why == "none"
    assert "trioq doctor" in reason.says


def test_a_job_that_runs_is_said_to_run_and_where(scene: Scene) -> None:
    scene.enqueue(new_job("low"))
    claim = scene.driver.claim()
    reason = only(scene, claim.uid)
    assert (reason.why, reason.data["engine"]) == ("running", scene.driver.engine)


def test_a_job_that_has_ended_is_said_to_have(scene: Scene) -> None:
    done, unwanted = scene.enqueue(new_job("low"), new_job("low", id="unwanted"))
    scene.driver.claim()
    scene.driver.step(0, Ack(done, 1, ending(scene, done)))
    assert only(scene, done).says == "it is done"
    cancelled_by(scene.store, "operator", 1, unwanted, "low", "noop")
    assert only(scene, "unwanted").says == "it was cancelled"


def test_a_job_that_is_dead_is_said_to_be_and_of_what(scene: Scene) -> None:
    (uid,) = scene.dead(new_job("low"), reason="gave_up")
    reason = only(scene, uid)
    assert (reason.why, reason.data["reason"]) == ("dead", "gave_up")
    assert reason.says == "it is dead: gave_up; trioq dead revive runs it again"


def test_a_job_that_is_due_later_is_said_when(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", delay_ms=3_600_000))
    told = explain(scene.store, uid)
    (reason,) = told.reasons
    assert (told.state, reason.why) == ("scheduled", "due")
    assert reason.says.removeprefix("it is to run in ") in ("59 min", "60 min")
    now_ms = 1000 * int(scene.store.lane.call("TIME")[0])
    assert reason.data["due_ms"] == pytest.approx(now_ms + 3_600_000, abs=60_000)


def test_what_holds_a_job_up_after_its_time_is_told_too(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", delay_ms=3_600_000))
    scene.store.pause(*scene.sender.next(), "low", True)
    assert why(scene, uid) == ["due", "paused"]


def test_a_job_of_a_paused_queue_is_said_to_wait_for_its_resume(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    scene.store.pause(*scene.sender.next(), "low", True)
    reason = only(scene, uid)
    assert reason.says.endswith(" UTC, until trioq resume low")
    assert reason.as_json() == {
        "why": "paused", "says": reason.says, "queue": "low", "by": "", "note": "",
        "since_ms": reason.data["since_ms"], "until_ms": None,
    }  # fmt: skip


def test_what_resumes_a_name_is_said_as_the_shell_takes_it(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "sl ow"))
    scene.store.pause(*scene.sender.next(), "@sl ow", True)
    says = [reason.says for reason in explain(scene.store, uid).reasons]
    assert says[0].endswith(" UTC, until trioq resume --job 'sl ow'")


def test_of_a_pause_it_is_said_by_whom_since_when_why_and_until_when(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    scene.store.pause(*scene.sender.next(), "low", True, Pausing(encode_pause("mia@ci", "move")))
    how = Pausing(encode_pause("joe", ""), 60_000)
    scene.store.pause(*scene.sender.next(), "@noop", True, how)
    queue, name = explain(scene.store, uid).reasons
    assert re.fullmatch(
        f"low is paused by mia@ci since {MOMENT} \\(move\\), until trioq resume low", queue.says
    )
    assert re.fullmatch(
        f"noop is paused by joe since {MOMENT}, until {MOMENT} or trioq resume --job noop",
        name.says,
    )
    assert (queue.why, queue.data["by"], queue.data["note"]) == ("paused", "mia@ci", "move")
    assert (name.why, name.data["job"]) == ("paused", "noop")
    assert name.data["until_ms"] - name.data["since_ms"] == 60_000


def test_a_pause_whose_time_is_over_is_none_though_no_engine_has_made_a_step(
    scene: Scene,
) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    for what in ("low", "@noop"):
        scene.store.pause(*scene.sender.next(), what, True, Pausing(b"{}", 1))
    now_ms = 1000 * int(scene.store.lane.call("TIME")[0]) - 1000
    for what in (b"low", b"@noop"):
        scene.store.lane.call("HSET", scene.store.keys.fixed("pauses"), what, f"1:{now_ms}:")
    assert why(scene, uid) == ["none"]
    assert (
        glance(scene.store, "me", had_turn=False, turn_ms=1000, queues=["low"], rate=None).paused
        == frozenset()
    )


def test_a_job_that_no_engine_serves_is_said_to_be(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("elsewhere"))
    assert why(scene, uid) == ["no_engine"]


def test_a_job_whose_engines_all_drain_is_said_to_wait_for_another(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    tell(scene.store, scene.driver.engine, Snapshot(draining=True))
    assert only(scene, uid).says == "all engines that serve low are draining: e"
    Driver(scene.store)  # one that doesn't
    assert why(scene, uid) == ["none"]


def test_a_job_whose_name_nobody_knows_is_told_the_nearest(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "nooop"))
    reason = only(scene, uid)
    assert reason.why == "unknown_name"
    assert reason.says == "no engine that serves low knows nooop; noop is known"
    assert reason.data["nearest"] == "noop"
    other = encode(EngineInfo(name="f", queues=("high",), names=("nooop", "thumbnails")))
    assert scene.store.register(f"f.{'0' * 32}", other)
    assert only(scene, uid).data["nearest"] == "noop", "who knows another doesn't serve its queue"
    (uid,) = scene.enqueue(new_job("low", "thumbnail"))
    assert only(scene, uid).data["nearest"] is None


def test_a_job_behind_an_open_breaker_is_told_until_when(scene: Scene) -> None:
    scene.enqueue(new_job("low"))
    claim = scene.driver.claim()
    scene.driver.step(0, Park(claim.uid, scene.driver.n, "low", "noop"))
    shown = Snapshot(breakers={"noop": "open"}, reopens_ms={"noop": 1_900_000_000_000})
    tell(scene.store, scene.driver.engine, shown)
    told = explain(scene.store, claim.uid)
    (reason,) = told.reasons
    assert (told.state, reason.why) == ("parked", "breaker")
    says, _, counts = reason.says.partition("; it counts ")
    assert re.fullmatch(r"the breaker of noop is open on e: one job is tried in [\d,]+ d", says)
    assert counts.startswith("timeouts and all errors but ValueError, TypeError, LookupError,")
    assert counts == reason.data["counts"]
    assert reason.data["until_ms"] == 1_900_000_000_000
    assert reason.data["breakers"] == {"e": {"state": "open", "until_ms": 1_900_000_000_000}}


def test_of_several_open_breakers_some_are_named_and_the_first_probe_is_what_counts(
    scene: Scene,
) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    told = {scene.driver.engine: 1_900_000_000_000}
    for name in ("f", "g"):
        boot = f"{name}.{'0' * 32}"
        scene.store.register(boot, encode(EngineInfo(name=name, queues=("low",), names=("noop",))))
        told[boot] = 1_800_000_000_000
    for boot, until_ms in told.items():
        shown = Snapshot(breakers={"noop": "open"}, reopens_ms={"noop": until_ms})
        tell(scene.store, boot, shown)
    reason = only(scene, uid)
    assert reason.says.startswith("the breaker of noop is open on e, open on f, open on g: one")
    assert reason.data["until_ms"] == 1_800_000_000_000


def test_a_breaker_that_all_engines_share_is_told_as_theirs_by_its_name(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    counts = {"charge": ("KeyError",), "noop": ("OSError",)}
    shut = Shut("stripe", ("charge", "noop"), "half_open", 1, shared=True, on=counts)
    tell(scene.store, scene.driver.engine, Snapshot(breakers={"noop": "half_open"}, shut=(shut,)))
    reason = only(scene, uid)
    assert reason.says == (
        "the breaker stripe of noop, which all engines share, is half-open: the jobs that are"
        " tried now decide; it counts timeouts and OSError"
    )
    told = {key: reason.data[key] for key in ("name", "breaker", "shared", "until_ms")}
    assert told == {"name": "noop", "breaker": "stripe", "shared": True, "until_ms": None}


def test_until_when_a_breaker_is_open_is_told_by_the_servers_clock(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    shown = Snapshot(
        breakers={"noop": "open"}, reopens_ms={"noop": 1_900_000_000_000}, clock_offset_s=-7.5
    )
    tell(scene.store, scene.driver.engine, shown)
    assert only(scene, uid).data["until_ms"] == 1_899_999_992_500


def test_a_breaker_that_is_closed_somewhere_stops_nobody(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low"))
    tell(scene.store, scene.driver.engine, Snapshot(breakers={"noop": "open"}))
    other = encode(EngineInfo(name="f", queues=("low",), names=("noop",)))
    assert scene.store.register(f"f.{'0' * 32}", other)
    assert why(scene, uid) == ["none"]


def test_a_suspect_is_said_to_be_one(scene: Scene) -> None:
    scene.enqueue(new_job("low"), new_job("low"))
    dying = Driver(scene.store)
    first, _ = dying.step(2)
    scene.store.reap(dying.engine, scene.store.observe()[dying.engine], 3)
    reason = only(scene, first.uid)
    assert (reason.why, reason.data["suspects"]) == ("suspect", 2)


def test_a_job_that_others_come_before_is_told_how_many(scene: Scene) -> None:
    *_, last = scene.enqueue(*(new_job("low") for _ in range(30)))
    reason = only(scene, last)
    assert (reason.why, reason.data["before"], reason.data["ready"]) == ("in_line", 29, 30)
    assert reason.says == "29 of the 30 that are ready in low come before it"
    scene.driver.step(10)
    assert only(scene, last).data["before"] == 19


def test_a_job_with_a_fair_key_is_told_whose_turns_come_first(scene: Scene) -> None:
    first, _, last = scene.enqueue(
        new_job("low", fair=fair_key("a")), new_job("low", fair=fair_key("b")),
        new_job("low", fair=fair_key("a")),
    )  # fmt: skip
    assert only(scene, last).data["before"] == 2
    assert only(scene, first).why == "none"


def test_a_job_far_back_is_told_at_least_how_many(scene: Scene) -> None:
    uids = [f"{n:032x}" for n in range(LOOKED + 5)]
    (uid,) = scene.enqueue(new_job("low"))
    for start in range(0, len(uids), 1000):
        scene.store.lane.call("RPUSH", "{t}:ready:low", *uids[start : start + 1000])
    reason = only(scene, uid)
    assert (reason.why, reason.data["before"]) == ("in_line", None)
    assert reason.says.startswith("more than 10,000 of the 10,006 that are ready in low")


def test_about_when_is_told_from_what_has_ended_lately(scene: Scene) -> None:
    *_, last = scene.enqueue(*(new_job("low") for _ in range(9)))
    claims = scene.driver.step(3)
    told = json.loads(ending(scene, ""))
    summaries = [
        {**told, "uid": claim.uid, "at_ms": told["at_ms"] - 2000 * (len(claims) - n)}
        for n, claim in enumerate(claims)
    ]
    acks = [
        Ack(summary["uid"], scene.driver.n, json.dumps(summary).encode()) for summary in summaries
    ]
    scene.driver.step(0, *acks)
    reason = only(scene, last)
    assert "about 10.0 s at the rate of the last minute" in reason.says, "5 at one in 2 s"
    now_ms = 1000 * int(scene.store.lane.call("TIME")[0])
    assert reason.data["about_ms"] == pytest.approx(now_ms + 10_000, abs=5000)


def test_where_all_workers_are_busy_it_is_said(scene: Scene) -> None:
    for boot in (scene.driver.engine,):
        info = EngineInfo(name="e", queues=("low",), names=("noop",), workers=2)
        scene.store.lane.call("HSET", "{t}:engines", boot, encode(info))
    scene.enqueue(*(new_job("low") for _ in range(4)))
    scene.driver.step(1)
    next_one = scene.driver.store.lane.call("LINDEX", "{t}:ready:low", -1).decode()
    assert why(scene, next_one) == ["none"]
    scene.driver.step(1)
    last = scene.driver.store.lane.call("LINDEX", "{t}:ready:low", 0).decode()
    told = explain(scene.store, last)
    assert [reason.why for reason in told.reasons] == ["in_line", "busy"]
    assert told.reasons[1].says == "all 2 workers of the engine that serves low are busy"


def serves(scene: Scene, boot: str, *queues: str, strict: bool = True) -> None:
    info = EngineInfo(boot, queues=queues, names=("noop",), workers=1, strict=strict)
    scene.store.lane.call("HSET", "{t}:engines", boot, encode(info))


def test_of_a_queue_it_is_told_that_workers_are_busy_with_jobs_of_others(scene: Scene) -> None:
    serves(scene, scene.driver.engine, "high", "low")
    scene.enqueue(new_job("high"))
    scene.driver.step(1)
    assert explain_queue(scene.store, "low")[0] == (), "nobody is ready"
    scene.enqueue(new_job("low"))
    (reason,), _, _ = explain_queue(scene.store, "low")
    assert reason.says == "the only worker of the engine that serves low is busy"
    assert (reason.why, reason.data) == ("busy", {"workers": 1, "held": 1, "abandoned": 0})


def test_of_workers_that_abandoned_handlers_keep_it_is_told_how_many_and_for_how_long(
    scene: Scene,
) -> None:
    info = EngineInfo("e", queues=("low",), names=("noop",), workers=3)
    scene.store.lane.call("HSET", "{t}:engines", scene.driver.engine, encode(info))
    _, waits = scene.enqueue(new_job("low"), new_job("low"))
    scene.driver.step(1)
    at_ms = now_ms_of(scene.store)
    shown = Snapshot(at_ms=at_ms - 60_000, clock_offset_s=60.0, away=1, away_s=90.0)
    tell(scene.store, scene.driver.engine, shown)
    assert why(scene, waits) == ["none"], "one is free"
    tell(scene.store, scene.driver.engine, attrs.evolve(shown, away=2))
    told = only(scene, waits)
    assert re.fullmatch(
        "all 3 workers of the engine that serves low are busy; 2 of them are kept by abandoned"
        r" handlers, the first for 9\d\.\d s",
        told.says,
    )
    assert told.why == "busy"
    assert told.data["since_ms"] == pytest.approx(at_ms - 90_000, abs=1)
    del told.data["since_ms"]
    assert told.data == {"workers": 3, "held": 1, "abandoned": 2}
    assert [reason.why for reason in explain_queue(scene.store, "low")[0]] == ["busy"]


def test_what_is_ready_in_higher_queues_is_told_of(scene: Scene) -> None:
    queues = ("a", "b", "c", "d", "e", "low", "f")
    serves(scene, scene.driver.engine, *queues)
    (uid,) = scene.enqueue(new_job("low"))
    scene.enqueue(new_job("f"), new_job("d", delay_ms=9_000_000), new_job("b"), new_job("c"))
    scene.store.pause(*scene.sender.next(), "c", True)
    told = only(scene, uid)
    assert told.says == "higher queues go first: 1 ready in b"
    assert (told.why, told.data) == ("higher", {"queues": {"b": 1}})
    assert explain_queue(scene.store, "low")[0] == (told,)
    scene.enqueue(*(new_job(queue) for queue in "addee"))
    assert only(scene, uid).says == (
        "higher queues go first: 1 ready in a, 1 ready in b, 2 ready in d and more in 1 other"
    )


def test_a_queue_that_is_first_somewhere_or_has_its_share_comes_after_none(scene: Scene) -> None:
    (uid, _) = scene.enqueue(new_job("low"), new_job("high"))
    serves(scene, scene.driver.engine, "high", "low")
    assert why(scene, uid) == ["higher"]
    serves(scene, "other", "low", "high")
    assert why(scene, uid) == ["none"]
    serves(scene, "other", "more", "high", "low")
    assert why(scene, uid) == ["higher"]
    serves(scene, "other", "more", "high", "low", strict=False)
    assert why(scene, uid) == ["none"]


def test_of_a_queue_all_is_told_that_keeps_it_from_moving(scene: Scene) -> None:
    scene.enqueue(new_job("low"), new_job("low"))
    claim = scene.driver.claim()
    scene.driver.step(0, Park(claim.uid, scene.driver.n, "low", "noop"))
    scene.store.pause(*scene.sender.next(), "low", True)
    reasons, counted, doors = explain_queue(scene.store, "low")
    assert [reason.why for reason in reasons] == ["paused"]
    assert counted.queues["low"].ready == 1
    assert [(door.name, door.parked) for door in doors] == [("noop", 1)]
    (missing,), _, _ = explain_queue(scene.store, "elsewhere")
    assert missing.why == "no_engine"


def test_of_a_queue_it_is_told_how_many_wait_for_which_limits(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(concurrency=1)}, 1)
    scene.enqueue(*(new_job("low", takes=("one:7",)) for _ in range(3)))
    assert len(scene.driver.step(3)) == 1
    (reason,), counted, _ = explain_queue(scene.store, "low")
    assert (reason.why, reason.says) == ("limited", "2 jobs of it wait for limits: one")
    assert reason.data == {
        "queue": "low", "jobs": 2,
        "limits": [{"limit": "one", "take": "one:7", "jobs": 2, "next_ms": None}],
    }  # fmt: skip
    assert counted.queues["low"].limited == 2


def test_of_a_queue_it_is_told_how_many_wait_for_which_paused_key(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(concurrency=1, keyed=True)}, 1)
    keys = range(9, 2, -1)
    for key in keys:
        scene.store.pause(*scene.sender.next(), f"=one:{key}", True)
    scene.enqueue(*(new_job("low", takes=(f"one:{key}",)) for key in keys for _ in range(key)))
    scene.enqueue(*(new_job("low", takes=("one:1",)) for _ in range(2)))
    assert len(scene.driver.step(99)) == 1
    reasons, counted, _ = explain_queue(scene.store, "low")
    assert [reason.why for reason in reasons] == 6 * ["paused"] + ["limited"]
    assert [reason.data["jobs"] for reason in reasons] == [9, 8, 7, 6, 5, 4 + 3, 1]
    told, *_, more, limited = reasons
    assert told.says.startswith("9 jobs of it wait: one for 9 is paused since ")
    assert told.says.endswith(", until trioq resume --limit one --key 9")
    assert told.data == {
        "queue": "low", "jobs": 9, "limit": "one", "key": 9,
        **counted.pauses.takes["one:9"].as_json(),
    }  # fmt: skip
    assert more.says == (
        "7 jobs of it wait: more values of keys are paused, 2 of them; trioq pause tells which"
    )
    assert limited.says == "1 job of it waits for a limit: one"
    assert [room["take"] for room in limited.data["limits"]] == ["one:1"]


def test_nothing_is_changed(scene: Scene) -> None:
    uids = scene.enqueue(new_job("low"), new_job("low", delay_ms=10_000), new_job("elsewhere"))
    before = _all(scene)
    for uid in uids:
        explain(scene.store, uid)
    explain_queue(scene.store, "low")
    assert _all(scene) == before


def test_all_of_it_can_be_json(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "nooop", id="x"))
    told = json.loads(json.dumps(explain(scene.store, uid).as_json()))
    (reason,) = told.pop("reasons")
    assert told == {"uid": uid, "id": "x", "name": "nooop", "queue": "low", "state": "ready"}
    assert (reason["why"], reason["nearest"]) == ("unknown_name", "noop")


def _all(scene: Scene) -> dict[str, Any]:
    lane = scene.store.lane
    keys = sorted(lane.call("KEYS", "{t}:*"))
    return {key: lane.call("DUMP", key) for key in keys}
