"""What a server must be and allow, and what people are told when it isn't or doesn't."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.connection import Connection

from tests.faults.network import ResendingLane
from tests.store.conftest import Fake
from tests.store.drive import Driver, Sender, line
from tests.support import PATIENCE_S, Server, cancelled_by, new_job, wait_until
from trioq.core.calls import Admit, BreakerNews, Note, Rate, Step, StepReply
from trioq.core.fair import FairKey
from trioq.core.outcome import DeadReason
from trioq.core.schedules.listed import NOTHING, Listed, SaidList
from trioq.core.schedules.tick import Mark, Tick, Ticked
from trioq.core.settlements import Ack, DeadLetter, Deliver, Park, Release, RetryAt
from trioq.errors import StoreBusy, StoreRefused, StoreUnreachable
from trioq.store import inspect
from trioq.store.checks import called_by_scripts, check_server, explain, minimal_acl, required
from trioq.store.inspect import (
    JobFilter,
    dead,
    find,
    glance,
    living_pages,
    outstanding,
    peek,
    schedules,
    stats,
)
from trioq.store.keys import Keys
from trioq.store.lane import Lane, no_retries
from trioq.store.listening import Listening
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

REASON: DeadReason = "failures"
USER = {"username": "worker", "password": "pw"}


def allow(server: Server, *rules: str) -> None:
    """The rules of the user ``worker``, from nothing."""
    server.call("ACL", "SETUSER", "worker", "reset", "on", ">pw", *rules)


def store_of_user(server: Server, **options: Any) -> RedisStore:
    lane = Lane(partial(server.dial, db=3, **USER), "worker")
    return RedisStore(Keys("t"), lane, StoreOptions(**options))


@pytest.fixture
def user(own_server: Server) -> Iterator[RedisStore]:
    """A store as a user who may do what minimal_acl says, in database 3; each id is forgotten
    at once, and one summary is kept."""
    allow(own_server, *minimal_acl("t"))
    store = store_of_user(own_server, id_retention_ms=0, keep_done=1)
    yield store
    store.lane.close()


def denied(server: Server) -> list[tuple[bytes, bytes]]:
    """What users were refused: (why, what)."""
    return [(entry[3], entry[7]) for entry in server.call("ACL", "LOG", "100")]


# -- permissions -------------------------------------------------------------------------------


def use_everything(store: RedisStore) -> None:
    """Every verb, in every way that makes its script call another command."""
    sender, engine = Sender(store), Driver(store)
    assert store.wait(["low"], 0.01) is False
    store.lane.know_client()
    assert store.lane.client is not None
    assert store.unblock(store.lane.client) is False
    enqueue_and_settle(store, sender, engine)
    park(store, sender, engine)
    let_engines_die(store, sender)
    assert set(store.engines()) == {engine.engine}
    tell(store, sender)
    ask(store, sender)
    operate(store, sender)
    take_turns(store, sender)
    keep_time(store, sender, engine)
    store.beat(engine.engine)


def take_turns(store: RedisStore, sender: Sender) -> None:
    sender.enqueue(*(new_job("fair", fair=FairKey(f'"{n % 2}"')) for n in range(4)))
    engine = Driver(store, ("fair",))
    claims = engine.step(3)
    engine.step(0, Ack(claims[0].uid, 1), Release(claims[1].uid, 1))
    assert len(engine.step(9)) == 2
    engine.step(0)
    over = sender.enqueue(new_job("fair", fair=FairKey('"a"')))[0]
    cancelled_by(store, *sender.next(), over, "fair", "noop")
    store.forget_queues(["fair"])
    store.sign_off(engine.engine)


def keep_time(store: RedisStore, sender: Sender, engine: Driver) -> None:
    listed = (Listed("listed", b"{}", 1), Listed("never", b"{}", None))
    assert store.list_schedules(engine.engine, SaidList("app", "1", listed)).word == "ok"
    assert store.put_schedule(*sender.next(), "put", b"{}", 1)
    assert len(store.next_ticks(9).ticks) == 2
    job = new_job("tick", id="schedule:put:1")
    marks = (Mark(1, "fired", 0, job.uid),)
    assert store.tick(*sender.next(), Tick("put", b"{}", 1, 9, marks, 0), job) == Ticked("ok")
    last = Tick("put", b"{}", 9, None, (Mark(9, "overlap", 0, job.uid),))
    assert store.tick(*sender.next(), last, None) == Ticked("ok")
    assert [each.row for each in store.schedules(["put", "gone"])] == [b"{}", b""]
    assert [each.name for each in schedules(store)] == ["listed", "never", "put"]
    nothing = SaidList("app", NOTHING, ())
    unlisted = store.list_schedules(engine.engine, nothing).unlisted
    assert [each.name for each in unlisted] == ["listed", "never"]
    assert store.put_schedule(*sender.next(), "put", b"", None)


def tell(store: RedisStore, sender: Sender) -> None:
    lane = Lane(store.lane._dial, "ear")
    ear = Listening(lane, store.keys, "c1")
    ear.open()
    uid = sender.enqueue_new("told")
    store.wait_for("c1", [(uid, None)])
    engine = Driver(store, ("told",))
    engine.claim()
    engine.step(0, Deliver(uid, 1, 1, "done", b"5"))
    assert ear.next(PATIENCE_S)
    stopped = sender.enqueue_new("told")
    engine.claim()
    assert store.note(engine.engine, [Note(stopped, engine.n, b"{}")]) == frozenset()
    assert store.notes_of([stopped]) == [b"{}"]
    assert cancelled_by(store, *sender.next(), stopped, "told", "noop") == "asked"
    assert store.breakers(engine.engine, [BreakerNews("api", bad=1)])[0].state == "open"
    assert store.reset_breaker(*sender.next(), "api")
    store.sign_off(engine.engine)
    lane.close()


def enqueue_and_settle(store: RedisStore, sender: Sender, engine: Driver) -> None:
    files = new_job(seen=("path", "1:2"))
    limited = store.enqueue(
        *sender.next(), [files, new_job(id="a"), new_job(payload=b'{"x":"%s"}' % (b"y" * 9000))],
        rate=Rate("scan", 1000, 10),
    )  # fmt: skip
    assert limited.taken == 3
    assert store.enqueue(*sender.next(), [new_job(id="a"), new_job(seen=("path", "1:2"))]).existing
    assert store.seen(["path"]) == ["1:2"]
    assert store.wait(["low"], 1) is True
    first, second, third = engine.step(3)
    assert store.payload(third.uid) is not None
    engine.step(
        0,
        Ack(first.uid, 1, b'{"uid":"%s"}' % first.uid.encode()),
        RetryAt(third.uid, 1, 1, 1, line("again")),
    )
    claims = wait_until(lambda: engine.step(1))
    engine.step(
        0,
        DeadLetter(claims[0].uid, engine.n, 2, REASON, line("dead", 2)),
        Ack(second.uid, 1, b'{"uid":"%s"}' % second.uid.encode()),
    )
    again = engine.n
    reply = store.step(Step(engine.engine, again, 0, engine.queues))
    assert isinstance(reply, StepReply)
    assert reply.word == "again"
    store.beat(engine.engine)


def park(store: RedisStore, sender: Sender, engine: Driver) -> None:
    sender.enqueue_new(name="parked")
    claim = engine.claim()
    engine.step(0, Park(claim.uid, engine.n, "low", "parked"))
    (claim,) = engine.step(1, admits=(Admit("low", "parked", 1),))
    engine.step(0, Release(claim.uid, engine.n))
    claim = engine.claim()
    engine.step(0, Park(claim.uid, engine.n, "low", "parked"))
    sender.enqueue_new(name="parked")
    claim = engine.claim()
    engine.step(0, Park(claim.uid, engine.n, "low", "parked"))
    assert wait_until(lambda: store.expire_parked("low", "parked", 1, line("unknown"))) == 1
    # The other one waited since later.
    assert wait_until(lambda: store.expire_parked("low", "parked", 1, line("unknown"))) == 1
    unwanted = sender.enqueue_new(name="parked")
    engine.step(0, Park(engine.claim().uid, engine.n, "low", "parked"))
    assert cancelled_by(store, *sender.next(), unwanted, "low", "parked") == "cancelled"
    invented = sender.enqueue_new("invented")
    assert cancelled_by(store, *sender.next(), invented, "invented", "noop") == "cancelled"
    store.forget_queues(["invented"])


def let_engines_die(store: RedisStore, sender: Sender) -> None:
    sender.enqueue(new_job(), new_job())
    dying = Driver(store)
    dying.step(2)
    assert store.reap(dying.engine, store.observe()[dying.engine], 9).moved == 2
    for _ in range(9):
        dying = Driver(store)
        dying.claim()
        if store.reap(dying.engine, store.observe()[dying.engine], 1).dead:
            break
    leaving = Driver(store)
    leaving.step(1)
    store.sign_off(leaving.engine)


def ask(store: RedisStore, sender: Sender) -> None:
    delayed = sender.enqueue_new(delay_ms=60_000, id="later")
    assert stats(store, ["high"]).dead == 4
    assert outstanding(store, ["low"], 0)[1] == 0
    assert peek(store, "low", 10)
    assert list(dead(store, older_than_s=-60))
    assert find(store, "nobody") is None
    for had_turn in (False, True):
        seen = glance(store, "e", had_turn=had_turn, turn_ms=9000, queues=["low"], rate=None)
        assert seen.has_turn
    (huge, *_) = dead(store, older_than_s=-60)
    store.lane.call("HSET", store.keys.fixed("jobs"), huge.uid, b"x" * (70 << 20))
    assert len(list(dead(store, older_than_s=-60))) == 4
    for id_or_uid in ("later", delayed):
        found = find(store, id_or_uid)
        assert found is not None
        assert found.state == "scheduled"


def operate(store: RedisStore, sender: Sender) -> None:
    assert store.pause(*sender.next(), "low", True)
    assert store.pause(*sender.next(), "low", False)
    gone = [view.uid for view in dead(store)]
    assert store.revive(*sender.next(), [(gone[0], "low")]).count == 1
    assert store.purge_dead(*sender.next(), gone[1:]) == len(gone) - 1
    for uid in (sender.enqueue_new(), sender.enqueue_new("high")):
        assert cancelled_by(store, *sender.next(), uid, "low", "noop") == "cancelled"
    sender.enqueue_new(name="parked")
    sender.enqueue_new(delay_ms=60_000)
    assert [page.jobs for page in living_pages(store, JobFilter(queue="nobody's"))] == [[]]
    assert inspect.explain(store, sender.enqueue_new()).state == "ready"
    assert store.purge(*sender.next(), "low", ["parked"], 100) >= 2


@pytest.mark.direct  # calls each script once, on a connection of its own
def test_everything_works_with_the_minimal_permissions(
    own_server: Server, user: RedisStore
) -> None:
    facts = check_server(user)
    assert facts.kind in ("valkey", "redis")
    use_everything(user)
    check_server(user)
    assert denied(own_server) == []


@pytest.mark.direct  # calls each script once, on a connection of its own
def test_nothing_is_allowed_that_is_not_used(own_server: Server, user: RedisStore) -> None:
    own_server.call("CONFIG", "RESETSTAT")
    check_server(user)
    use_everything(user)
    info: bytes = own_server.call("INFO", "commandstats")
    used = {"+" + name for name in re.findall(r"cmdstat_([\w|]+):", info.decode())}
    assert set(minimal_acl("t")[5:]) - used == set()


def test_the_minimal_permissions_end_at_the_namespace(own_server: Server, user: RedisStore) -> None:
    for forbidden in (
        ("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("DEBUG", "SLEEP", "0"),
        ("MONITOR",), ("SHUTDOWN",), ("SAVE",), ("ACL", "LIST"), ("CLIENT", "KILL", "ID", "1"),
        ("SCRIPT", "FLUSH"), ("GET", "other"), ("GET", "{other}:jobs"), ("PUBLISH", "x", "y"),
    ):  # fmt: skip
        with pytest.raises(StoreRefused, match="NOPERM"):
            user.lane.call(*forbidden)


@pytest.mark.parametrize("rule", [r for r in minimal_acl("t") if r.startswith("+")])
def test_a_missing_permission_is_named(server: Server, rule: str) -> None:
    allow(server, *minimal_acl("t"), f"-{rule[1:]}")
    store = store_of_user(server)
    if rule == "+info":
        assert check_server(store).kind == ""
    elif rule in ("+client|id", "+client|unblock"):
        check_server(store)  # to end a wait then takes another connection
    elif rule in ("+publish", "+subscribe"):
        check_server(store)  # who waits for a job then looks now and then
    elif rule == "+hscan":
        check_server(store)  # only who cancels by name or queue needs it, and is told
        with pytest.raises(StoreRefused) as caught:
            list(living_pages(store, JobFilter()))
        assert explain(caught.value, "here").endswith("+hscan")
    elif rule == "+lpos":
        check_server(store)  # only who asks why a job doesn't run needs it, and is told
        lane = ResendingLane(partial(server.dial, db=3), "others")
        uid = Sender(RedisStore(Keys("t"), lane)).enqueue_new("elsewhere")
        lane.close()
        with pytest.raises(StoreRefused) as caught:
            inspect.explain(store, uid)
        assert explain(caught.value, "here").endswith("+lpos")
    else:
        with pytest.raises(StoreRefused) as caught:
            check_server(store)
        told = explain(caught.value, "here")
        words = told.split("; all")[0].split()
        assert [word for word in words if word.startswith("+")] == [rule]
    store.lane.close()


@pytest.mark.parametrize("keys", ["~other:*", "~{t}:jobs", "%R~{t}:*", "~{t}:[!p]*"])
def test_a_missing_key_is_named(server: Server, keys: str) -> None:
    allow(server, *minimal_acl("t"), "resetkeys", keys)
    store = store_of_user(server)
    with pytest.raises(StoreRefused, match=re.escape("~{t}:*")):
        check_server(store)
    store.lane.close()


def test_the_check_changes_nothing(store: RedisStore, server: Server) -> None:
    server.call("CONFIG", "RESETSTAT")
    check_server(store)
    assert server.call("DBSIZE") == 0
    assert b"cmdstat_set:" not in server.call("INFO", "commandstats")


def test_every_call_in_a_script_is_known_to_the_check() -> None:
    calls = re.compile(r"redis\.call\((.*?)[,)]")
    allowed = called_by_scripts()
    for script in all_scripts():
        for call in calls.findall(script.body):
            named = set(re.findall(r'"([A-Z]+)"', call))
            assert named or call == "command", f"{script.name}: {call}"
            assert named <= allowed
    assert len(required()) == len(set(required()))


# -- the server itself -------------------------------------------------------------------------


def test_facts_tell_the_server_and_its_durability(own_server: Server) -> None:
    store = own_server.store()
    facts = check_server(store)
    assert facts.kind in ("valkey", "redis")
    assert facts.version >= (7, 0)
    assert "appendfsync always" in facts.durability
    for policy in ("everysec", "no"):
        own_server.call("CONFIG", "SET", "appendfsync", policy)
        assert f"appendfsync {policy}" in check_server(store).durability
    own_server.call("CONFIG", "SET", "appendonly", "no", "save", "3600 1")
    assert "snapshots only (save 3600 1)" in check_server(store).durability
    own_server.call("CONFIG", "SET", "save", "")
    assert "loses jobs" in check_server(store).durability
    store.lane.close()


def test_a_user_who_may_not_ask_is_let_in(server: Server) -> None:
    allow(server, *minimal_acl("t"), "-info")
    store = store_of_user(server)
    facts = check_server(store)
    assert (facts.kind, facts.version) == ("", ())
    assert "may not ask" in facts.durability
    store.lane.close()
    assert all(b"info" not in what for _, what in denied(server))


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_throws_keys_away_is_refused(own_server: Server, policy: str) -> None:
    own_server.call("CONFIG", "SET", "maxmemory-policy", policy)
    store = own_server.store()
    with pytest.raises(StoreRefused, match=f"{policy}.*CONFIG SET maxmemory-policy noeviction"):
        check_server(store)
    own_server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    check_server(store)
    store.lane.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("may_ask", [True, False])
def test_a_replica_is_refused_with_its_primary(may_ask: bool) -> None:
    replica = Server(options=("--replicaof", "127.0.0.1", str(free_port()))).start()
    try:
        allow(replica, *minimal_acl("t"), *([] if may_ask else ["-info"]))
        store = store_of_user(replica)
        primary_told = ", 127.0.0.1:" if may_ask else "primary$"
        with pytest.raises(StoreRefused, match=f"read-only replica.*{primary_told}"):
            check_server(store)
        store.lane.close()
    finally:
        replica.close()


def test_a_cluster_of_one_serves_a_namespace() -> None:
    options = ("--port", str(free_port()), "--cluster-enabled", "yes", "--cluster-port")
    server = Server(options=(*options, str(free_port()))).start()
    try:
        store = server.store()
        with pytest.raises(StoreBusy, match="CLUSTERDOWN"):
            check_server(store)
        server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: b"cluster_state:ok" in server.call("CLUSTER", "INFO"))
        check_server(store)
        Sender(store).enqueue_new()
        Driver(store).claim()
        store.lane.close()
    finally:
        server.close()


def test_a_full_server_may_be_drained(own_server: Server) -> None:
    store = own_server.store()
    Sender(store).enqueue_new()
    own_server.call("CONFIG", "SET", "maxmemory", "1")
    check_server(store)
    assert Driver(store).claim()
    with pytest.raises(StoreBusy) as caught:
        Sender(store).enqueue_new()
    assert "no memory left" in explain(caught.value, "here")
    store.lane.close()


def fake_store(fake: Fake, *answers: bytes) -> RedisStore:
    return RedisStore(Keys("t"), fake(list(answers)).lane())


def bulk(text: str) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text.encode()), text.encode())


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("redis_version:6.2.14\r\nrole:master", "redis 6.2.14; trioq needs redis 7.0 or newer"),
        ("redis_version:7.2.4\r\nother_version:1.0", "can't run trioq's scripts"),
        ("", "can't run trioq's scripts"),
    ],
)
def test_a_server_without_script_flags_is_refused(fake: Fake, info: str, expected: str) -> None:
    compiling = b"-ERR Error compiling script (new function): unexpected symbol near '#'\r\n"
    with pytest.raises(StoreRefused, match=re.escape(expected)):
        check_server(fake_store(fake, compiling, bulk(info)))


def test_one_node_of_a_cluster_names_the_node_that_has_the_namespace(fake: Fake) -> None:
    with pytest.raises(StoreRefused, match=r"connect to 10\.0\.0\.7:6379"):
        check_server(fake_store(fake, b"-MOVED 3999 10.0.0.7:6379\r\n"))


# -- errors in plain words ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", "TRIOQ_REDIS__PASSWORD"),
        ("NOAUTH Authentication required.", "wants a password: set redis.password"),
        (
            "ERR AUTH <password> called without any password configured for the default user."
            " Are you sure your configuration is correct?",
            "has no password",
        ),
        ("ERR DB index is out of range", "redis.db"),
        (
            "NOPERM User bob has no permissions to run the 'zadd' command",
            "the user bob may not run the 'zadd' command: ACL SETUSER bob +zadd",
        ),
        ("NOPERM this user has no permissions to access a key", "key"),
        ("NOPERM No permissions to access a key", "the user may not access a key: allow ~"),
        ("READONLY You can't write against a read only replica.", "connect to its primary"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "disk"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "no memory left"),
        ("LOADING Redis is loading the dataset in memory", "loading its data"),
        ("WRONGTYPE Operation against a key holding the wrong kind", "another namespace"),
        ("MOVED 3999 10.0.0.7:6379", "another node"),
        ("ERR max number of clients reached", "maxclients"),
        ("ERR unknown command 'EVAL'", "unknown command 'EVAL'"),
    ],
)
def test_what_a_server_says_is_told_in_one_line(fake: Fake, said: str, expected: str) -> None:
    lane = fake([f"-{said}\r\n".encode()]).lane()
    with pytest.raises((StoreBusy, StoreRefused)) as caught:
        lane.call("GET", "k")
    told = explain(caught.value, "redis://here:6379/0")
    assert told.startswith("redis://here:6379/0: ")
    assert expected in told
    assert "\n" not in told


def test_a_wrong_password_and_a_missing_one_are_told(own_server: Server) -> None:
    own_server.call("CONFIG", "SET", "requirepass", "secret")
    for password, expected in (
        ("wrong", "wrong user name or password"),
        (None, "wants a password"),
    ):
        lane = Lane(partial(own_server.dial, password=password), "x")
        with pytest.raises(StoreRefused) as caught:
            check_server(RedisStore(Keys("t"), lane))
        assert expected in explain(caught.value, "here")


def unanswered(dial: Any) -> str:
    with pytest.raises(StoreUnreachable) as caught:
        Lane(dial, "x").call("PING")
    return explain(caught.value, "here")


def test_why_there_is_no_answer_is_told(tmp_path: Path, fake: Fake) -> None:
    def tcp(host: str, port: int) -> Any:
        return lambda name: Connection(host=host, port=port, retry=no_retries(), driver_info=None)

    assert "nothing listens there" in unanswered(tcp("127.0.0.1", free_port()))
    assert "can't be resolved" in unanswered(tcp("no-such-host.invalid", 6379))
    assert "no such socket" in unanswered(Server(directory=tmp_path / "none").dial)
    silent = fake([b""])
    assert "no answer in time" in unanswered(silent.lane(socket_timeout=0.05)._dial)


def test_a_server_that_hangs_up_is_told(fake: Fake) -> None:
    assert "the server hung up" in unanswered(fake([None]).lane()._dial)


def test_a_line_that_begins_with_its_place_does_not_say_it_twice() -> None:
    assert explain(StoreRefused("here: is wrong"), "here") == "here: is wrong"
