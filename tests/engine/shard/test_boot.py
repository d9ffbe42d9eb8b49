"""One registration: its numbers, its claims, and what is known when it is lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.claimers import NOBODY
from trioq.core.calls import Ask, Claim, Step, StepReply
from trioq.core.settlements import Ack, Deliver, Release
from trioq.engine.shard.boot import BATCH_MAX, HOLD_MAX, STEP_BYTES, Absorbed, Boot


def step_of(boot: Boot, want: int = 10) -> Step:
    return boot.next_step(want=want, queues=("low",), admits=(), parked_version=-1)


def claim(uid: str, *, suspect: bool = False) -> Claim:
    return Claim(uid, b"{}", 0, suspect)


def reply(*claims: Claim, held: int, refused: tuple[str, ...] = (), **fields: Any) -> StepReply:
    return StepReply(
        "ok", frozenset(refused), claims, held, left=0, next_due_ms=None, parked_version=0,
        parked=None, **fields,
    )  # fmt: skip


def boot_with(*uids: str, suspects: tuple[str, ...] = ()) -> Boot:
    """A boot that has claimed these in its first step."""
    boot = Boot("host.b00t", NOBODY)
    step_of(boot)
    boot.absorb(reply(*(claim(u, suspect=u in suspects) for u in uids), held=len(uids)), now=0.0)
    return boot


def absorb(boot: Boot, *claims: Claim, held: int, refused: tuple[str, ...] = ()) -> Absorbed:
    return boot.absorb(reply(*claims, held=held, refused=refused), now=0.0)


def test_numbers_are_a_strict_sequence() -> None:
    boot = Boot("host.b00t", NOBODY)
    for n in (1, 2, 3):
        assert step_of(boot).number == n
        absorb(boot, held=0)


def test_a_second_step_cannot_be_made_while_one_is_in_flight() -> None:
    boot = Boot("host.b00t", NOBODY)
    first = step_of(boot)
    with pytest.raises(AssertionError):
        step_of(boot)
    assert boot.in_flight is first


def following(boot: Boot, want: int = 0) -> Step:
    return boot.following_step(want=want, queues=("low",), admits=(), parked_version=-1)


def test_what_follows_a_step_is_in_flight_when_that_is_answered() -> None:
    boot = boot_with("a", "b")
    first = step_of(boot)
    boot.settle(Ack("a", 1))
    second = following(boot)
    boot.settle(Ack("b", 1))
    assert (boot.in_flight, second.number) == (first, first.number + 1)
    absorbed = boot.absorb(reply(claim("c"), held=3), now=0.0, is_followed=True)
    assert absorbed.agrees
    assert (boot.in_flight, boot.following, boot.sends) == (second, None, 1)
    assert absorb(boot, held=2).agrees
    assert step_of(boot).settlements == (Ack("b", 1),)


def test_what_was_to_follow_and_was_not_sent_was_never_made() -> None:
    boot = boot_with("a", "b", "c", "d")
    first = step_of(boot)
    settle(boot, delivered("a", STEP_BYTES), delivered("b", 1))
    following(boot)
    settle(boot, delivered("c", STEP_BYTES), delivered("d", 2))
    boot.withdraw()
    boot.withdraw()
    absorb(boot, held=4)
    assert sizes_of_steps(boot) == [[STEP_BYTES], [1], [STEP_BYTES], [2]]
    assert boot.number == first.number + 4
    assert boot.result_bytes == 0


def test_of_two_steps_one_claims() -> None:
    boot = Boot("host.b00t", NOBODY)
    step_of(boot, want=1)
    with pytest.raises(AssertionError):
        following(boot, want=1)
    boot.in_flight = None
    step_of(boot, want=0)
    assert following(boot, want=1).want == 1


def test_what_is_decided_while_a_step_is_in_flight_goes_with_the_next() -> None:
    boot = boot_with("a", "b")
    boot.settle(Ack("a", 1))
    step = step_of(boot)
    boot.settle(Ack("b", 1))
    assert step.settlements == (Ack("a", 1),)
    absorb(boot, held=1)
    assert step_of(boot).settlements == (Ack("b", 1),)


def test_settlements_beyond_a_batch_wait_for_the_next_step() -> None:
    uids = [f"u{n}" for n in range(BATCH_MAX + 1)]
    boot = boot_with(*uids)
    for uid in uids:
        boot.settle(Ack(uid, 1))
    assert len(step_of(boot).settlements) == BATCH_MAX
    absorb(boot, held=1)
    assert step_of(boot).settlements == (Ack(uids[-1], 1),)


def delivered(uid: str, size: int) -> Deliver:
    return Deliver(uid, 1, 1000, "done", b"x" * size)


def settle(boot: Boot, *settlements: Ack | Deliver) -> None:
    size = sum(len(s.value) for s in settlements if isinstance(s, Deliver))
    boot.settle(*settlements, result_bytes=size)


def sizes_of_steps(boot: Boot) -> list[list[int]]:
    """Of the results in the steps that settle all of it."""
    sizes = []
    for _ in range(10):
        if not boot.outcomes:
            break
        made = step_of(boot).settlements
        sizes.append([len(s.value) for s in made if isinstance(s, Deliver)])
        absorb(boot, held=boot.unsettled + len(boot.outcomes))
    return sizes


def test_a_step_carries_no_more_bytes_of_results_than_it_may() -> None:
    boot = boot_with(*"abcdefg")
    half = STEP_BYTES // 2
    settle(boot, delivered("a", half), Ack("b", 1), delivered("c", half), delivered("d", 1))
    settle(boot, delivered("e", STEP_BYTES + 1), delivered("f", half), delivered("g", half))
    assert sizes_of_steps(boot) == [[half, half], [1], [STEP_BYTES + 1], [half, half]]
    assert boot.result_bytes == 0
    assert not boot.held


def test_large_results_keep_nobody_waiting_who_comes_later() -> None:
    uids = [f"u{n}" for n in range(BATCH_MAX)]
    boot = boot_with(*uids)
    settle(boot, delivered("u0", STEP_BYTES), delivered("u1", 1))
    settle(boot, *(Ack(uid, 1) for uid in uids[2:]))
    assert [len(step_of(boot).settlements)] == [1]
    absorb(boot, held=BATCH_MAX - 1)
    assert len(step_of(boot).settlements) == BATCH_MAX - 1


def test_no_more_is_claimed_than_an_engine_may_hold() -> None:
    boot = boot_with(*(f"u{n}" for n in range(HOLD_MAX - 3)))
    boot.settle(Ack("u0", 1))
    assert step_of(boot, want=500).want == 4, "and what this step settles makes room"


def test_no_step_claims_more_than_a_batch() -> None:
    assert step_of(boot_with("a"), want=HOLD_MAX - 1).want == BATCH_MAX


def test_a_token_names_boot_step_and_job() -> None:
    boot = boot_with("a", "b")
    step_of(boot)
    absorb(boot, claim("c"), held=3)
    tokens = [held.token for held in boot.held.values()]
    assert tokens == ["b00t:1:a", "b00t:1:b", "b00t:2:c"]


def test_the_same_job_claimed_again_is_another_claim() -> None:
    boot = boot_with("a")
    boot.settle(Release("a", 1))
    step_of(boot)
    # Released and claimed again by one and the same step.
    absorbed = absorb(boot, claim("a"), held=1)
    assert absorbed.agrees
    assert list(boot.held) == [("a", 2)]


def test_a_refused_settlement_is_named_and_its_claim_forgotten() -> None:
    boot = boot_with("a", "b")
    boot.settle(Ack("a", 1))
    boot.settle(Ack("b", 1))
    step_of(boot)
    absorbed = absorb(boot, held=0, refused=("b",))
    assert [held.uid for held in absorbed.refused] == ["b"]
    assert absorbed.agrees
    assert not boot.held


@pytest.mark.parametrize("held", [0, 2])
def test_a_count_that_differs_from_the_servers_is_noticed(held: int) -> None:
    boot = Boot("host.b00t", NOBODY)
    step_of(boot)
    assert not absorb(boot, claim("a"), held=held).agrees


def test_a_suspect_is_held_alone() -> None:
    boot = Boot("host.b00t", NOBODY)
    assert step_of(boot).suspect
    absorb(boot, claim("a", suspect=True), held=1)
    assert not step_of(boot).suspect, "one is held"


def test_the_step_that_settles_a_suspect_may_bring_the_next() -> None:
    boot = boot_with("a", "b", suspects=("a",))
    boot.settle(Ack("b", 1))
    assert not step_of(boot).suspect, "the suspect is still held"
    absorb(boot, held=1)
    boot.settle(Ack("a", 1))
    assert step_of(boot).suspect, "the server settles before it claims"
    absorb(boot, claim("c", suspect=True), held=1)
    assert not step_of(boot).suspect


def test_after_a_suspect_there_may_be_another() -> None:
    boot = boot_with("a", suspects=("a",))
    boot.settle(Ack("a", 1))
    step_of(boot)
    absorb(boot, held=0)
    assert step_of(boot).suspect


@pytest.mark.parametrize(
    ("sends", "lost", "unknown"),
    [(1, 3, 0), (2, 1, 2)],
    ids=["sent once: refused", "sent twice: the first copy may have been executed"],
)
def test_what_a_lost_boot_knows_of_its_outcomes(sends: int, lost: int, unknown: int) -> None:
    boot = boot_with("a", "b", "c")
    boot.settle(Ack("a", 1))
    boot.settle(Ack("b", 1))
    step_of(boot)
    boot.sends = sends
    boot.settle(Ack("c", 1))
    assert boot.lost_and_unknown() == (lost, unknown)
    assert boot.lost_and_unknown(is_answered=False) == (1, 2)


def ask(uid: str, step: int = 1) -> Ask:
    return Ask(uid, step, b"{}")


def hear(boot: Boot, *asks: Ask, asked: int) -> tuple[Ask, ...]:
    step_of(boot)
    return boot.absorb(reply(held=len(boot.held), asked=asked, asks=asks), now=0.0).asks


def test_what_is_asked_of_a_claim_is_heard_once() -> None:
    boot = boot_with("a", "b")
    assert hear(boot, ask("a"), asked=1) == (ask("a"),)
    assert hear(boot, ask("a"), ask("b"), asked=2) == (ask("b"),)
    assert step_of(boot).asked == 2


def test_what_was_asked_of_another_claim_of_the_job_is_not_asked_of_this_one() -> None:
    boot = boot_with("a")
    boot.settle(Release("a", 1))
    step_of(boot)
    absorb(boot, claim("a"), held=1)
    assert hear(boot, ask("a", step=1), asked=1) == ()
    assert hear(boot, ask("a", step=2), asked=2) == (ask("a", step=2),)


def test_a_claim_may_be_asked_to_end_by_the_answer_that_brings_it() -> None:
    boot = Boot("host.b00t", NOBODY)
    step_of(boot)
    absorbed = boot.absorb(reply(claim("a"), held=1, asked=1, asks=(ask("a"),)), now=0.0)
    assert absorbed.asks == (ask("a"),)


def test_a_server_that_went_back_in_time_is_believed_how_many_asks_there_were() -> None:
    boot = boot_with("a", "b")
    hear(boot, ask("a"), asked=5)
    hear(boot, asked=3)
    assert step_of(boot).asked == 3


def test_who_was_cancelled_instead_of_going_back_is_named_with_who_asked_if_that_was_heard() -> (
    None
):
    boot = boot_with("a", "b", "c")
    hear(boot, ask("a"), asked=1)
    for uid in "abc":
        boot.settle(Release(uid, 1))
    step_of(boot)
    absorbed = boot.absorb(reply(held=0, cancelled=frozenset("ab"), asked=2), now=0.0)
    assert [(held.uid, who) for held, who in absorbed.cancelled] == [("a", ask("a")), ("b", None)]
    assert boot.asks == {}, "what has ended isn't remembered"
