"""Hearing of the ends of jobs: messages, silence, and a connection that goes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import pytest

from tests.store.drive import Driver, Sender
from tests.store.test_checks import allow, store_of_user
from tests.support import PATIENCE_S, Server, wait_until
from trioq.core.calls import End, Ended
from trioq.core.settlements import Ack, Deliver
from trioq.errors import StoreError, StoreRefused, StoreUnreachable
from trioq.store.checks import minimal_acl
from trioq.store.keys import Keys
from trioq.store.listening import Listening
from trioq.store.redis import RedisStore


@pytest.fixture
def ear(server: Server, store: RedisStore) -> Iterator[Listening]:
    listening = Listening(server.lane("ear"), store.keys, "c1")
    listening.open()
    yield listening
    listening.lane.close()


def run(store: RedisStore, value: bytes, *, clients: tuple[str, ...] = ("c1",)) -> str:
    """A job for which these wait; its uid."""
    uid = Sender(store).enqueue_new()
    for client in clients:
        assert store.wait_for(client, [(uid, None)]) == [End("live")]
    engine = Driver(store)
    engine.claim()
    engine.step(0, Deliver(uid, 1, 60_000, "done", value))
    return uid


def test_who_waits_is_told_and_nobody_else(
    server: Server, store: RedisStore, ear: Listening
) -> None:
    other = Listening(server.lane("other"), store.keys, "c2")
    other.open()
    uid = run(store, b"5")
    assert ear.next(PATIENCE_S) == [Ended(uid, End("done", b"5"))]
    both = run(store, b'{"a b":1}', clients=("c1", "c2"))
    told = [Ended(both, End("done", b'{"a b":1}'))]
    assert other.next(PATIENCE_S) == ear.next(PATIENCE_S) == told
    other.lane.close()


def test_a_large_result_is_asked_for(store: RedisStore, ear: Listening) -> None:
    uid = run(store, b"x" * 1025)
    assert ear.next(PATIENCE_S) == [Ended(uid, End("later"))]
    assert store.wait_for("c1", [(uid, None)]) == [End("done", b"x" * 1025)]


def test_a_job_without_a_result_is_told_of_too(store: RedisStore, ear: Listening) -> None:
    uid = Sender(store).enqueue_new()
    store.wait_for("c1", [(uid, None)])
    engine = Driver(store)
    engine.claim()
    engine.step(0, Ack(uid, 1))
    assert ear.next(PATIENCE_S) == [Ended(uid, End("done"))]


def test_silence_is_no_fault(store: RedisStore, ear: Listening) -> None:
    assert ear.next(0.01) == []
    uid = run(store, b"5")
    assert ear.next(PATIENCE_S) == [Ended(uid, End("done", b"5"))]


def test_another_thread_can_end_it_at_once(ear: Listening) -> None:
    errors: list[StoreError] = []

    def listen() -> None:
        try:
            ear.next(60)
        except StoreError as error:
            errors.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    began = time.monotonic()
    ear.close()
    thread.join(PATIENCE_S)
    assert isinstance(errors[0], StoreUnreachable)
    assert time.monotonic() - began < PATIENCE_S


def test_a_connection_on_which_nobody_listens_just_now_goes_with_its_client(ear: Listening) -> None:
    assert ear.next(0.01) == []
    assert ear.lane.connected
    ear.lane.close()
    assert not ear.lane.connected
    with pytest.raises(StoreUnreachable):
        ear.next(0.01)


@pytest.mark.direct  # the connection is killed by its name
def test_a_lost_connection_is_told_and_opened_again(
    server: Server, store: RedisStore, ear: Listening
) -> None:
    server.call("CLIENT", "KILL", "TYPE", "pubsub")
    with pytest.raises(StoreUnreachable):
        ear.next(PATIENCE_S)
    with pytest.raises(StoreUnreachable, match=r"nobody listens|lost"):
        ear.next(PATIENCE_S)
    ear.lane.arm()
    ear.open()
    uid = run(store, b"5")
    assert ear.next(PATIENCE_S) == [Ended(uid, End("done", b"5"))]


@pytest.mark.parametrize("said", ["", "x", f"{'a' * 32} great", "\udcff done "])
def test_what_somebody_else_says_is_heard_by_nobody(
    server: Server, store: RedisStore, ear: Listening, said: str
) -> None:
    server.call("PUBLISH", store.keys.of("ends", "c1"), said.encode("utf-8", "surrogateescape"))
    ear.next(PATIENCE_S)
    uid = run(store, b"5")
    assert ear.next(PATIENCE_S) == [Ended(uid, End("done", b"5"))]


def test_who_listens_no_longer_leaves_nothing_behind(
    server: Server, store: RedisStore, ear: Listening
) -> None:
    run(store, b"5")
    ear.lane.close()
    wait_until(lambda: not server.call("PUBSUB", "CHANNELS"))
    assert store.lane.call("HLEN", store.keys.fixed("waits")) == 0
    assert Keys("t").of("ends", "c1") not in server.call("KEYS", "*")


@pytest.mark.parametrize("lacks", ["-subscribe", "resetchannels"])
def test_a_user_who_may_not_listen_is_told_which_rule_is_missing(
    own_server: Server, lacks: str
) -> None:
    allow(own_server, *minimal_acl("t"), lacks)
    store = store_of_user(own_server)
    ear = Listening(store.lane, store.keys, "c1")
    needs = re.escape("+subscribe and &{t}:ends:*")
    with pytest.raises(StoreRefused, match=f"NOPERM.*{needs}"):
        ear.open()
    assert not ear.is_open
    allow(own_server, *minimal_acl("t"))
    ear.open()
    assert ear.is_open
    store.lane.close()
