"""What can't be the answer to a request is none, and nothing that is one is refused."""

from __future__ import annotations

import ast
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.connection import AbstractConnection, UnixDomainSocketConnection

import trioq
from tests.support import cancelled_by, new_job
from trioq.core.calls import BreakerNews, Replacing, Step
from trioq.core.seen import Sighting
from trioq.errors import StoreError, StoreUnreachable, TrioqBug
from trioq.store import replies
from trioq.store.keys import Keys
from trioq.store.lane import Lane, no_retries
from trioq.store.redis import RedisStore
from trioq.store.scripts import all_scripts

PACKAGE = Path(trioq.__file__).parent


@attrs.define
class Parrot:
    """A peer that says the same to everything, whatever it is asked."""

    path: str
    says: bytes = b""
    _listener: socket.socket = attrs.field(factory=lambda: socket.socket(socket.AF_UNIX))

    def start(self) -> Parrot:
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with sock:
            try:
                while sock.recv(1 << 16):
                    sock.sendall(self.says)
            except OSError:
                return  # what we said made them hang up

    def dial(self, name: str) -> AbstractConnection:
        return UnixDomainSocketConnection(  # type: ignore[abstract]
            path=self.path, protocol=2, retry=no_retries(), driver_info=None, socket_timeout=5.0
        )

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def parrot(tmp_path: Path) -> Iterator[Parrot]:
    parrot = Parrot(str(tmp_path / "parrot.sock")).start()
    yield parrot
    parrot.close()


ASKED: dict[str, Callable[[RedisStore], Any]] = {
    "register": lambda store: store.register("e.1", b"{}"),
    "beat": lambda store: store.beat("e.1"),
    "step": lambda store: store.step(Step("e.1", 1, 10, ("low",))),
    "observe": lambda store: store.observe(),
    "engines": lambda store: store.engines(),
    "payload": lambda store: store.payload("u"),
    "payloads": lambda store: store.payloads(["u", "v"], 100),
    "history": lambda store: store.history("u"),
    "wait": lambda store: store.wait(["low"], 0.1),
    "seen": lambda store: store.seen(["a", "b"]),
    "seen_from": lambda store: store.seen_from("", 10),
    "note_files": lambda store: store.note_files([Sighting("a", "1:2", True)], 1),
    "forget_queues": lambda store: store.forget_queues(["low"]),
    "expire_parked": lambda store: store.expire_parked("low", "x", 1, b"{}"),
    "enqueue": lambda store: store.enqueue("s", 1, [new_job()]),
    "revive": lambda store: store.revive("s", 1, [("u", "low")]),
    "purge_dead": lambda store: store.purge_dead("s", 1, ["u"]),
    "purge": lambda store: store.purge("s", 1, "low", [], 10),
    "pause": lambda store: store.pause("s", 1, "low", True),
    "breakers": lambda store: store.breakers("e.1", [BreakerNews("api")]),
    "hasten": lambda store: store.hasten("s", 1, "low", "u"),
    "reset_breaker": lambda store: store.reset_breaker("s", 1, "api"),
    # The first of these asks a command before its script, and goes by the command's answer.
    "cancel": lambda store: cancelled_by(store, "s", 1, "u", "low", "x"),
    "replace": lambda store: store.replace("s", 1, Replacing(new_job(id="i"))),
    "reap": lambda store: store.reap("e.1", 1, 3),
    "sign_off": lambda store: store.sign_off("e.1"),
}

WORDS = sorted({word for script in replies.SCRIPTS.values() for word in script})

#: Values as a server could say them, mostly close to what is expected.
LEAVES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, 2]),
    st.none(),
    st.sampled_from(WORDS),
    st.sampled_from([b"", b"0", b"1 0 live:u", b"full low 1", b"low:x", b"1:1::low"]),
    st.text(max_size=5).map(str.encode),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.builds(lambda word, rest: [word, *rest], st.sampled_from(WORDS), st.lists(inner))
    ),
    max_leaves=30,
)


def said(value: Any) -> bytes:
    """In RESP 2."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    return b"*%d\r\n" % len(value) + b"".join(map(said, value))


@pytest.mark.parametrize("asked", ASKED)
def test_whatever_is_answered_is_an_answer_or_an_error_of_ours(parrot: Parrot, asked: str) -> None:
    store = RedisStore(Keys("t"), Lane(parrot.dial, "test"))
    unreachable = 0

    @settings(max_examples=60, deadline=None)
    @given(VALUES)
    def try_it(value: Any) -> None:
        nonlocal unreachable
        parrot.says = said(value)
        if value == [b"look again"] or (isinstance(value, list) and value[:1] == [b"look again"]):
            return  # asked again for as long as it says so
        store.lane.arm()
        try:
            ASKED[asked](store)
        except StoreUnreachable as error:
            unreachable += 1
            was_sent, is_kept = error.sent, store.lane.connected
        except (StoreError, TrioqBug, trioq.QueueFull):
            return
        else:
            return
        assert was_sent, "it may have been executed"
        assert not is_kept, "what said that is never listened to again"

    try_it()
    store.lane.close()
    assert unreachable > 10


def test_the_words_are_those_of_the_scripts_headers() -> None:
    headers = {script.name: script.words for script in all_scripts()}
    assert {
        name: sorted(word.decode() for word in words) for name, words in replies.SCRIPTS.items()
    } == {name: sorted(words) for name, words in headers.items()}


def test_every_command_that_is_sent_has_a_shape() -> None:
    # What is there speaks HTTP, which has words in capitals, too, and nothing of Redis.
    others = {"contrib", "web"}
    ours = (path for path in PACKAGE.rglob("*.py") if not others & {*path.parts})
    sent = {name for path in ours for name in _commands(path)}
    assert {"HGET", "BLPOP", "TIME", "HMGET", "SCAN", "LLEN"} <= sent
    # Connecting is answered with OK or nothing; scripts have a table of their own.
    otherwise = {"AUTH", "SELECT", "CLIENT", "EVAL", "EVALSHA", "EXEC", "SHUTDOWN"}
    no_commands = {"KEYS", "LOADING"}
    assert sent - replies.COMMANDS.keys() == otherwise & sent | no_commands


def _is_sent(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr in ("call", "pipeline")


def _commands(path: Path) -> Iterator[str]:
    """Words in capitals that begin a command."""
    for node in ast.walk(ast.parse(path.read_text())):
        first: ast.expr | None = None
        if isinstance(node, ast.Tuple) and node.elts:
            first = node.elts[0]
        elif isinstance(node, ast.Call) and node.args and _is_sent(node.func):
            first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            word = first.value
            if word.isascii() and word.isupper() and word.isalpha() and len(word) > 2:
                yield word


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b":7\r\n", "step was answered with a number, which is no answer to it"),
        (b"*0\r\n", "step was answered with a list of 0, which is no answer to it"),
        (b"$6\r\nsecret\r\n", "step was answered with 6 bytes, which is no answer to it"),
    ],
)
def test_it_is_told_with_the_script_s_name_and_not_what_was_in_it(
    parrot: Parrot, says: bytes, told: str
) -> None:
    parrot.says = says
    store = RedisStore(Keys("t"), Lane(parrot.dial, "test"))
    with pytest.raises(StoreUnreachable) as caught:
        ASKED["step"](store)
    assert str(caught.value) == told
    store.lane.close()


@pytest.mark.parametrize(
    "lists",
    [
        ([b"u"], [b"{}", b"{}"], [], []),
        ([b"u"], [b"{}"], [None, None], []),
        ([b"u"], [b"{}"], [], [b"v"]),
    ],
    ids=["records", "attempts", "suspects"],
)
def test_a_list_of_answers_that_fits_one_by_one_must_fit_together(
    parrot: Parrot, lists: tuple[Any, ...]
) -> None:
    parrot.says = said([b"ok", b"", *lists, 1, 0, -1, b"0", None])
    store = RedisStore(Keys("t"), Lane(parrot.dial, "test"))
    with pytest.raises(StoreUnreachable):
        ASKED["step"](store)
    store.lane.close()
