"""What operators' own code can do: numbered writes, in pages, at the pace of who iterates."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

import trioq
from tests.scene import Scene
from tests.store.drive import Sender
from tests.support import Server, new_job, wait_until
from trioq.client.admin import Admin
from trioq.client.cancel import whoami
from trioq.core.flow import Limit, take
from trioq.core.formats.pause import decode
from trioq.core.limits import LimitSettings
from trioq.core.settlements import DeadLetter
from trioq.store.inspect import Pauses, stats
from trioq.store.redis import RedisStore


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    with trioq.connect_admin(url=server.url, namespace="t") as admin:
        yield admin


def test_an_operators_program_sees_and_changes_a_namespace(admin: Admin, scene: Scene) -> None:
    (waits,) = scene.enqueue(new_job("low", id="mine"))
    assert admin.stats().queues["low"].ready == 1
    assert admin.queue_names() == ("low",)
    assert [view.uid for view in admin.peek("low", 10)] == [waits]
    view = admin.job("mine")
    assert view is not None
    assert view.uid == waits
    assert (admin.pause("low"), admin.pause("low"), admin.resume("low")) == (True, False, True)
    assert admin.cancel("mine").result == "cancelled"
    assert admin.stats().queues["low"].ready == 0


def test_a_limit_is_set_for_one_value_of_its_key(admin: Admin, scene: Scene) -> None:
    of_each = LimitSettings(concurrency=1, keyed=True)
    scene.store.set_limits({"each": of_each, "all": LimitSettings(concurrency=1)}, 1)
    own = LimitSettings(concurrency=9, keyed=True)
    assert admin.limit("each", "acme") == of_each
    assert admin.set_limit("each", own, key="acme")
    assert admin.set_limit("each", own, key=[1, {"b": 2}])
    assert (admin.limit("each", "acme"), admin.limit("each")) == (own, of_each)
    assert admin.limit("each", [1, {"b": 2}]) == own
    assert admin.limit("each", "other") == of_each
    assert admin.limit("nowhere", "acme") is None


def test_a_pause_of_almost_no_time_ends_and_a_note_may_be_so_long(
    admin: Admin, scene: Scene
) -> None:
    assert admin.pause("low", lasts=0.0001, note="x" * 200)
    (kept,) = scene.store.lane.call("HVALS", scene.store.keys.fixed("pauses"))
    paused = decode(kept)
    assert paused.until_ms == (paused.since_ms or 0) + 1
    assert len(paused.note) == 200


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("all", "acme", "the limit 'all' has no key"),
        ("nowhere", "acme", "the limit 'nowhere' isn't known"),
        ("each", float("inf"), "not JSON compliant"),
    ],
)
def test_what_can_not_be_set_for_a_value_is_said(
    admin: Admin, scene: Scene, name: str, key: object, said: str
) -> None:
    each = LimitSettings(concurrency=1, keyed=True)
    scene.store.set_limits({"each": each, "all": LimitSettings(concurrency=1)}, 1)
    with pytest.raises(ValueError, match=said):
        admin.set_limit(name, LimitSettings(concurrency=2), key=key)
    with pytest.raises(ValueError, match=said):
        admin.pause(limit=name, key=key)
    assert admin.pauses().takes == {}
    assert all(taken.has_own is False for view in admin.limits() for taken in view.takes)


def test_a_key_is_paused_by_a_value_as_jobs_take_it(admin: Admin, scene: Scene) -> None:
    scene.store.set_limits({"each": LimitSettings(concurrency=1, keyed=True)}, 1)
    value = {"b": [1], "a": "x"}
    limit = Limit("each", concurrency=1, key="of")
    assert admin.pause(limit="each", key=value)
    assert admin.pauses().takes.keys() == {take(limit, {"of": value})}
    assert admin.resume(limit="each", key=value)


def test_a_name_is_paused_for_a_time_and_it_is_told_by_whom_and_why(
    admin: Admin, scene: Scene
) -> None:
    assert admin.pause(job="noop", lasts=datetime.timedelta(hours=1), note="moves", by="mia")
    assert not admin.pause(job="noop", lasts=60, note="mövés \N{SNOWMAN}", by="x" * 101)
    noop = admin.pauses().names["noop"]
    assert (noop.by, noop.note) == ("x" * 100, "mövés \N{SNOWMAN}")
    assert noop.since_ms is not None
    assert noop.until_ms is not None
    assert 60_000 <= noop.until_ms - noop.since_ms < 120_000
    assert admin.resume(job="noop")
    assert admin.pauses() == Pauses()
    admin.pause("low")
    assert admin.pauses().queues["low"].by == whoami()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, TypeError, "say which"),
        ({"queue": "low", "job": "noop"}, TypeError, "say which"),
        ({"job": ""}, TypeError, "expected the name of jobs"),
        ({"queue": "low", "lasts": 0}, trioq.PayloadRejected, "above 0"),
        ({"queue": "low", "lasts": "1h"}, TypeError, "expected seconds"),
        ({"queue": "low", "note": 5}, TypeError, "expected a text"),
        ({"queue": "low", "note": "x" * 201}, trioq.PayloadRejected, "201 characters"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused(
    admin: Admin, scene: Scene, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        admin.pause(**arguments)
    assert admin.pauses() == Pauses()


@pytest.mark.parametrize("half", ["x\ud800", "\udc41", "\udfff\udc80"])
def test_what_nobody_can_be_called_is_unknown(admin: Admin, scene: Scene, half: str) -> None:
    scene.enqueue(new_job("low", id="mine"))
    scene.many_dead(1)
    named = trioq.DeadFilter(uids=(half,))
    assert admin.job(half) is None
    assert admin.cancel(half).result == "unknown"
    assert admin.uids_of([half, "mine"]).keys() == {half, "mine"}
    assert [*admin.revive(named), *admin.purge_dead(named), *admin.purge(half)] == []
    assert (admin.peek(half, 3), admin.held(half)) == ([], [])
    assert (admin.pause(half), admin.resume(half), admin.resume(half)) == (True, True, False)
    assert (admin.pause(job=half), admin.resume(job=half)) == (True, True)
    assert (admin.stats().queues["low"].ready, admin.stats().dead) == (1, 1)


def test_who_comes_where_nothing_is_makes_nothing(tmp_path: Any) -> None:
    with (
        pytest.raises(trioq.StoreRefused, match="no data there yet"),
        trioq.connect_admin(url=f"embedded:{tmp_path}/data"),
    ):
        raise AssertionError("it was let in")
    assert list(tmp_path.iterdir()) == []


def test_bulk_work_is_done_as_far_as_it_was_asked_for(admin: Admin, scene: Scene) -> None:
    scene.many_dead(1000)
    pages = admin.revive(trioq.DeadFilter(), page=30)
    assert [next(pages) for _ in range(3)] == [30, 30, 30]
    assert (stats(scene.store).dead, stats(scene.store, ["low"]).queues["low"].ready) == (910, 90)
    pages.close()  # type: ignore[attr-defined]
    assert sum(admin.purge_dead(trioq.DeadFilter(), page=400)) == 910
    purge = admin.purge("low", page=40)
    assert next(purge) == 40
    assert sum(purge) == 50
    assert stats(scene.store).records == 0


def test_a_purge_ends_also_while_others_enqueue(admin: Admin, scene: Scene) -> None:
    scene.enqueue(*(new_job("low") for _ in range(100)))
    purged = 0
    for count in admin.purge("low", page=30):
        purged += count
        scene.enqueue(*(new_job("low") for _ in range(20)))
    assert purged == 100
    assert stats(scene.store).queues["low"].ready == 80


def test_all_of_a_filter_must_apply_also_where_uids_are_named(admin: Admin, scene: Scene) -> None:
    (recent,) = scene.dead(new_job("low"))
    scene.many_dead(2)
    long_ago = f"{0:032x}"
    named = trioq.DeadFilter(uids=(recent, long_ago, "nobody"))
    assert {view.uid for view in admin.dead(named)} == {recent, long_ago}
    old = attrs.evolve(named, older_than_s=3600)
    assert [view.uid for view in admin.dead(old)] == [long_ago]
    assert sum(admin.purge_dead(old)) == 1
    assert stats(scene.store).dead == 2


def test_what_died_again_meanwhile_is_not_revived_twice(admin: Admin, scene: Scene) -> None:
    """Otherwise a job that always fails would keep who revives busy for ever."""
    scene.many_dead(250)
    revived = 0
    for count in admin.revive(trioq.DeadFilter(), page=50):
        revived += count
        while claims := scene.driver.step(50):
            n = scene.driver.n
            scene.driver.step(0, *(DeadLetter(c.uid, n, 1, "failures", b"{}") for c in claims))
    assert revived == 250
    assert stats(scene.store).dead == 250


def test_ids_become_uids_while_the_job_lives_or_is_dead(admin: Admin, scene: Scene) -> None:
    (dead,) = scene.dead(new_job(id="dead"))
    (live, gone) = scene.enqueue(new_job(id="a:b"), new_job(id="gone"))
    assert admin.cancel("gone").uid == gone
    assert admin.uids_of(["dead", "a:b", "gone", "unknown", dead, "x:y"]) == {
        "dead": dead, "a:b": live, "unknown": "unknown", dead: dead, "x:y": "x:y",
    }  # fmt: skip
    assert admin.uids_of([]) == {}


# -- writes whose answers are lost -------------------------------------------------------------


class Losing:
    """Sends a write, and loses its first answer."""

    def __init__(self, store: RedisStore) -> None:
        self._run, self._lane, self.lost = store.lane.run, store.lane, 0
        self._lane.run = self._lossy  # type: ignore[method-assign]

    def _lossy(self, *arguments: Any) -> Any:
        answer = self._run(*arguments)
        self.lost += 1
        if self.lost % 2:
            raise trioq.StoreUnreachable("lost")
        return answer


def test_a_write_whose_answer_is_lost_is_sent_again_and_executed_once(
    admin: Admin, scene: Scene
) -> None:
    scene.many_dead(500)
    losing = Losing(admin.store)
    assert admin.pause("low") is True
    assert admin.resume("low") is True
    assert sum(admin.revive(trioq.DeadFilter(), page=100)) == 500
    assert admin.stats().counters["revived"] == 500
    assert sum(admin.purge("low", page=100)) == 500
    (uid,) = scene.enqueue(new_job("low"))
    assert admin.cancel(uid).result == "cancelled"
    assert admin.stats().counters["cancelled"] == 1
    assert losing.lost == 2 * (2 + 5 + 5 + 1)


def test_a_late_copy_of_a_revival_revives_nothing(admin: Admin, scene: Scene) -> None:
    (uid,) = scene.dead(new_job("low"))
    sender = Sender(scene.store)
    first = sender.next()
    assert scene.store.revive(*first, [(uid, "low")]).count == 1
    claim = scene.driver.claim()
    scene.driver.step(0, DeadLetter(claim.uid, scene.driver.n, 1, "failures", b"{}"))
    assert scene.store.revive(*first, [(uid, "low")]).count == 1, "what was answered then"
    assert stats(scene.store).dead == 1


def test_a_short_outage_is_waited_out(own_server: Server) -> None:
    store = own_server.store()
    Scene.on(store).many_dead(300)
    with trioq.connect_admin(url=own_server.url, namespace="t") as admin:
        pages = admin.purge_dead(trioq.DeadFilter(), page=100)
        next(pages)
        own_server.pause()
        threading.Timer(0.5, own_server.resume).start()
        assert admin.pause("low") is True
        assert sum(pages) == 200
    wait_until(lambda: stats(store).dead == 0)
    store.lane.close()
