"""Calls in threads: ended by a deadline or by cancellation, never abandoned, never mixed up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial

import attrs
import pytest
import trio
from redis.connection import AbstractConnection

from tests.support import PATIENCE_S, Server, new_job, wait_until
from trioq.core.calls import Gone, Step, StepReply
from trioq.engine.bridge import ThreadCaller
from trioq.engine.shard.bell import Bell
from trioq.errors import StoreUnreachable
from trioq.store.keys import Keys
from trioq.store.lane import Lane
from trioq.store.redis import RedisStore

pytestmark = pytest.mark.trio


@pytest.fixture
def caller(server: Server) -> Iterator[ThreadCaller]:
    caller = ThreadCaller(server.store("t"), deadline_s=5.0)
    yield caller
    caller.store.lane.close()


@pytest.fixture
def own_caller(own_server: Server) -> Iterator[ThreadCaller]:
    """On a server to be stopped; its connection would wait for an hour by itself."""
    caller = ThreadCaller(patient_store(own_server), deadline_s=0.3)
    yield caller
    own_server.resume()
    caller.store.lane.close()


def patient_store(server: Server) -> RedisStore:
    """One that waits for an hour."""
    return RedisStore(Keys("t"), Lane(partial(server.dial, socket_timeout=3600.0), "patient"))


def ping(store: RedisStore) -> object:
    return store.lane.call("PING")


async def test_a_call_runs_beside_the_loop(caller: ThreadCaller) -> None:
    loop = threading.get_ident()
    assert await caller.call(threading.get_ident) != loop
    assert await caller.call(ping, caller.store) == b"PONG"


async def test_what_the_call_raises_comes_out_plain(caller: ThreadCaller) -> None:
    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await caller.call(fail)
    assert await caller.call(ping, caller.store) == b"PONG"


async def test_calls_go_one_after_the_other(caller: ThreadCaller) -> None:
    running, most, order = 0, 0, list[int]()

    def one(n: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.005)
        order.append(n)
        running -= 1

    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(caller.call, one, n)
            await trio.testing.wait_all_tasks_blocked()
    assert most == 1
    assert order == list(range(10))


async def test_a_call_to_a_server_that_stands_still_ends_at_its_deadline(
    own_server: Server, own_caller: ThreadCaller
) -> None:
    assert await own_caller.call(ping, own_caller.store) == b"PONG"
    own_server.pause()
    started = trio.current_time()
    with pytest.raises(StoreUnreachable) as caught:
        await own_caller.call(ping, own_caller.store)
    assert trio.current_time() - started >= 0.3
    assert caught.value.sent, "it may be executed later"


async def test_a_call_that_cannot_even_connect_ends_at_its_deadline_and_was_not_sent(
    own_server: Server, own_caller: ThreadCaller
) -> None:
    own_server.pause()
    started = trio.current_time()
    with pytest.raises(StoreUnreachable) as caught:
        await own_caller.call(ping, own_caller.store)
    assert trio.current_time() - started >= 0.3
    assert not caught.value.sent


async def test_a_connection_that_comes_after_it_was_given_up_is_closed(server: Server) -> None:
    gate, dialling = threading.Event(), threading.Event()

    connected: list[AbstractConnection] = []

    class Slow(Lane):
        def connect(self) -> AbstractConnection:
            dialling.set()
            assert gate.wait(10)
            connected.append(super().connect())
            return connected[-1]

    lane = Slow(server.dial, "slow")
    caller = ThreadCaller(RedisStore(Keys("t"), lane), deadline_s=5.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.call, ping, caller.store)
        await trio.to_thread.run_sync(dialling.wait)
        nursery.cancel_scope.cancel()
    gate.set()

    def names() -> list[bytes]:
        listed: bytes = server.call("CLIENT", "LIST")
        return [line for line in listed.splitlines() if b"name=slow" in line]

    # All this in the loop's own thread: nobody but the attempt itself can do it.
    wait_until(lambda: connected, timeout_s=5)
    wait_until(lambda: not names(), timeout_s=5)
    assert not lane.connected
    lane.close()


async def test_cancelling_ends_a_call_at_once_and_its_thread_with_it(
    own_server: Server, own_caller: ThreadCaller
) -> None:
    ended = threading.Event()
    own_caller.deadline_s = 60.0

    def call() -> None:
        try:
            ping(own_caller.store)
        finally:
            ended.set()

    await own_caller.call(ping, own_caller.store)
    own_server.pause()
    with trio.move_on_after(0.05) as scope:
        await own_caller.call(call)
    assert scope.cancelled_caught
    assert ended.is_set(), "no thread is left that could answer to somebody else's call"
    own_server.resume()
    assert await own_caller.call(ping, own_caller.store) == b"PONG"


async def test_an_answer_that_is_there_is_returned_though_the_call_was_cancelled(
    caller: ThreadCaller,
) -> None:
    loop = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:

        def claim() -> str:
            answer = caller.store.lane.call("PING")
            trio.from_thread.run_sync(scope.cancel, trio_token=loop)
            time.sleep(0.05)  # the loop has time to act on it
            return f"claimed after {answer!r}"

        claimed = await caller.call(claim)
    assert claimed == "claimed after b'PONG'", "what was claimed isn't lost"


@pytest.fixture
def step(caller: ThreadCaller) -> Step:
    """Is answered at once: a job waits for it."""
    caller.store.register("e.1", b"{}")
    caller.store.enqueue("sender", 1, [new_job()])
    return Step(boot="e.1", number=1, want=1, queues=("low",))


async def test_an_answer_is_used_once_in_the_loop_where_its_caller_is(
    caller: ThreadCaller, step: Step
) -> None:
    here, where = ContextVar[str]("here"), list[object]()
    here.set("with the caller")

    def then(reply: StepReply | Gone, _: bool) -> None:
        assert isinstance(reply, StepReply)
        where.extend((threading.get_ident(), here.get(), len(reply.claims)))

    await caller.step_at_bell(step, 5.0, then)
    assert where == [threading.get_ident(), "with the caller", 1]


async def test_who_was_woken_by_an_answer_goes_on_before_its_caller(
    caller: ThreadCaller,
) -> None:
    caller.store.register("e.1", b"{}")
    caller.store.enqueue("sender", 1, [new_job() for _ in range(20)])
    woken = list[int]()

    async def wait(number: int) -> None:
        await answered[number].wait()
        woken.append(number)

    answered = {number: trio.Event() for number in range(1, 21)}
    async with trio.open_nursery() as nursery:
        for number in answered:
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        for number, event in answered.items():  # trio has its tasks go on in any order
            step = Step("e.1", number, 1, ("low",))
            await caller.step_at_bell(step, 5.0, lambda *_, event=event: event.set())  # type: ignore[misc]
            assert woken[-1:] == [number]


@pytest.mark.parametrize("at_bell", [True, False])
async def test_what_is_due_is_counted_from_when_the_thread_had_the_answer(
    caller: ThreadCaller, at_bell: bool
) -> None:
    caller.store.register("e.1", b"{}")
    caller.store.enqueue("sender", 1, [new_job(delay_ms=60_000)])
    told = list[float | None]()
    waits = list[float]()

    class Telling(RedisStore):
        def step(self, step: Step) -> StepReply | Gone:
            reply = super().step(step)
            assert isinstance(reply, StepReply)
            told.append(reply.next_due_ms)
            return reply

        def step_at_bell(self, step: Step, timeout_s: float) -> StepReply | Gone:
            waits.append(timeout_s)
            return self.step(step)

    caller = ThreadCaller(Telling(Keys("t"), caller.store.lane), deadline_s=5.0)
    step, heard = Step("e.1", 1, 1, ("low",)), list[StepReply | Gone]()
    if at_bell:
        await caller.step_at_bell(step, 5.0, lambda reply, _: heard.append(reply))
    else:
        heard.append(await caller.step(step))
    (before,), (after,) = told, heard
    assert isinstance(after, StepReply)
    assert before is not None
    assert after.next_due_ms is not None
    assert 0 < after.next_due_ms < before
    assert all(wait_s < 5.0 for wait_s in waits), "the thread had to be waited for"


async def test_an_answer_is_used_though_its_caller_was_cancelled(
    caller: ThreadCaller, step: Step
) -> None:
    loop, used = trio.lowlevel.current_trio_token(), list[object]()
    with trio.CancelScope() as scope:

        class Cancelling(RedisStore):
            def step_at_bell(self, step: Step, timeout_s: float) -> StepReply | Gone:
                reply = super().step_at_bell(step, timeout_s)
                trio.from_thread.run_sync(scope.cancel, trio_token=loop)
                time.sleep(0.05)  # the loop has time to act on it
                return reply

        caller = ThreadCaller(Cancelling(Keys("t"), caller.store.lane), deadline_s=5.0)
        await caller.step_at_bell(step, 5.0, lambda reply, _: used.append(reply))
    assert [type(reply) for reply in used] == [StepReply]


async def test_what_is_raised_over_an_answer_comes_out_at_its_caller(
    caller: ThreadCaller, step: Step
) -> None:
    def then(*_: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await caller.step_at_bell(step, 5.0, then)
    assert await caller.call(ping, caller.store) == b"PONG"


def after(step: Step) -> Step:
    """The step after this one; it claims nothing."""
    return attrs.evolve(step, number=step.number + 1, want=0)


async def test_a_step_that_follows_is_made_when_the_first_is_answered(
    caller: ThreadCaller, step: Step
) -> None:
    used = list[tuple[StepReply | Gone, bool]]()
    threads = list[int]()

    def following() -> Step:
        threads.append(threading.get_ident())
        return after(step)

    await caller.step_at_bell(step, 5.0, lambda *answer: used.append(answer), following)
    (first, is_followed), (second, is_last) = used
    assert isinstance(first, StepReply)
    assert isinstance(second, StepReply)
    assert (len(first.claims), is_followed) == (1, True)
    assert (second.claims, second.held, is_last) == ((), 1, False)
    assert threads != [threading.get_ident()], "the loop isn't waited for"


async def test_the_first_answer_is_used_though_there_is_none_to_what_followed(
    caller: ThreadCaller, step: Step
) -> None:
    used = list[object]()
    lost = StoreUnreachable("the request got lost")

    class Losing(RedisStore):
        def step(self, step: Step) -> StepReply | Gone:
            raise lost

    caller = ThreadCaller(Losing(Keys("t"), caller.store.lane), deadline_s=5.0)
    with pytest.raises(StoreUnreachable) as caught:
        await caller.step_at_bell(
            step, 5.0, lambda *answer: used.append(answer), lambda: after(step)
        )
    assert caught.value is lost
    assert [is_followed for _, is_followed in used] == [True]  # type: ignore[misc]


async def test_what_is_raised_over_the_first_answer_comes_out_and_no_other_is_used(
    caller: ThreadCaller, step: Step
) -> None:
    used = list[bool]()

    def then(_: object, is_followed: bool) -> None:
        used.append(is_followed)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await caller.step_at_bell(step, 5.0, then, lambda: after(step))
    assert used == [True]


async def test_nothing_follows_the_step_of_a_boot_that_is_gone(
    caller: ThreadCaller, step: Step
) -> None:
    used, asked = list[object](), list[Step]()

    def following() -> Step:
        asked.append(after(step))
        return asked[-1]

    gone = attrs.evolve(step, boot="another")
    await caller.step_at_bell(gone, 5.0, lambda *answer: used.append(answer), following)
    assert used == [(Gone(), False)]
    assert asked == []


async def test_who_waits_for_the_turn_can_be_cancelled_and_sends_nothing(
    own_server: Server, own_caller: ThreadCaller
) -> None:
    own_caller.deadline_s = 60.0
    await own_caller.call(ping, own_caller.store)
    own_server.pause()
    called = False

    def second() -> None:
        nonlocal called
        called = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(own_caller.call, ping, own_caller.store)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.02):
            await own_caller.call(second)
        own_server.resume()
    assert not called


async def test_the_connection_is_made_anew_after_a_call_that_was_cut_off(
    own_server: Server, own_caller: ThreadCaller
) -> None:
    await own_caller.call(ping, own_caller.store)
    generation = own_caller.generation
    own_server.pause()
    with pytest.raises(StoreUnreachable):
        await own_caller.call(own_caller.store.lane.call, "ECHO", "late")
    own_server.resume()
    # The late answer is nobody's.
    assert await own_caller.call(own_caller.store.lane.call, "ECHO", "new") == b"new"
    assert own_caller.generation == generation + 1


def waiting(number: int, want: int = 1) -> Step:
    return Step("boot", number, want, ("high", "low"))


async def test_a_bell_is_waited_for_longer_than_a_call(caller: ThreadCaller) -> None:
    caller.deadline_s = 0.2
    store = caller.store
    await caller.call(store.register, "boot", b"{}")
    started, replies = trio.current_time(), list[StepReply | Gone]()
    await caller.step_at_bell(waiting(1), 0.5, lambda reply, _: replies.append(reply))
    assert trio.current_time() - started > caller.deadline_s
    await caller.call(store.enqueue, "sender", 1, [new_job("low", "noop")])
    await caller.step_at_bell(waiting(2), 60.0, lambda reply, _: replies.append(reply))
    assert [isinstance(reply, StepReply) and len(reply.claims) for reply in replies] == [0, 1]


async def test_a_wait_is_ended_in_the_moment_in_which_that_is_wanted(
    server: Server, caller: ThreadCaller
) -> None:
    replies, other = list[StepReply | Gone](), ThreadCaller(server.store("t"), deadline_s=5.0)
    bell, store = Bell(caller, other), caller.store
    await caller.call(store.register, "boot", b"{}")
    await other.call(ping, other.store)
    for number in (1, 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                bell.step, waiting(number), 60.0, lambda reply, _: replies.append(reply)
            )
            with trio.fail_after(PATIENCE_S):
                while b"cmd=blpop" not in server.call("CLIENT", "LIST"):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            bell.end()  # and no task of the bell's runs
            with trio.fail_after(PATIENCE_S):
                await bell.over()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bell.end_waits)
            with trio.fail_after(PATIENCE_S):
                while bell._started or not other.is_free:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        assert other.generation == 1, "its answer was read: the connection is of use"
    assert len(replies) == 2
    other.store.lane.close()


# --- what is driven ---------------------------------------------------------------------------


async def test_what_is_driven_runs_again_and_again_while_the_loop_is_blocked(
    caller: ThreadCaller,
) -> None:
    beats: list[float] = []

    def beat() -> float:
        beats.append(time.monotonic())
        return 0.01

    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.drive, beat)
        await trio.testing.wait_all_tasks_blocked(0.02)
        before = len(beats)
        time.sleep(0.5)  # noqa: ASYNC251 (a handler that blocks)
        assert len(beats) >= before + 10
        nursery.cancel_scope.cancel()
    ended = len(beats)
    time.sleep(0.05)  # noqa: ASYNC251 (time for one that goes on in spite of it)
    assert len(beats) == ended


@pytest.mark.parametrize("round_", range(5))
async def test_cancelling_ends_what_is_driven_at_once_though_the_server_stands_still(
    own_server: Server, round_: int
) -> None:
    caller = ThreadCaller(patient_store(own_server), deadline_s=3600.0)

    def beat() -> float:
        ping(caller.store)
        return 0.0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.drive, lambda: _never_mind(beat))
        await trio.sleep(0.02)
        own_server.pause()
        await trio.sleep(0.01 * round_)
        nursery.cancel_scope.cancel()
    own_server.resume()
    caller.store.lane.close()


def _never_mind(beat: object) -> float:
    try:
        assert callable(beat)
        return float(beat())
    except StoreUnreachable:
        return 0.0


async def test_what_a_driven_function_raises_comes_out(caller: ThreadCaller) -> None:
    def fail() -> float:
        raise LookupError("mine")

    with pytest.raises(ExceptionGroup) as caught:
        await caller.drive(fail)
    assert caught.group_contains(LookupError, match="mine")
