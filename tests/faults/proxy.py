"""A proxy between trioq and its server that understands RESP, and hurts what passes.

It takes requests one at a time from each connection, knows every script by name, and does
to chosen ones what networks do: lose the request, lose the reply, deliver twice or late,
delay, drip, cut, swallow, close half, reset. All it does at random comes from a seed.

    with Proxy(server.direct, path) as proxy:
        lost = proxy.on(LoseReply(), "step", nth=3)
        ...
        assert lost.struck == 1

It runs in a thread of its own, with its own event loop, and listens on a Unix socket or,
for what only TCP knows, on a port of the loopback.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType

import attrs
import trio

from tests.faults.resp import SCRIPTS, Frames, arguments, framed, name_of

#: What an endless reply is made of.
MORE = b"x" * (1 << 16)

# -- what can happen to a request --------------------------------------------------------------


@attrs.frozen
class LoseRequest:
    """It never arrives; the connection ends."""


@attrs.frozen
class LoseReply:
    """It is executed, and the connection ends instead of a reply."""


@attrs.frozen
class Twice:
    """It is executed twice; the first reply is the one that arrives."""


@attrs.frozen
class Hold:
    """The connection ends, and the request is kept until :meth:`Proxy.let_go` executes it."""


@attrs.frozen
class Delay:
    """It arrives later, by so many seconds, more or less."""

    seconds: float
    jitter: float = 0.0


@attrs.frozen
class CutRequest:
    """Only so many bytes of it arrive; then the connection ends."""

    at: int


@attrs.frozen
class CutReply:
    """It is executed, but only so many bytes of the reply arrive; then the connection ends."""

    at: int


@attrs.frozen
class Answer:
    """It is executed, and these bytes come instead of its reply."""

    reply: bytes


@attrs.frozen
class Flood:
    """It is executed, and its reply begins so and has no end."""

    begins: bytes


@attrs.frozen
class Drip:
    """The reply comes byte by byte, with a pause before each."""

    pause: float


@attrs.frozen
class Swallow:
    """Silence, on a connection that stays open."""

    executed: bool


@attrs.frozen
class HalfClose:
    """It is executed; instead of a reply comes the end of that direction, not of the other."""


@attrs.frozen
class Reset:
    """A reset instead of a reply."""

    executed: bool


Fault = (
    LoseRequest | LoseReply | Twice | Hold | Delay | CutRequest | CutReply
    | Answer | Flood | Drip | Swallow | HalfClose | Reset
)  # fmt: skip


@attrs.frozen
class Call:
    """One request on its way."""

    name: str
    """Of the script, or the command in lower case."""
    lane: str
    """The name its connection gave itself."""
    frame: bytes
    asks: bytes
    """What is the same when it comes again: by the script's SHA-1 or its text, and, of a
    registration, under another boot."""


@attrs.define(eq=False)
class Rule:
    """Which calls a fault strikes."""

    fault: Fault
    strikes: Callable[[Call], bool]
    nth: int = 1
    """The first one that it strikes, of those that could be."""
    times: int | None = 1
    """How many it strikes; None: all further ones."""
    chance: float = 1.0
    spare_repeats: bool = False
    """Whether a request, once struck, passes unhurt when it comes again."""
    struck: int = attrs.field(default=0, init=False)
    _met: int = attrs.field(default=0, init=False)
    _to_spare: set[bytes] = attrs.field(factory=set[bytes], init=False)

    def decides(self, call: Call, seed: random.Random) -> bool:
        """Whether this one is struck; counts it."""
        if not self.strikes(call) or (self.times is not None and self.struck >= self.times):
            return False
        if call.asks in self._to_spare:
            return False
        self._met += 1
        if self._met < self.nth or (self.chance < 1 and seed.random() >= self.chance):
            return False
        self.struck += 1
        if self.spare_repeats:
            self._to_spare.add(call.asks)
        return True

    def answered(self, call: Call) -> None:
        """It has passed unhurt: from now on the same is another request."""
        self._to_spare.discard(call.asks)

    def take_back(self, call: Call) -> None:
        """It was refused, or too short for this fault: it didn't count."""
        self._met -= 1
        self.struck -= 1
        self._to_spare.discard(call.asks)


def named(*names: str) -> Callable[[Call], bool]:
    """Calls of these scripts or commands; without names, of any script."""
    chosen = frozenset(names) or SCRIPTS
    return lambda call: call.name in chosen


#: An empty request, which has no reply: it only has the server look at its timeouts now.
NUDGE = b"*0\r\n"

# -- the proxy -----------------------------------------------------------------------------------


@attrs.define(eq=False)
class Proxy:
    """Listens on the Unix socket ``path``, or on a TCP port where there is none.

    Args:
      server: The server's Unix socket.
    """

    server: str
    path: str | None = None
    rewrite: Callable[[str, list[bytes]], list[bytes]] | None = None
    """Puts other words into a request: its name, and its words as they came."""
    counts: Counter[str] = attrs.field(factory=Counter[str], init=False)
    """How many requests of each name have come."""
    held: list[Call] = attrs.field(factory=list[Call], init=False)
    """Requests that nobody expects any more and that aren't executed yet."""
    away: bool = attrs.field(default=False, init=False)
    flooded: int = attrs.field(default=0, init=False)
    """Bytes of endless replies that the client has taken."""
    _rules: list[Rule] = attrs.field(factory=list[Rule], init=False)
    _random: random.Random = attrs.field(init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _links: set[trio.CancelScope] = attrs.field(factory=set[trio.CancelScope], init=False)
    _listener: socket.socket = attrs.field(init=False)
    _thread: threading.Thread = attrs.field(init=False)
    _token: trio.lowlevel.TrioToken = attrs.field(init=False)
    _all: trio.CancelScope = attrs.field(init=False)

    @property
    def url(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        return f"redis://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    # -- what a test tells it, from any thread ---------------------------------------------------

    def on(
        self,
        fault: Fault,
        *names: str,
        nth: int = 1,
        times: int | None = 1,
        lane: str = "",
        chance: float = 1.0,
        spare_repeats: bool = False,
    ) -> Rule:
        """Strike calls of these scripts or commands; of any script if none is named.

        Args:
          lane: A part of the name of the connections that are meant.
        """
        is_named = named(*names)
        rule = Rule(
            fault, lambda call: is_named(call) and lane in call.lane,
            nth, times, chance, spare_repeats,
        )  # fmt: skip
        return self.add(rule)

    def add(self, rule: Rule) -> Rule:
        """Apply one more rule; the first one that strikes a call wins."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def reseed(self, seed: int) -> None:
        """Let all that follows at random come from this seed."""
        with self._lock:
            self._random.seed(seed)

    def clear(self) -> None:
        """Hurt nothing any more."""
        with self._lock:
            self._rules.clear()

    def cut_off(self) -> None:
        """End all connections, and every new one at once."""
        self.away = True
        self._token.run_sync_soon(self._end_links)

    def restore(self) -> None:
        """Connections are possible again."""
        self.away = False

    def let_go(self) -> list[bytes]:
        """Execute what is held, now; the replies that nobody else gets."""
        with self._lock:
            calls, self.held = self.held, []
        replies = []
        for call in calls:
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(self.server)
                link.sendall(call.frame)
                frames, whole = Frames(), list[bytes]()
                while not whole:
                    whole = frames.feed(link.recv(1 << 16))
                replies += whole
        return replies

    # -- its life ----------------------------------------------------------------------------------

    def start(self) -> Proxy:
        """Listen. Returns when it does."""
        self._random = random.Random(0)
        if self.path is None:
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self.path)
        self._listener.listen(128)
        started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve, started))
        self._thread.start()
        started.wait()
        return self

    def close(self) -> None:
        """End all connections and stop listening."""
        self._token.run_sync_soon(self._all.cancel)
        self._thread.join()

    def __enter__(self) -> Proxy:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    # -- in its loop -------------------------------------------------------------------------------

    async def _serve(self, started: threading.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._listener))
        with trio.CancelScope() as self._all:
            started.set()
            await trio.serve_listeners(self._link, [listener])

    def _end_links(self) -> None:
        for scope in self._links:
            scope.cancel()

    async def _link(self, client: trio.SocketStream) -> None:
        """One connection, from its beginning to its end."""
        with trio.CancelScope() as scope:
            self._links.add(scope)
            try:
                async with client:
                    if not self.away:
                        await self._join(client)
            except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                pass  # one of the two is gone, and so is the other now
            finally:
                self._links.discard(scope)

    async def _join(self, client: trio.SocketStream) -> None:
        server = await trio.open_unix_socket(self.server)
        async with server, trio.open_nursery() as nursery:
            link = _Link(self, client, server)
            nursery.start_soon(link.read_requests)
            with contextlib.suppress(_Over):
                await link.answer_requests()
            nursery.cancel_scope.cancel()

    def fault_for(self, call: Call) -> tuple[Fault | None, Rule | None]:
        """What happens to this call."""
        with self._lock:
            self.counts[call.name] += 1
            for rule in self._rules:
                if rule.decides(call, self._random):
                    if isinstance(rule.fault, Hold):
                        self.held.append(call)
                    return rule.fault, rule
        return None, None

    def answered(self, call: Call, reply: bytes) -> None:
        """This one has passed unhurt."""
        if not _refused(reply):
            with self._lock:
                for rule in self._rules:
                    rule.answered(call)

    def delay(self, delay: Delay) -> float:
        """How long this one is delayed."""
        return max(0.0, delay.seconds + self._random.uniform(-delay.jitter, delay.jitter))


class _Over(Exception):
    """This connection has come to its end."""


class _Link:
    """A connection of a client, and its own to the server."""

    def __init__(self, proxy: Proxy, client: trio.SocketStream, server: trio.SocketStream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._name = ""
        self._requests, self._next = trio.open_memory_channel[bytes](10_000)
        self._client_gone = trio.Event()
        self._patience = trio.CancelScope()
        self._replies = Frames()
        self._got: list[bytes] = []

    async def read_requests(self) -> None:
        """Cut what the client sends into requests, until it hangs up."""
        frames = Frames()
        async with self._requests:
            with contextlib.suppress(trio.BrokenResourceError):
                async for data in self._client:
                    for frame in frames.feed(bytes(data)):
                        if frame != NUDGE:
                            await self._requests.send(frame)
        self._client_gone.set()
        self._patience.cancel()

    async def answer_requests(self) -> None:
        """One after the other; what a client sent before it hung up arrives all the same."""
        async for frame in self._next:
            words = arguments(frame)
            name = name_of(words)
            rewrite = self._proxy.rewrite
            asked = framed(rewrite(name, words)) if rewrite else frame
            call = Call(name, self._name, asked, _asks(name, words))
            if [word.upper() for word in words[:2]] == [b"CLIENT", b"SETNAME"]:
                self._name = words[2].decode()
            if name == "subscribe":
                await self._listen(asked)
            await self._pass(call)

    async def _listen(self, asked: bytes) -> None:
        """Pass on what is told, whenever it is, for as long as there are both."""
        await self._server.send_all(asked)
        with trio.CancelScope() as self._patience:
            if not self._client_gone.is_set():
                async for data in self._server:
                    await self._client.send_all(data)
        raise _Over

    async def _pass(self, call: Call) -> None:
        fault, rule = self._proxy.fault_for(call)
        match fault:
            case LoseRequest() | Hold():
                raise _Over
            case Swallow(executed=False):
                await self._silence()
            case Reset(executed=False):
                self._reset()
            case CutRequest(at) if at < len(call.frame):
                await self._server.send_all(call.frame[:at])
                raise _Over
            case Delay():
                await trio.sleep(self._proxy.delay(fault))
        reply = await self._ask(call, copies=2 if isinstance(fault, Twice) else 1)
        if rule is None:
            self._proxy.answered(call, reply)
        elif _refused(reply) or _whole(fault, call, reply):
            rule.take_back(call)
        else:
            await self._hurt(reply, fault)
            return
        await self._client.send_all(reply)

    async def _hurt(self, reply: bytes, fault: Fault | None) -> None:
        """The call is executed; now for its reply."""
        match fault:
            case LoseReply():
                raise _Over
            case CutReply(at):
                await self._client.send_all(reply[:at])
                raise _Over
            case Answer(other):
                await self._client.send_all(other)
            case Flood(begins):
                await self._client.send_all(begins)
                while True:
                    await self._client.send_all(MORE)
                    self._proxy.flooded += len(MORE)
            case Drip(pause):
                for i in range(len(reply)):
                    await trio.sleep(pause)
                    await self._client.send_all(reply[i : i + 1])
            case Swallow():
                await self._silence()
            case HalfClose():
                await self._client.send_eof()
                await self._silence()
            case Reset():
                self._reset()
            case _:
                await self._client.send_all(reply)

    async def _ask(self, call: Call, copies: int = 1) -> bytes:
        """The server's reply to the first of these copies, once all are executed."""
        await self._server.send_all(call.frame * copies)
        with trio.CancelScope() as self._patience:
            if self._client_gone.is_set():
                self._patience.cancel()
            replies = [await self._reply() for _ in range(copies)]
            return replies[0]
        await self._send_the_rest()
        raise _Over

    async def _reply(self) -> bytes:
        while not self._got:
            data = await self._server.receive_some()
            if not data:
                raise _Over
            self._got = self._replies.feed(bytes(data))
        return self._got.pop(0)

    async def _send_the_rest(self) -> None:
        """The client has gone, but what it had sent is on its way."""
        async for frame in self._next:
            await self._server.send_all(frame)

    async def _silence(self) -> None:
        await self._client_gone.wait()
        raise _Over

    def _reset(self) -> None:
        # Closing with no time to linger sends a reset, where the transport has one.
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Over


def _refused(reply: bytes) -> bool:
    """Not executed: NOSCRIPT, LOADING, …"""
    return reply.startswith(b"-")


def _whole(fault: Fault | None, call: Call, reply: bytes) -> bool:
    """Whether the cut lies behind the end."""
    match fault:
        case CutRequest(at):
            return at >= len(call.frame)
        case CutReply(at):
            return at >= len(reply)
    return False


def _asks(name: str, words: list[bytes]) -> bytes:
    if name == "register":
        engine = words[-2]
        return engine.rpartition(b".")[0]
    return name.encode() + b" ".join(words[2:])
