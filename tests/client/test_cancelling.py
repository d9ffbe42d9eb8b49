"""Operators cancel many: a page at a time, wherever they are, and again without harm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import trioq
from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import PATIENCE_S, Server, new_job, wait_until
from trioq.client.admin import Admin
from trioq.core.calls import CANCEL_MAX
from trioq.core.formats import summary
from trioq.core.job import Record
from trioq.core.settlements import Ack, Cancel, Park
from trioq.store.inspect import living, stats
from trioq.store.redis import RedisStore


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    with trioq.connect_admin(url=server.url, namespace="t") as admin:
        yield admin


def done_of(uid: str) -> bytes:
    """The summary of a job that is done."""
    record = Record(uid, "noop", "low", b"{}")
    return summary.encode(record, attempt=1, took_s=0.1, at_ms=1, engine="e", trace=None)


def results(pages: Any) -> Counter[str]:
    return Counter(told.result for page in pages for told in page)


def test_many_are_cancelled_a_page_at_a_time(admin: Admin, scene: Scene) -> None:
    scene.enqueue(*(new_job("low", "mail") for _ in range(450)), new_job("low", "other"))
    pages = [*admin.cancel_many(trioq.JobFilter(name="mail"), "no more")]
    assert results(pages) == {"cancelled": 450}
    assert max(map(len, pages)) == CANCEL_MAX
    assert stats(scene.store).records == 1


def test_nothing_is_skipped_while_many_pages_are_cancelled(
    admin: Admin, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked through shrinks meanwhile."""
    monkeypatch.setattr(living, "LOOKED_AT", 20)
    scene.enqueue(*(new_job("low", "mail") for _ in range(1000)))
    assert results(admin.cancel_many(trioq.JobFilter(queue="low"))) == {"cancelled": 1000}
    assert stats(scene.store).records == 0


def test_what_was_begun_goes_on(admin: Admin, scene: Scene) -> None:
    scene.enqueue(*(new_job("low", "mail") for _ in range(700)))
    pages = admin.cancel_many(trioq.JobFilter(name="mail"))
    first = len(next(pages))
    pages.close()  # type: ignore[attr-defined]
    assert results(admin.cancel_many(trioq.JobFilter(name="mail"))) == {"cancelled": 700 - first}


def test_running_jobs_are_asked_and_told_as_they_end(admin: Admin, scene: Scene) -> None:
    scene.enqueue(*(new_job("low", "mail") for _ in range(300)))
    scene.driver.step(250)
    told = [each for page in admin.cancel_many(trioq.JobFilter(name="mail")) for each in page]
    asked = [each for each in told if each.result == "asked"]
    assert (len(told), len(asked)) == (300, 250)
    asks = scene.driver.ask(0).asks
    assert len(asks) == 250
    scene.driver.step(0, *(Cancel(ask.uid, ask.step) for ask in asks[:200]))
    scene.driver.step(0, *(Ack(ask.uid, ask.step) for ask in asks[200:249]))
    outcomes = Counter(each.outcome for each in admin.outcomes(asked, 0.5))
    assert outcomes == {"stopped": 200, "finished_first": 49, "asked": 1}


def test_who_was_asked_before_is_asked_once(admin: Admin, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="mine"))
    scene.driver.claim()
    for reason in ("first", "second"):
        assert admin.cancel("mine", reason, by="ann").result == "asked"
    (ask,) = scene.driver.ask(0).asks
    told = summary.decode(ask.summary)
    assert told is not None
    assert (told.reason, told.by) == ("first", "ann")


def test_the_dead_and_the_ended_are_no_part_of_many_and_told_by_id(
    admin: Admin, scene: Scene
) -> None:
    scene.dead(new_job("low", id="dead"))
    scene.enqueue(new_job("low", id="done"))
    scene.driver.step(0, Ack(scene.driver.claim().uid, scene.driver.n))
    assert results(admin.cancel_many(trioq.JobFilter())) == {}
    ids = ("dead", "done", "nobody", "done")
    (page,) = admin.cancel_many(trioq.JobFilter(ids=ids))
    assert {told.id: str(told.outcome) for told in page} == {
        "dead": "died_first", "done": "finished_first", "nobody": "unknown",
    }  # fmt: skip


def test_what_is_parked_is_cancelled_too(admin: Admin, scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job("low", "mail"))
    claim = scene.driver.claim()
    scene.driver.step(0, Park(claim.uid, scene.driver.n, "low", "mail"))
    assert results(admin.cancel_many(trioq.JobFilter(queue="low"))) == {"cancelled": 1}
    assert admin.job(uid).state == "cancelled"  # type: ignore[union-attr]


def test_what_ends_before_the_request_arrives_is_told_as_that(
    admin: Admin, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    (uid,) = scene.enqueue(new_job("low", id="mine"))
    claim = scene.driver.claim()
    cancel = RedisStore.cancel

    def too_late(*arguments: Any) -> Any:
        scene.driver.step(0, Ack(claim.uid, 1))
        return cancel(*arguments)

    monkeypatch.setattr(RedisStore, "cancel", too_late)
    told = admin.cancel("mine")
    assert (told.uid, told.outcome) == (uid, "finished_first")


def test_an_engine_that_comes_before_the_request_arrives_is_asked(
    admin: Admin, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.enqueue(new_job("low"))
    write, late = RedisStore._write, list[Driver]()

    def after_another(store: RedisStore, name: str, *more: Any) -> Any:
        if not late:
            late.append(Driver(scene.store))
            late[0].claim()
        return write(store, name, *more)

    monkeypatch.setattr(RedisStore, "_write", after_another)
    assert results(admin.cancel_many(trioq.JobFilter())) == {"asked": 1}
    assert len(late[0].ask(0).asks) == 1


def test_whose_end_is_not_kept_any_more_is_told_by_what_is_remembered(
    admin: Admin, scene: Scene, server: Server
) -> None:
    scene.enqueue(new_job("low"))
    claim = scene.driver.claim()
    asked = [each for page in admin.cancel_many(trioq.JobFilter()) for each in page]
    scene.driver.step(0, Ack(claim.uid, scene.driver.n, done_of(claim.uid)))
    server.call("DEL", "{t}:results", "{t}:results_due")  # a minute later
    assert [str(told.outcome) for told in admin.outcomes(asked)] == ["finished_first"]


def test_another_job_that_has_the_id_by_now_is_not_told_of(admin: Admin, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="mine"))
    told = admin._cancelling._looked_for("mine", "f" * 32)
    assert (told.id, told.uid, told.outcome) == ("mine", "f" * 32, "unknown")


def test_an_operator_waits_for_the_end_of_one_that_runs(admin: Admin, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="mine"))
    claim = scene.driver.claim()
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(admin.cancel, "mine", wait=PATIENCE_S)
        wait_until(lambda: scene.driver.ask(0).asks)
        scene.driver.step(0, Cancel(claim.uid, 1))
        assert told.result().outcome == "stopped"


def test_many_waiting_ones_leave_nothing_behind(admin: Admin, scene: Scene, server: Server) -> None:
    """What nobody waits for isn't kept, be they ever so many."""
    scene.enqueue(*(new_job("low") for _ in range(300)))
    assert results(admin.cancel_many(trioq.JobFilter())) == {"cancelled": 300}
    assert server.call("EXISTS", "{t}:results", "{t}:waits") == 0


def test_what_waits_is_not_kept_where_others_run(
    admin: Admin, scene: Scene, server: Server
) -> None:
    scene.enqueue(new_job("low"), new_job("low"))
    scene.driver.claim()
    assert results(admin.cancel_many(trioq.JobFilter())) == {"cancelled": 1, "asked": 1}
    assert server.call("HLEN", "{t}:waits") == 1
    assert server.call("HLEN", "{t}:results") == 0


def test_what_begins_before_the_request_arrives_is_told_as_well(
    admin: Admin, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.enqueue(new_job("low", id="mine"))
    cancel = RedisStore.cancel

    def late(*arguments: Any) -> Any:
        scene.driver.claim()
        return cancel(*arguments)

    monkeypatch.setattr(RedisStore, "cancel", late)
    told = admin.cancel("mine")
    assert told.result == "asked"
    (ask,) = scene.driver.ask(0).asks
    scene.driver.step(0, Cancel(ask.uid, ask.step))  # nothing is remembered of it
    assert [each.outcome for each in admin.outcomes([told], 0.5)] == ["stopped"]
