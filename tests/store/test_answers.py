"""Each word that can come instead of an answer: which error that is, and what follows."""

from __future__ import annotations

import pytest

from tests.store.conftest import Fake
from trioq.errors import StoreBusy, StoreError, StoreRefused, StoreUnreachable
from trioq.store.answers import translated

TABLE: list[tuple[str, type[StoreError]]] = [
    ("LOADING Redis is loading the dataset in memory", StoreBusy),
    ("BUSY Redis is busy running a script.", StoreBusy),
    ("TRYAGAIN Multiple keys request during rehashing of slot", StoreBusy),
    ("ASK 3999 127.0.0.1:6381", StoreBusy),
    ("CLUSTERDOWN The cluster is down", StoreBusy),
    ("MASTERDOWN Link with MASTER is down", StoreBusy),
    ("NOREPLICAS Not enough good replicas to write.", StoreBusy),
    ("MISCONF Errors writing to the AOF file: No space left on device", StoreBusy),
    ("OOM command not allowed when used memory > 'maxmemory'.", StoreBusy),
    ("READONLY You can't write against a read only replica.", StoreBusy),
    ("UNBLOCKED client unblocked via CLIENT UNBLOCK", StoreBusy),
    ("ERR max number of clients reached", StoreBusy),
    ("ERR Error running script (call to f_1): @user_script:3: -READONLY You can't", StoreBusy),
    ("ERR something nobody has heard of", StoreRefused),
    ("ERR unknown command 'EVALSHA'", StoreRefused),
    ("ERR wrong number of arguments for 'evalsha' command", StoreRefused),
    ("ERR user_script:12: attempt to index a nil value", StoreRefused),
    ("ERR DB index is out of range", StoreRefused),
    ("ERR invalid password", StoreRefused),
    ("BUSYKEY Target key name already exists.", StoreRefused),
    ("CROSSSLOT Keys in request don't hash to the same slot", StoreRefused),
    ("DENIED Redis is running in protected mode", StoreRefused),
    ("EXECABORT Transaction discarded because of previous errors.", StoreRefused),
    ("MOVED 3999 127.0.0.1:6381", StoreRefused),
    ("NOAUTH Authentication required.", StoreRefused),
    ("NOPERM User worker has no permissions to access one of the keys", StoreRefused),
    ("NOPROTO unsupported protocol version", StoreRefused),
    ("NOSCRIPT No matching script. Please use EVAL.", StoreRefused),
    ("NOTBUSY No scripts in execution right now.", StoreRefused),
    ("UNKILLABLE Sorry the script already executed write commands", StoreRefused),
    ("WRONGPASS invalid username-password pair or user is disabled.", StoreRefused),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreRefused),
    ("ERR Connection timed out", StoreUnreachable),
    ("ERR Connection refused", StoreUnreachable),
    ("ERR Connection reset by peer", StoreUnreachable),
    ("ERR No route to host", StoreUnreachable),
    ("ERR Host is down", StoreUnreachable),
    ("ERR handle response, backend conn reset", StoreUnreachable),
    ("ERR slot-12 is not ready, may be offline", StoreUnreachable),
    ("ERR no server connection avaliable", StoreUnreachable),
    ("upstream failure", StoreUnreachable),
    ("no upstream host", StoreUnreachable),
    ("PROXYERR try later", StoreUnreachable),
    ("", StoreUnreachable),
]


@pytest.mark.parametrize(("word", "expected"), TABLE)
def test_each_word_is_one_error_with_its_text(
    fake: Fake, word: str, expected: type[StoreError]
) -> None:
    lane = fake([f"-{word}\r\n".encode(), b"+PONG\r\n"], [b"+PONG\r\n"]).lane()
    with pytest.raises(StoreError) as caught:
        lane.call("SET", "k", "v")
    assert type(caught.value) is expected
    assert word.removeprefix("ERR ").split(",")[0] in str(caught.value)
    if isinstance(caught.value, StoreUnreachable):
        assert caught.value.sent, "it may have been executed"
        assert not lane.connected, "whoever says so is left"
    lane.close()


@pytest.mark.parametrize("word", [word for word, expected in TABLE if expected is not StoreRefused])
def test_a_word_that_is_tried_again_is_never_taken_for_a_refusal_inside_a_transaction(
    fake: Fake, word: str
) -> None:
    answers = b"+OK\r\n+QUEUED\r\n*1\r\n" + f"-{word}\r\n".encode()
    lane = fake([answers]).lane()
    with pytest.raises((StoreBusy, StoreUnreachable)):
        lane.transaction([("SET", "k", "v")])
    lane.close()


def test_what_is_no_error_of_the_store_stays_what_it_is() -> None:
    error = KeyError("x")
    assert translated(error) is error
