"""The catalogue of keys is what there is, and every key of a namespace has its tag."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.store.drive import Driver, Sender, line, open_room
from tests.support import cancelled_by, new_job
from trioq.core.calls import Enqueuer, MustWait, Note, Rate
from trioq.core.fair import FairKey
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Listed, SaidList
from trioq.core.schedules.tick import Mark, Tick
from trioq.core.settlements import Ack, DeadLetter, Deliver, Park, RetryAt
from trioq.store.keys import CATALOGUE, FIXED, Keys, keys_md
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

FAMILIES = {doc.name.partition(":")[0]: doc.type for doc in CATALOGUE if "<" in doc.name}
TYPES = {doc.name: doc.type for doc in CATALOGUE if "<" not in doc.name}


def test_every_key_has_the_tag_of_its_namespace() -> None:
    keys = Keys("shop")
    made = [keys.fixed(name) for name in FIXED]
    made += [keys.of("sender", "a"), keys.of("parked", "a", "b:c"), keys.running("e.1")]
    made += keys.of_queues(["a", "b"], "ready", "bell")
    assert all(key.startswith("{shop}:") for key in made)
    assert len(set(made)) == len(made)
    assert Keys("shop", shard=2).fixed("jobs") == "{shop/2}:jobs"


def test_namespaces_do_not_share_a_key() -> None:
    assert Keys("a").fixed("jobs") != Keys("b").fixed("jobs")
    assert Keys("a", shard=1).tag != Keys("a").tag


def test_a_key_that_is_not_in_the_catalogue_is_not_made() -> None:
    with pytest.raises(AssertionError):
        Keys("t").fixed("nonsense")


def test_each_key_has_one_row_and_a_type_that_the_server_has() -> None:
    assert len({doc.name for doc in CATALOGUE}) == len(CATALOGUE)
    assert {doc.type for doc in CATALOGUE} <= {"HASH", "LIST", "ZSET", "SET", "STRING"}
    for doc in CATALOGUE:
        assert f"| `{doc.name}` | {doc.type} |" in keys_md()


def test_the_headers_say_the_types_that_the_catalogue_says() -> None:
    for script in all_scripts():
        for text in script.header.sections["KEYS"]:
            if match := re.match(r"(\w+)\s+(HASH|LIST|ZSET|SET|STRING)\b", text):
                assert TYPES[match[1]] == match[2], f"{script.name}.lua: {text}"


def test_the_fixed_keys_are_those_that_something_uses() -> None:
    used = {key for script in all_scripts() for key in script.fixed_keys}
    store = Path(__file__).parents[2] / "trioq" / "store"
    texts = "".join(path.read_text() for path in store.rglob("*.py") if path.name != "keys.py")
    unused = {name for name in FIXED - used if f'"{name}"' not in texts}
    assert unused == set()


def test_what_lies_in_the_server_is_what_the_catalogue_says(store: RedisStore) -> None:
    """One of everything, and each key of the type of its row."""
    sender, engine = Sender(store), Driver(store)
    done, again, dead, parked = sender.enqueue(*(new_job(id=str(i)) for i in range(4)))
    sender.enqueue_new("elsewhere", fair=FairKey('"a"'))
    open_room(sender)
    sender.enqueue(new_job(delay_ms=1000), new_job(payload=b"{" + b" " * 9000 + b"}"))
    rate = Rate("producer", 1_000_000, 5)
    store.enqueue(*sender.next(), [new_job(seen=("a", "1:1"))], rate=rate)
    engine.step(4)
    engine.step(
        1,
        Ack(done, 1, b"{}"),
        RetryAt(again, 1, 1000, 1, line("no")),
        DeadLetter(dead, 1, 1, "gave_up", line("no")),
        Park(parked, 1, "low", "noop"),
    )
    kept, waited, over, behind = sender.enqueue(*(new_job() for _ in range(4)))
    engine.step(9)
    engine.step(
        0, Deliver(kept, 3, 1000, "done", b"1"),
        Park(over, 3, "low", "noop"), Park(behind, 3, "low", "noop"),
    )  # fmt: skip
    cancelled_by(store, *sender.next(), over, "low", "noop")
    cancelled_by(store, *sender.next(), waited, "low", "noop")
    store.wait_for("c", [(waited, None)])
    store.note(engine.engine, [Note(waited, 3, b"{}")])
    sender.enqueue(*(new_job() for _ in range(40)))
    Driver(store).step(40)
    dying = Driver(store)
    sender.enqueue_new()
    dying.step(1)
    store.reap(dying.engine, 1, 3)
    cancelled = sender.enqueue_new("high")
    cancelled_by(store, *sender.next(), cancelled, "high", "noop")
    store.pause(*sender.next(), "elsewhere", True)
    store.reset_breaker(*sender.next(), "api")
    store.declare_limits(Driver(store).engine, {"two": LimitSettings(concurrency=2)})
    for digest, names in ("1", ["a"]), ("2", ["b"]):
        listed = SaidList("app", digest, tuple(Listed(name, b"{}", 1000) for name in names))
        store.list_schedules(Driver(store).engine, listed)
    store.put_schedule(*sender.next(), "nightly", b"{}", 1000)
    ticked = new_job()
    tick = Tick("nightly", b"{}", 1000, 2000, (Mark(1000, "fired", 0, ticked.uid),))
    store.tick(*sender.next(), tick, ticked)
    bounded = StoreOptions(max_lengths={"high": 1}, when_full={"high": "wait"})
    sender.enqueue_new("high")
    with suppress(MustWait):
        RedisStore(store.keys, store.lane, bounded).enqueue(
            *sender.next(), [new_job("high")], who=Enqueuer("c")
        )
    start = f"{{{store.keys.tag}}}:"
    found = {}
    for key in store.lane.call("KEYS", "*"):
        name = key.decode()
        assert name.startswith(start)
        found[name.removeprefix(start)] = store.lane.call("TYPE", key).decode().upper()
    for name, kind in found.items():
        expected = TYPES.get(name) or FAMILIES[name.partition(":")[0]]
        assert kind == expected, name
    families = {name.partition(":")[0] for name in found if name not in TYPES}
    assert FAMILIES.keys() - families == {"shown", "drain"}
    of_scripts = {key for script in all_scripts() for key in script.fixed_keys}
    assert of_scripts - found.keys() == {"strays"}, "the others are all there"
