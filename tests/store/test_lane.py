"""A lane never sends twice, never mistakes an answer, and can be woken at any moment."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.store.conftest import Fake
from tests.support import PATIENCE_S, Server, wait_until
from trioq.errors import StoreBusy, StoreError, StoreRefused, StoreUnreachable
from trioq.store import replies
from trioq.store.lane import SEND_BYTES, Lane
from trioq.store.reader import PIECE_MAX
from trioq.store.replies import COUNT
from trioq.store.scripts import load

#: An interrupt wakes within this, on a machine with other things to do; what it wakes would wait
#: for many times as long.
AT_ONCE_S = 1.0


@attrs.define
class Started:
    """A call under way in a thread of its own."""

    function: Callable[[], Any]
    thread: threading.Thread = attrs.field(init=False)
    result: Any = None
    error: BaseException | None = None
    ended_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:
            self.error = error
        self.ended_at = time.monotonic()

    def ended(self) -> Started:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self


@pytest.fixture
def lane(server: Server) -> Iterator[Lane]:
    lane = server.lane()
    yield lane
    lane.close()


def waits(server: Server, name: str) -> bool:
    """Whether the server lists a connection of this name that waits in BLPOP."""
    clients: bytes = server.call("CLIENT", "LIST")
    return any(
        f" name={name} ".encode() in line and b"cmd=blpop" in line for line in clients.splitlines()
    )


# -- batches -----------------------------------------------------------------------------------


def test_a_batch_is_sent_whether_or_not_the_server_reads(own_server: Server) -> None:
    lane = own_server.lane()
    lane.call("PING")
    own_server.pause()
    batch = b"x" * (SEND_BYTES // 2)
    connection = lane.start("PING", batch)
    own_server.resume()
    assert lane.finish(connection, "PING", batch, shape=replies.ANYTHING) == batch
    lane.close()


def come(connection: Any) -> int:
    """How many bytes have come that nobody has read."""
    count = bytearray(4)
    fcntl.ioctl(connection._get_socket(), termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def room(connection: Any) -> int:
    """How many are read at once."""
    return len(connection._get_parser()._buffer)


def answered(lane: Lane, size: int, at_once: int) -> int:
    """Have an answer of this size, of which so much is there before it is read. The room then."""
    said = b"x" * size
    connection = lane.start("PING", said)
    wait_until(lambda: come(connection) >= at_once)
    assert lane.finish(connection, "PING", said, shape=replies.ANYTHING) == said
    return room(connection)


def test_who_is_answered_a_lot_has_room_for_larger_pieces_and_others_have_not(lane: Lane) -> None:
    small = answered(lane, 1, 1)
    assert answered(lane, small // 2, small // 2) == small
    assert small < answered(lane, 2 * small, small) <= PIECE_MAX
    assert small < answered(lane, 16 * PIECE_MAX, small) <= PIECE_MAX


# -- interrupts, at every moment ---------------------------------------------------------------


def test_interrupt_before_a_call_stops_it_before_anything_is_sent(lane: Lane) -> None:
    lane.call("PING")
    lane.arm()
    lane.interrupt()
    with pytest.raises(StoreUnreachable) as caught:
        lane.call("SET", "k", "v")
    assert caught.value.sent is False
    lane.arm()
    assert lane.call("EXISTS", "k") == 0


def test_interrupt_of_an_idle_lane_leaves_no_connection_that_only_looks_usable(lane: Lane) -> None:
    lane.call("PING")
    lane.interrupt()
    assert not lane.connected
    lane.arm()
    assert lane.call("PING") == b"PONG"


def test_a_new_connection_is_asked_for_its_own_name(lane: Lane) -> None:
    lane.know_client()
    first = lane.client
    assert first is not None
    lane.interrupt()
    lane.arm()
    lane.know_client()
    assert lane.client == lane.call("CLIENT", "ID", shape=COUNT) != first


def test_interrupt_wakes_a_call_that_waits_for_its_answer(server: Server, lane: Lane) -> None:
    lane.call("PING")
    call = Started(lambda: lane.call("BLPOP", "nothing", 0, timeout_s=60.0))
    wait_until(lambda: waits(server, "test"))
    before = time.monotonic()
    lane.interrupt()
    call.ended()
    assert call.ended_at - before < AT_ONCE_S
    assert isinstance(call.error, StoreUnreachable)
    assert call.error.sent is True


def test_interrupt_wakes_a_call_on_a_server_that_is_stopped(own_server: Server) -> None:
    lane = own_server.lane()
    lane.call("PING")
    own_server.pause()
    sent = threading.Event()

    def call() -> Any:
        sent.set()
        return lane.call("PING")

    started = Started(call)
    sent.wait()
    before = time.monotonic()
    lane.interrupt()
    started.ended()
    assert started.ended_at - before < AT_ONCE_S
    assert isinstance(started.error, StoreUnreachable)
    own_server.resume()
    lane.close()


def test_interrupt_wakes_a_call_whose_connection_is_not_yet_made(own_server: Server) -> None:
    # The kernel takes the connection; the stopped server never answers the handshake.
    lane = own_server.lane()
    own_server.pause()
    call = Started(lambda: lane.call("PING"))
    wait_until(lambda: lane._attempt is not None)
    before = time.monotonic()
    lane.interrupt()
    call.ended()
    assert call.ended_at - before < AT_ONCE_S
    assert isinstance(call.error, StoreUnreachable)
    assert call.error.sent is False
    own_server.resume()
    lane.arm()
    assert lane.call("PING") == b"PONG"
    assert lane.generation == 1  # the abandoned one was never this lane's
    lane.close()
    wait_until(lambda: b"name=test " not in own_server.call("CLIENT", "LIST"))


def test_close_wakes_a_call_whose_connection_is_not_yet_made(own_server: Server) -> None:
    lane = own_server.lane()
    own_server.pause()
    call = Started(lambda: lane.call("PING"))
    wait_until(lambda: lane._attempt is not None)
    lane.close()
    assert isinstance(call.ended().error, StoreUnreachable)
    own_server.resume()


def test_interrupt_after_a_call_does_not_reach_the_next_one(lane: Lane) -> None:
    assert lane.call("PING") == b"PONG"
    lane.interrupt()
    lane.arm()
    assert lane.call("ECHO", "next") == b"next"


def test_an_answer_that_came_in_spite_of_an_interrupt_counts(lane: Lane) -> None:
    lane.call("PING")
    connection = lane._connection
    assert connection is not None
    parser: Any = connection._get_parser()
    read = parser.read_response

    def answered_then_interrupted(**options: Any) -> Any:
        answer = read(**options)
        lane.interrupt()
        return answer

    parser.read_response = answered_then_interrupted
    assert lane.call("ECHO", "in time") == b"in time"
    assert not lane.connected  # its socket is shut down
    lane.arm()
    assert lane.call("ECHO", "next") == b"next"


def test_interrupts_and_closes_at_random_moments_never_mix_up_answers(server: Server) -> None:
    """Two lanes side by side: a descriptor closed too early would be reused by the other."""
    lanes = [server.lane(f"mixed{i}") for i in range(2)]
    stop = threading.Event()
    answered = [0, 0]

    def calls(i: int) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            text = f"{i}:{n}".encode()
            lanes[i].arm()
            try:
                assert lanes[i].pipeline([("ECHO", text), ("ECHO", text)]) == [text, text]
                answered[i] += 1
            except StoreUnreachable:
                pass

    running = [Started(lambda i=i: calls(i)) for i in range(2)]  # type: ignore[misc]
    for n in range(400):
        lanes[n % 2].interrupt()
        time.sleep(0.0005 * (n % 3))  # the moments are the point
    wait_until(lambda: all(answered))
    stop.set()
    for call in running:
        assert call.ended().error is None
    for lane in lanes:
        lane.close()


def test_closing_during_a_call_leaves_the_descriptor_to_the_caller(
    server: Server, lane: Lane
) -> None:
    lane.call("PING")
    call = Started(lambda: lane.call("BLPOP", "nothing", 0, timeout_s=60.0))
    wait_until(lambda: waits(server, "test"))
    connection = lane._connection
    assert connection is not None
    with lane._lock:  # the caller can't get on before we have looked
        lane._closed = True
        lane._wake()
        assert connection._get_socket() is not None
    assert isinstance(call.ended().error, StoreUnreachable)
    assert connection._get_socket() is None


def test_a_closed_lane_stays_closed(server: Server, lane: Lane) -> None:
    lane.close()
    lane.arm()
    with pytest.raises(StoreUnreachable, match="closed") as caught:
        lane.call("PING")
    assert caught.value.sent is False
    connection = server.lane("late").connect()
    lane.adopt(connection)
    assert not lane.connected
    assert connection._get_socket() is None


def test_adopting_another_connection_ends_the_one_before(server: Server, lane: Lane) -> None:
    first, second = lane.connect(), lane.connect()
    lane.adopt(first)
    lane.adopt(second)
    assert first._get_socket() is None
    assert lane.call("PING") == b"PONG"
    assert lane.generation == 2


# -- late and torn answers ---------------------------------------------------------------------


def test_an_answer_that_comes_too_late_is_never_the_next_calls(own_server: Server) -> None:
    lane = own_server.lane()
    lane.call("PING")
    own_server.pause()
    with pytest.raises(StoreUnreachable):
        lane.call("ECHO", "late", timeout_s=0.05)
    own_server.resume()
    assert lane.call("ECHO", "next") == b"next"
    assert lane.generation == 2
    lane.close()


def test_ctrl_c_during_a_call_costs_the_connection(server: Server, lane: Lane) -> None:
    """KeyboardInterrupt is raised in the middle of a read; its answer must be nobody's."""
    lane.call("SET", "k", "v")
    connection = lane._connection
    assert connection is not None
    parser: Any = connection._get_parser()
    read = parser.read_response

    def interrupted(**options: Any) -> Any:
        parser.read_response = read
        raise KeyboardInterrupt

    parser.read_response = interrupted
    with pytest.raises(KeyboardInterrupt):
        lane.call("GET", "k")
    assert not lane.connected
    assert lane.call("ECHO", "next") == b"next"


INTERRUPTED = """
import signal, sys
from redis.connection import UnixDomainSocketConnection
from trioq.store.lane import Lane, no_retries

def dial(name):
    return UnixDomainSocketConnection(
        path=sys.argv[1], protocol=2, retry=no_retries(), driver_info=None
    )

def interrupt(number, frame):
    global was_interrupted
    was_interrupted = True  # also where nobody can hear of it, in a callback of a weak reference
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
lane, numbers, interrupted = Lane(dial, "asks"), range(10**9, 10**9 + 5000), 0
while interrupted < 500:
    was_interrupted = False
    lane.call("PING")  # connects: Python's own threads don't bear an interrupt in their beginning
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001 + interrupted / 100_000)
        while not was_interrupted:
            lane.call("HMGET", "k", *numbers)
    except KeyboardInterrupt:
        pass
    interrupted += 1
print(interrupted)
"""


@pytest.mark.direct  # each of the 500 connects anew, faster than the proxy takes connections
def test_ctrl_c_at_any_moment_of_a_call_is_a_ctrl_c(server: Server) -> None:
    """hiredis would take the process with it, where numbers are spelled."""
    path = server.url.removeprefix("unix://").partition("?")[0]
    asked = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, path],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (asked.returncode, asked.stdout) == (0, "500\n"), asked.stderr


@pytest.mark.parametrize("torn", [b"", b"$", b"$5\r\nhel", b"*2\r\n$1\r\na\r\n", b"+OK"])
def test_a_torn_answer_is_no_answer(fake: Fake, torn: bytes) -> None:
    peer = fake([torn, None], [b"+whole\r\n"])
    lane = peer.lane()
    call = Started(lambda: lane.call("GET", "k"))
    wait_until(lambda: peer.received)
    peer._open[0].shutdown(socket.SHUT_RDWR)
    error = call.ended().error
    assert isinstance(error, StoreUnreachable)
    assert error.sent is True
    assert lane.call("GET", "k") == b"whole"
    lane.close()


def test_garbage_instead_of_an_answer_is_no_answer(fake: Fake) -> None:
    peer = fake([b"HTTP/1.1 400 Bad Request\r\n\r\n"], [b"+whole\r\n"])
    lane = peer.lane()
    with pytest.raises(StoreUnreachable, match="protocol"):
        lane.call("GET", "k")
    assert lane.call("GET", "k") == b"whole"
    lane.close()


def test_what_follows_an_answer_unasked_is_not_taken_for_the_next_one_after_a_failure(
    fake: Fake,
) -> None:
    peer = fake([b"-LOADING wait\r\n+stale\r\n"], [b"+fresh\r\n"])
    lane = peer.lane()
    with pytest.raises(StoreBusy):
        lane.call("GET", "k")
    assert lane.call("GET", "k") == b"fresh"
    lane.close()


def test_nothing_is_ever_sent_twice(fake: Fake) -> None:
    peer = fake([None])
    lane = peer.lane()
    with pytest.raises(StoreUnreachable):
        lane.call("INCR", "k")
    assert len(peer.received) == 1
    assert peer.connections == 1
    lane.close()


def test_a_timeout_is_for_each_piece_so_a_dripping_server_is_ended_by_an_interrupt(
    fake: Fake,
) -> None:
    peer = fake([b"$1000\r\n"])
    lane = peer.lane()
    call = Started(lambda: lane.call("GET", "k", timeout_s=0.2))
    wait_until(lambda: peer.received)
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        peer._open[0].sendall(b"x")
        time.sleep(0.02)  # the drip
    assert call.thread.is_alive()
    lane.interrupt()
    assert isinstance(call.ended().error, StoreUnreachable)
    lane.close()


def test_a_request_larger_than_any_buffer_arrives_as_it_was_sent(lane: Lane) -> None:
    sent = b"%032x" * 500_000 % tuple(range(500_000))
    assert lane.call("ECHO", sent) == sent


def test_a_timeout_of_one_call_is_not_the_next_ones(lane: Lane) -> None:
    with pytest.raises(StoreUnreachable):
        lane.call("BLPOP", "nothing", 0, timeout_s=0.02)
    assert lane.call("BLPOP", "nothing", 0.2) is None


# -- errors, in three kinds --------------------------------------------------------------------


def test_all_answers_are_read_before_an_error_among_them_is_raised(lane: Lane) -> None:
    lane.call("SET", "text", "x")
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        lane.pipeline([("ECHO", "1"), ("LLEN", "text"), ("ECHO", "3")])
    assert lane.call("ECHO", "next") == b"next"
    assert lane.generation == 1


def test_an_error_inside_a_transaction_is_raised(lane: Lane) -> None:
    lane.call("SET", "text", "x")
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        lane.transaction([("GET", "text"), ("LLEN", "text")])
    with pytest.raises(StoreRefused, match="unknown command"):
        lane.transaction([("GET", "text"), ("NOSUCH",)])
    assert lane.transaction([("GET", "text"), ("EXISTS", "text")]) == [b"x", 1]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("LOADING Redis is loading the dataset in memory", StoreBusy),
        ("BUSY Redis is busy running a script", StoreBusy),
        ("READONLY You can't write against a read only replica.", StoreBusy),
        ("OOM command not allowed when used memory > 'maxmemory'.", StoreBusy),
        ("MISCONF Errors writing to the AOF file", StoreBusy),
        ("CLUSTERDOWN Hash slot not served", StoreBusy),
        ("MASTERDOWN Link with MASTER is down", StoreBusy),
        ("TRYAGAIN Multiple keys request during rehashing of slot", StoreBusy),
        ("UNBLOCKED the instance has changed", StoreBusy),
        ("MOVED 3999 127.0.0.1:6381", StoreRefused),
        ("NOAUTH Authentication required.", StoreRefused),
        ("NOPERM this user has no permissions", StoreRefused),
        ("WRONGPASS invalid username-password pair", StoreRefused),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreRefused),
        ("CROSSSLOT Keys in request don't hash to the same slot", StoreRefused),
    ],
)
def test_an_error_keeps_its_code_and_says_whether_to_try_again(
    fake: Fake, said: str, kind: type[StoreError]
) -> None:
    peer = fake([f"-{said}\r\n".encode()])
    lane = peer.lane()
    with pytest.raises(kind) as caught:
        lane.call("GET", "k")
    assert type(caught.value) is kind
    assert str(caught.value) == said
    lane.close()


def test_too_many_clients_is_not_now(fake: Fake) -> None:
    peer = fake([b"-ERR max number of clients reached\r\n"])
    lane = peer.lane()
    with pytest.raises(StoreBusy, match="max number of clients"):
        lane.call("PING")
    lane.close()


def test_no_server_is_no_answer_and_nothing_was_sent(tmp_path: Path) -> None:
    lane = Server(directory=tmp_path).lane()
    with pytest.raises(StoreUnreachable) as caught:
        lane.call("PING")
    assert caught.value.sent is False
    lane.close()


# -- scripts, forks, restarts ------------------------------------------------------------------


def test_a_script_is_sent_whole_where_the_server_lacks_it(server: Server, lane: Lane) -> None:
    server.call("SCRIPT", "FLUSH")
    script = load("register")
    keys = ["{t}:steps", "{t}:beats", "{t}:engines"]
    assert lane.run(script, keys, ["e.1", "{}"]) == [b"ok"]
    assert lane.run(script, keys, ["e.1", "{}"]) == [b"again"]
    assert server.call("SCRIPT", "EXISTS", script.sha) == [1]


def test_a_restarted_server_is_a_new_generation(own_server: Server) -> None:
    lane = own_server.lane()
    lane.call("PING")
    own_server.kill()
    with pytest.raises(StoreUnreachable):
        lane.call("PING")
    own_server.start()
    assert lane.call("PING") == b"PONG"
    assert lane.generation == 2
    lane.close()


def test_a_forked_child_makes_a_connection_of_its_own(server: Server, lane: Lane) -> None:
    ours = lane.call("CLIENT", "ID")
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - measured in the parent only
        try:
            os.write(writes, b"%d" % lane.call("CLIENT", "ID"))
            lane.interrupt()
            lane.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reads, 100))
    os.close(reads)
    os.close(writes)
    assert theirs != ours
    assert lane.call("CLIENT", "ID") == ours


def in_a_child(work: Callable[[], bool]) -> bool:
    """What it says in a forked child, which has a minute."""
    child = os.fork()
    if child == 0:  # pragma: no cover - measured in the parent only
        said = False
        try:
            signal.alarm(60)
            said = work()
        finally:
            os._exit(0 if said else 1)
    return os.waitpid(child, 0)[1] == 0


def test_a_forked_child_keeps_no_copy_of_its_parents_connection(lane: Lane) -> None:
    lane.call("PING")
    connection = lane._connection
    assert connection is not None
    sock = connection._get_socket()
    assert sock is not None
    fd = sock.fileno()

    def is_closed() -> bool:
        try:
            os.fstat(fd)
        except OSError:
            return True
        return False

    assert in_a_child(is_closed)
    assert lane.call("PING") == b"PONG", "and nothing was said on the parent's"


def test_a_child_forked_while_a_thread_has_the_lane_can_use_it(server: Server, lane: Lane) -> None:
    lane.call("PING")
    call = Started(lambda: lane.call("BLPOP", "nothing", 0, timeout_s=60.0))
    wait_until(lambda: waits(server, "test"))
    with lane._lock:
        assert in_a_child(lambda: bool(lane.call("PING") == b"PONG"))
    lane.interrupt()
    call.ended()


# -- started now, finished later ---------------------------------------------------------------

TEXT = replies.COMMANDS["GET"]


def test_what_was_started_is_finished_whenever(lane: Lane) -> None:
    for text in (b"one", b"two"):
        connection = lane.start("ECHO", text)
        assert lane.finish(connection, "ECHO", text, shape=TEXT) == text
    assert lane.generation == 1


@pytest.mark.parametrize("next_is_started", [True, False])
def test_an_answer_that_nobody_waited_for_is_nobodys(lane: Lane, *, next_is_started: bool) -> None:
    first = lane.start("ECHO", "first")
    if next_is_started:
        second = lane.start("ECHO", "second")
    else:
        assert lane.call("ECHO", "second") == b"second"
    with pytest.raises(StoreUnreachable, match="before the answer") as caught:
        lane.finish(first, "ECHO", "first", shape=TEXT)
    assert caught.value.sent
    if next_is_started:
        assert lane.finish(second, "ECHO", "second", shape=TEXT) == b"second"


def test_a_lane_that_is_closed_in_between_has_no_answer(lane: Lane) -> None:
    connection = lane.start("BLPOP", "nothing", "0")  # an answer that is there already counts
    lane.close()
    with pytest.raises(StoreError):
        lane.finish(connection, "BLPOP", "nothing", "0", shape=TEXT)
    with pytest.raises(StoreUnreachable, match="closed"):
        lane.call("ECHO", "x")


def test_an_answer_that_is_no_answer_ends_what_was_started(lane: Lane) -> None:
    connection = lane.start("DBSIZE")
    with pytest.raises(StoreUnreachable, match="no answer to it"):
        lane.finish(connection, "DBSIZE", shape=TEXT)
    assert not lane.connected
