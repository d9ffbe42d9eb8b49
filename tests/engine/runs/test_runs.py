"""The runs of an engine: found by their tokens, cancelled and waited for by their boots."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.engine.claimers import NOBODY, Nobody, Waits
from trioq.core.breaker import Permit
from trioq.core.calls import Ask
from trioq.core.formats import summary
from trioq.engine.claim import Claimer, Held, Token
from trioq.engine.handlers import Function
from trioq.engine.runs.run import Run, Runs, reason_of

OTHER = Nobody()
STORED = b'{"v":1,"name":"noop","queue":"low","at":1700000000000}\n{}'


async def noop() -> None:
    pass


def run_of(uid: str, by: Claimer = NOBODY, *, is_careful: bool = False) -> Run:
    claim = Held(by, uid, 1, 1, False, STORED)
    handler = Function("noop", noop, on_lease_loss="cancel" if is_careful else "continue")
    return Run(claim, handler, Permit(0), 0.0, trio.CancelScope(), Waits())


def test_a_run_is_found_by_the_token_of_its_claim_and_by_no_other() -> None:
    runs, run = Runs(), run_of("a")
    runs.add(run)
    assert runs.get(run.claim.token) is run
    assert runs.get(Held(NOBODY, "a", 2, 1, False, STORED).token) is None, "its successor's"
    runs.remove(run)
    assert runs.get(run.claim.token) is None
    assert len(runs) == 0


@pytest.mark.trio
async def test_the_runs_of_a_boot_are_cancelled_and_no_others() -> None:
    runs, ours, others = Runs(), run_of("a"), run_of("b", OTHER)
    runs.add(ours)
    runs.add(others)
    runs.cancel(NOBODY, "boot lost")
    assert (ours.cancelled, ours.scope.cancel_called) == ("boot lost", True)
    assert (others.cancelled, others.scope.cancel_called) == (None, False)


def test_when_a_lease_has_ended_what_may_overlap_goes_on() -> None:
    runs = Runs()
    careful, ordinary = run_of("a", is_careful=True), run_of("b")
    another_boots = run_of("c", OTHER, is_careful=True)
    for run in (careful, ordinary, another_boots):
        runs.add(run)
    runs.lease_ended(NOBODY)
    assert [run.cancelled for run in runs] == ["lease ended", None, None]


def test_the_first_reason_to_cancel_a_run_stays() -> None:
    run = run_of("a")
    run.cancel("lease ended")
    run.cancel("boot lost")
    assert run.cancelled == "lease ended"


@pytest.mark.trio
async def test_a_boot_waits_for_its_own_runs_alone(autojump_clock: trio.testing.MockClock) -> None:
    runs, ours, others = Runs(), [run_of("a"), run_of("b")], run_of("c", OTHER)
    for run in (*ours, others):
        runs.add(run)
    waited = trio.Event()

    async def wait() -> None:
        await runs.ended(NOBODY)
        waited.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        for run in ours:
            await trio.testing.wait_all_tasks_blocked()
            assert not waited.is_set()
            runs.remove(run)
        await trio.testing.wait_all_tasks_blocked()
        assert waited.is_set()
    assert runs.count(OTHER) == 1


@pytest.mark.trio
async def test_what_a_thread_runs_one_after_the_other_counts_as_one_run() -> None:
    runs = Runs()
    runs.hand_begins(NOBODY)
    assert (len(runs), runs.count(NOBODY), runs.count(OTHER)) == (1, 1, 0)
    ended = []
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            await runs.ended(NOBODY)
            ended.append(len(runs))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert ended == []
        runs.hand_ended(NOBODY)
    assert ended == [0]


@pytest.mark.trio
async def test_a_run_that_began_in_a_thread_before_its_boot_was_to_end_is_cancelled_too() -> None:
    runs, ours, others = Runs(), run_of("a"), run_of("b", OTHER)
    runs.cancel(NOBODY, "engine stops")
    runs.add(ours)
    runs.add(others)
    assert (ours.cancelled, others.cancelled) == ("engine stops", None)
    runs.remove(ours)
    await runs.ended(NOBODY)
    runs.add(again := run_of("c"))
    assert again.cancelled is None


@pytest.mark.trio
async def test_who_waits_for_the_end_of_a_boot_waits_until_it_was_told_of_all() -> None:
    runs, ours = Runs(), run_of("a")
    runs.add(ours)
    ended = trio.Event()

    async def wait() -> None:
        await runs.ended(NOBODY)
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        runs.tells_later(NOBODY)
        runs.remove(ours)
        await wait_all_tasks_blocked()
        assert not ended.is_set()
        runs.has_told(NOBODY)


def ask_for(run: Run) -> Ask:
    return Ask(run.claim.uid, run.claim.step, b"{}")


def asks_of(*runs: Run) -> dict[Token, Ask]:
    return {(run.claim.uid, run.claim.step): ask_for(run) for run in runs}


def test_whose_claim_somebody_wants_to_end_is_told_and_nobody_else() -> None:
    runs, wanted, other, another_boots = Runs(), run_of("a"), run_of("b"), run_of("a", OTHER)
    for run in (another_boots, wanted, other):
        runs.add(run)
    runs.ask(NOBODY, asks_of(wanted) | {("b", 2): Ask("b", 2, b"{}")})
    assert [run.asked for run in runs] == [None, ask_for(wanted), None]


def test_what_is_asked_while_a_thread_runs_a_job_is_asked_of_the_run_that_it_becomes() -> None:
    runs, becomes, ended = Runs(), run_of("a"), run_of("b")
    runs.hand_begins(NOBODY)
    runs.ask(NOBODY, asks_of(becomes, ended))
    runs.hand_ended(NOBODY)
    runs.add(becomes)
    assert becomes.asked == ask_for(becomes)
    runs.remove(becomes)
    runs.add(again := run_of("a"))
    assert again.asked is None, "that was asked once"


def test_what_is_asked_one_after_the_other_while_a_thread_runs_counts_together() -> None:
    runs, first, second = Runs(), run_of("a"), run_of("b")
    runs.hand_begins(NOBODY)
    runs.ask(NOBODY, asks_of(first))
    runs.ask(NOBODY, asks_of(second))
    for run in (first, second):
        runs.add(run)
        assert run.asked == ask_for(run)


@pytest.mark.trio
async def test_of_a_boot_that_has_ended_nothing_is_remembered() -> None:
    runs = Runs()
    runs.cancel(NOBODY, "engine stops")
    runs.hand_begins(NOBODY)
    runs.ask(NOBODY, asks_of(run_of("a")))
    runs.hand_ended(NOBODY)
    await runs.ended(NOBODY)
    assert [*runs._asked, *runs._ending, *runs._hands] == []


@pytest.mark.parametrize(("said", "told"), [("no more", "no more"), ("", None)])
def test_a_handler_is_told_why_if_somebody_has_said_so(said: str, told: str | None) -> None:
    kept = summary.encode_cancelled(
        uid="a", name="noop", queue="low", reason=said, by="ann", at_ms=1, id=None
    )
    assert reason_of(Ask("a", 1, kept)) == told
    assert reason_of(Ask("a", 1, b"nonsense")) is None


def test_what_was_asked_of_a_job_that_a_thread_has_ended_is_forgotten() -> None:
    runs = Runs()
    runs.hand_begins(NOBODY)
    runs.ask(NOBODY, asks_of(run_of("a")))
    runs.hand_ended(NOBODY)
    runs.hand_begins(NOBODY)
    runs.add(later := run_of("a"))
    assert later.asked is None


def test_what_is_asked_of_what_has_ended_is_forgotten() -> None:
    runs = Runs()
    runs.ask(NOBODY, asks_of(run_of("a")))
    runs.add(later := run_of("a"))
    assert later.asked is None


@pytest.mark.trio
@pytest.mark.parametrize("is_asked", [False, True])
async def test_the_scope_of_a_run_that_is_to_end_is_not_used_again(is_asked: bool) -> None:
    run = run_of("a")
    assert not run.is_to_end
    if is_asked:
        run.ask(Ask("a", 1, b"{}"))
    else:
        run.cancel("engine stops")
    assert (run.is_to_end, run.scope.cancel_called) == (True, True)
