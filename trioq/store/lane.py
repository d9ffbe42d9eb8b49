"""One connection to the server, for one purpose, used by one thread at a time.

A lane calls Redis and turns what can go wrong into three errors: no answer
(:class:`StoreUnreachable`), not now (:class:`StoreBusy`), no (:class:`StoreRefused`).
It never sends anything twice: redis-py's own retries are off, because only who made a
request knows whether it may be repeated. A connection on which anything went wrong is never
used again, so that a late answer is nobody's. An answer that can't be one to its request
(:mod:`trioq.store.replies`) is something that went wrong.

Another thread can :meth:`~Lane.interrupt` a call. It shuts the socket down, which wakes
the reader at once, also when the server is stopped; ``CLIENT UNBLOCK`` would hang exactly
then.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Protocol, cast

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry
from redis.utils import SENTINEL

from trioq.core.forked import in_each_fork
from trioq.errors import StoreClosed, StoreError, StoreRefused, StoreUnreachable
from trioq.store import kept, replies
from trioq.store.answers import translated
from trioq.store.attempt import Attempt
from trioq.store.nudge import AGAIN_S, NUDGE
from trioq.store.reader import BoundedReader
from trioq.store.replies import Shape
from trioq.store.scripts import Script, script_name

#: A request that fits is sent without waiting for the server to read. The kernel's default is half
#: of what a batch of settlements has.
SEND_BYTES = 1 << 19

#: A socket with a timeout of 0 wouldn't wait at all, and say otherwise what is wrong.
LEAST_S = 0.001


class Dialer(Protocol):
    """Makes a connection object, not yet connected."""

    def __call__(self, name: str) -> AbstractConnection: ...


def no_retries() -> Retry:
    """redis-py's default would send a write up to ten times."""
    return Retry(NoBackoff(), 0)


class Lane:
    """One connection, made when it is first needed and again after each failure."""

    def __init__(self, dial: Dialer, name: str, call_s: float = math.inf) -> None:
        self.name = name
        self.call_s = call_s
        """How long a call may take in all, connecting included."""
        self.until = math.inf
        """Where calls have such an end: when those that begin from now on end at the latest, by the
        monotonic clock. Said by whoever alone uses the lane."""
        self.generation = 0
        """Counts connections: whoever watches something over time starts anew with each."""
        self.client: int | None = None
        """What the server calls the connection, once :meth:`know_client` has asked it."""
        self.may_know_client = True
        """Whether the server, and the user, know what :attr:`client` is for, as far as we know."""
        self._dial = dial
        self._lock = threading.Lock()
        # Guarded by the lock. While a call is under way, only its own thread closes the
        # connection: a descriptor that another thread closes may name something else by the
        # time the reader gets to it.
        self._connection: AbstractConnection | None = None
        self._attempt: Attempt | None = None
        self._calling = False
        self._rests = False
        """Whether what is under way is between two messages, and no thread reads."""
        self._interrupted = False
        self._closed = False
        self._ends: float | None = None
        """When the call that is under way ends at the latest; None: it has no such end."""
        self._known_for = 0
        """The connection, by its count, that was asked for its name."""
        _LANES.add(self)

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def connect(self) -> AbstractConnection:
        """A new connection, ready for use but not yet this lane's.

        May be abandoned: nobody else holds the object.

        Raises:
          StoreClosed: The lane is closed.
          StoreUnreachable, StoreBusy, StoreRefused: There is no connection to be had.
        """
        self._check_open()
        connection = self._dial(self.name)
        connection.set_parser(BoundedReader)
        try:
            connection.connect()
            _widen(_socket(connection))
        except StoreError:  # an embedded server that can't come back
            connection.disconnect()
            raise
        except Exception as error:
            connection.disconnect()
            # Without redis-py's frames: one of them has the password in a variable.
            raise translated(error, sent=False) from error.with_traceback(None)
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def adopt(self, connection: AbstractConnection) -> None:
        """Use this connection from now on."""
        with self._lock:
            if self._closed:
                connection.disconnect()
                return
            self._forget()
            self._connection = connection
            self.generation += 1

    def arm(self) -> None:
        """Before a call: interrupts from now on are meant for it."""
        self._interrupted = False

    def interrupt(self) -> None:
        """Make the call under way, if any, fail with :class:`StoreUnreachable`. Never blocks."""
        with self._lock:
            self._interrupted = True
            self._wake()

    def close(self) -> None:
        """Disconnect for good. A call under way fails, and disconnects when it has noticed."""
        with self._lock:
            self._closed = True
            self._wake()

    def call(
        self, *command: Any, timeout_s: float | None = None, shape: Shape | None = None
    ) -> Any:
        """Send one command and read its answer.

        Args:
          shape: What the answer looks like, where the command's name doesn't say.
        """
        shapes = None if shape is None else [shape]
        return self.pipeline([command], timeout_s=timeout_s, shapes=shapes)[0]

    def pipeline(
        self,
        commands: Sequence[tuple[Any, ...]],
        *,
        timeout_s: float | None = None,
        shapes: Sequence[Shape] | None = None,
        wait_s: float | None = None,
    ) -> list[Any]:
        """Send commands in one go and read all answers; the first error answer is raised.

        Args:
          timeout_s: How long to wait for each piece of the answers; None: the connection's
              default. A server that sends a byte now and then is waited for without end:
              who needs a deadline interrupts.
          shapes: What each answer looks like; None: as the table of commands has it.
          wait_s: How long the first command is to block at most; it was told to by
              :func:`~trioq.store.nudge.blocks_s`. The timeout begins after that.
        """
        shapes = shapes or [replies.of_command(command) for command in commands]
        until = None if wait_s is None else monotonic() + wait_s
        return self._received(self._sent(commands), commands, timeout_s, shapes, until)

    def start(self, *command: Any) -> AbstractConnection:
        """Send one command, and return without its answer, which :meth:`finish` reads.

        If anything else is called first, that answer is lost with its connection.
        """
        return self._sent([command])

    def finish(self, connection: AbstractConnection, *command: Any, shape: Shape) -> Any:
        """The answer of a command that was started.

        Args:
          connection: What :meth:`start` returned.
        """
        with self._lock:
            is_there = self._calling and self._connection is connection
        if not is_there:
            raise StoreUnreachable(f"{self.name}: the connection was lost before the answer")
        self._ends = self._end_of_call()
        return self._received(connection, [command], None, [shape])[0]

    def more(self, connection: AbstractConnection, shape: Shape, timeout_s: float) -> Any | None:
        """What else comes for a command that was started, such as a message; None: nothing yet.

        The call stays under way, and can be interrupted.

        Args:
          connection: What :meth:`start` returned.
          timeout_s: How long to wait for it to begin; 0: what has been read already.
        """
        with self._lock:
            if not (self._calling and self._connection is connection):
                raise StoreUnreachable(f"{self.name}: the connection was lost")
            self._rests = False
        answer = self._message(connection, shape, timeout_s)
        with self._lock:
            self._rests = True
            if self._closed:  # nobody will ask again
                self._wake()
        return answer

    def _message(
        self, connection: AbstractConnection, shape: Shape, timeout_s: float
    ) -> Any | None:
        try:
            if self._ends is not None:
                _parser(connection).until = math.inf
            if timeout_s > 0:
                answer = _read(connection, timeout_s, shape.bytes_max)
            elif (answer := _read_buffered(connection)) is None:
                return None
        except redis.TimeoutError:
            return None
        except Exception as error:
            self._end(broken=True)
            raise translated(error) from error
        except BaseException:
            self._end(broken=True)
            raise
        if isinstance(answer, redis.RedisError):
            self._end(broken=True)
            raise _told(answer)
        if not shape.fits(answer, ()):
            self._end(broken=True)
            raise StoreUnreachable(f"{self.name}: {replies.described(answer)} came, which is none")
        return answer

    def _sent(self, commands: Sequence[tuple[Any, ...]]) -> AbstractConnection:
        connection = self._begin()
        try:
            _bound(connection, self._ends)
            _send(connection, commands)
        except Exception as error:
            self._end(broken=True)
            raise translated(error) from error
        except BaseException:
            self._end(broken=True)
            raise
        return connection

    def _received(
        self,
        connection: AbstractConnection,
        commands: Sequence[tuple[Any, ...]],
        timeout_s: float | None,
        shapes: Sequence[Shape],
        until: float | None = None,
    ) -> list[Any]:
        try:
            if until is not None:
                _wait(connection, until)
            _bound(connection, self._ends)
            answers = [_read(connection, timeout_s, shape.bytes_max) for shape in shapes]
        except Exception as error:
            self._end(broken=True)
            raise translated(error) from error
        except BaseException:
            # Ctrl-C: an answer that is still to come must not be taken for the next call's.
            self._end(broken=True)
            raise
        failure = None
        for command, answer, shape in zip(commands, answers, shapes, strict=True):
            if isinstance(answer, redis.RedisError):
                failure = failure or _told(answer)
            elif not shape.fits(answer, command):
                self._end(broken=True)
                raise StoreUnreachable(
                    f"{_name(command)} was answered with {replies.described(answer)}, which is no"
                    " answer to it"
                )
        self._end(broken=isinstance(failure, StoreUnreachable))
        if failure is not None:
            raise failure
        return answers

    def transaction(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers of commands that the server executes at one moment."""
        shapes = [
            replies.OK,
            *(replies.QUEUED for _ in commands),
            replies.of_transaction(commands, _is_error),
        ]
        answers = self.pipeline([("MULTI",), *commands, ("EXEC",)], shapes=shapes)
        if (failure := _failure(answers[-1])) is not None:
            raise failure
        return cast("list[Any]", answers[-1])

    def run(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Any],
        *,
        behind: tuple[Any, ...] | None = None,
        wait_s: float | None = None,
    ) -> Any:
        """Run a script: by its SHA-1, or by its text where the server doesn't have it.

        Args:
          behind: A command to send with it, before it. If that blocks, the server runs the
              script in the moment in which it goes on, whatever the reason.
          wait_s: How long that is to block at most; see :meth:`pipeline`.
        """
        shape = replies.of_script(script.name)
        command = ("EVALSHA", script.sha, str(len(keys)), *keys, *args)
        commands, shapes = [command], [shape]
        if behind is not None:
            commands, shapes = [behind, command], [replies.of_command(behind), shape]
        try:
            return self.pipeline(commands, shapes=shapes, wait_s=wait_s)[-1]
        except StoreRefused as error:
            return self._run_by_text(error, script, command[2:])

    def start_script(
        self, script: Script, keys: Sequence[str], args: Sequence[Any]
    ) -> Callable[[], Any]:
        """Begin to run a script, as :meth:`start` does; what is returned waits for its answer."""
        command = ("EVALSHA", script.sha, str(len(keys)), *keys, *args)
        connection = self.start(*command)

        def finish() -> Any:
            try:
                return self.finish(connection, *command, shape=replies.of_script(script.name))
            except StoreRefused as error:
                return self._run_by_text(error, script, command[2:])

        return finish

    def _run_by_text(self, error: StoreRefused, script: Script, rest: Sequence[Any]) -> Any:
        """Where the server doesn't know the script: with all that follows its SHA-1."""
        if not isinstance(error.__cause__, redis.exceptions.NoScriptError):
            raise error
        return self.call("EVAL", script.text, *rest, shape=replies.of_script(script.name))

    def know_client(self) -> None:
        """Ask what the server calls this connection, so that another can end what it waits for.

        Asked once of each connection. A server that won't tell, or has no words for it, is asked
        no more: then :attr:`client` stays None.
        """
        if self.connected and self._known_for == self.generation:
            return
        self.client = None
        if self.may_know_client:
            try:
                self.client = self.call("CLIENT", "ID", shape=replies.COUNT)
            except StoreRefused:
                self.may_know_client = False
        self._known_for = self.generation

    # -- a call's beginning and end ----------------------------------------------------------

    def _begin(self) -> AbstractConnection:
        """The connection for a call, which from now on is under way."""
        ends = self._ends = self._end_of_call()
        with self._lock:
            if self._calling:  # what was started was never finished
                self._calling = False
                self._forget()
            if self._connection is not None:
                return self._started()
            self._check()
            attempt = self._attempt = Attempt(self.name)
        try:
            left_s = None if ends is None else max(0.0, ends - monotonic())
            connection = attempt.run(self.connect, left_s)
        finally:
            with self._lock:
                self._attempt = None
        self.adopt(connection)
        with self._lock:
            return self._started()

    def _end_of_call(self) -> float | None:
        if self.call_s == math.inf:
            return None
        return min(self.until, monotonic() + self.call_s)

    def _started(self) -> AbstractConnection:
        self._check()
        if self._ends is not None and monotonic() >= self._ends:
            raise StoreUnreachable(f"{self.name}: no connection in time", sent=False)
        assert self._connection is not None
        self._calling, self._rests = True, False
        return self._connection

    def _check(self) -> None:
        self._check_open()
        if self._interrupted:
            raise StoreUnreachable(f"{self.name}: interrupted", sent=False)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"the client was closed, and for good: open another ({self.name})")

    def _end(self, *, broken: bool = False) -> None:
        with self._lock:
            self._calling = False
            # An answer may have come in spite of an interrupt, but its socket is shut down.
            if broken or self._closed or self._interrupted:
                self._forget()

    # -- with the lock held ------------------------------------------------------------------

    def _wake(self) -> None:
        """Whatever holds the lane's thread up ends; where nothing does, the connection goes."""
        if self._attempt is not None:
            self._attempt.abandon()
        elif not self._calling or self._rests:
            self._calling = self._rests = False
            self._forget()
        elif self._connection is not None:
            # The base method: SSLSocket.shutdown would drop TLS under the reader.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(_socket(self._connection), socket.SHUT_RDWR)

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    # -- in a forked child -------------------------------------------------------------------

    def _forked(self) -> None:
        """The connection is the parent's: our copy of it is closed, without a word on it.

        While we had it, the server wouldn't notice that the parent has died. Whoever held the
        lock, or was calling, is a thread that isn't here.
        """
        self._lock = threading.Lock()
        self._attempt, self._calling = None, False
        self._forget()


#: What a forked child must not share with its parent.
_LANES: weakref.WeakSet[Lane] = weakref.WeakSet()


def _forget_all() -> None:
    for lane in list(_LANES):
        lane._forked()


in_each_fork(_forget_all)


def _socket(connection: AbstractConnection) -> socket.socket:
    sock = connection._get_socket()
    assert sock is not None
    return sock


def _widen(sock: socket.socket) -> None:
    """Have room for a batch; TCP makes room by itself."""
    if sock.family == getattr(socket, "AF_UNIX", None):  # not on Windows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)


def _send(connection: AbstractConnection, commands: Sequence[tuple[Any, ...]]) -> None:
    """Not by redis-py's own way, which reconnects and disconnects by itself."""
    if threading.current_thread() is threading.main_thread():
        commands = [_in_letters(command) for command in commands]
    try:
        packed = _packed(commands)
    except UnicodeEncodeError:  # a name that isn't UTF-8, as somebody else wrote it
        packed = _packed([tuple(map(kept.raw, command)) for command in commands])
    _write(_socket(connection), packed)


def _bound(connection: AbstractConnection, ends: float | None) -> None:
    """Have what is sent and read from now on end by then."""
    if ends is not None:
        _parser(connection).until = ends
        _socket(connection).settimeout(max(LEAST_S, ends - monotonic()))


def _parser(connection: AbstractConnection) -> BoundedReader:
    return cast(BoundedReader, connection._get_parser())


def _write(sock: socket.socket, packed: bytes) -> None:
    """All of it. Almost always there is room, for which a socket with a timeout would ask first."""
    if type(sock) is socket.socket:  # and not one with TLS
        sent = 0
        with contextlib.suppress(BlockingIOError):
            sent = os.write(sock.fileno(), packed)
        if sent == len(packed):
            return
        packed = packed[sent:]
    sock.sendall(packed)


_LETTERS = frozenset({str, bytes})


def _in_letters(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """A command with its numbers spelled.

    hiredis would do so, but doesn't look whether it worked: where a signal's handler raises at
    that moment, as Ctrl-C's does, the process would die of it. Signals are for the main thread.
    """
    if _LETTERS.issuperset(map(type, command)):
        return command
    return tuple([str(each) if type(each) in (int, float) else each for each in command])


def _packed(commands: Sequence[tuple[Any, ...]]) -> bytes:
    # Not by redis-py, which looks at each argument by itself.
    packed = [hiredis.pack_command(command) for command in commands]
    return packed[0] if len(packed) == 1 else b"".join(packed)


def _wait(connection: AbstractConnection, until: float) -> None:
    """Until an answer begins to come; if it doesn't by then, see to it that it does."""
    parser = _parser(connection)
    for pause_s in (0.0, *AGAIN_S):
        if parser.comes_by(until := max(until, monotonic() + pause_s)):
            return
        _socket(connection).sendall(NUDGE)


def _read(connection: AbstractConnection, timeout_s: float | None, bytes_max: int) -> Any:
    """The next answer; an error that the server tells is one."""
    parser = _parser(connection)
    parser.bytes_max = bytes_max
    try:
        return parser.read_response(timeout=SENTINEL if timeout_s is None else timeout_s)
    except OSError as error:
        there = connection._host_error()
        raise redis.ConnectionError(f"Error while reading from {there} : {error.args}") from error


def _read_buffered(connection: AbstractConnection) -> Any:
    return _parser(connection).read_buffered()


def _is_error(answer: Any) -> bool:
    return isinstance(answer, redis.RedisError)


def _name(command: tuple[Any, ...]) -> str:
    """What was asked, as a person knows it: a script by its name."""
    return script_name(command[1]) if command[0] in ("EVALSHA", "EVAL") else str(command[0])


def _failure(answers: list[Any]) -> Exception | None:
    """The first error among the answers, in our words."""
    return next((_told(answer) for answer in answers if _is_error(answer)), None)


def _told(answer: redis.RedisError) -> Exception:
    failure = translated(answer)
    failure.__cause__ = answer
    return failure
