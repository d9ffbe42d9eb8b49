"""Both stores: who finds a queue full and waits for room in it, first come, first served."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from tests.store.world import SECOND, Make, World
from tests.support import Server, cancelled_by, new_job
from trioq.core.calls import LINE_MS, Enqueuer, MustWait, NewJob
from trioq.core.fair import fair_key
from trioq.core.job import Uid
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack
from trioq.errors import QueueFull
from trioq.store.listening import Listening
from trioq.store.memory import MemoryStore

WAITS = {"low": "wait", "high": "wait"}


@attrs.define
class Someone:
    """Enqueues some jobs, again and again until there is room."""

    world: World
    jobs: list[NewJob]
    client: str = "c1"
    nth: int = 0

    @property
    def uid(self) -> Uid:
        return self.jobs[0].uid

    def tries(self) -> bool:
        """Whether there is room; else it is in line."""
        w = self.world
        try:
            w.store.enqueue(*w.sender.next(), self.jobs, who=Enqueuer(self.client, self.nth))
        except MustWait as full:
            self.nth = full.nth
            return False
        return True

    def asks(self) -> str:
        return self.world.store.wait_for(self.client, [(self.uid, None)])[0].state


def someone(w: World, count: int = 1, queue: str = "low", client: str = "c1") -> Someone:
    return Someone(w, [new_job(queue) for _ in range(count)], client)


def in_line(w: World, queue: str = "low") -> list[str]:
    return [place.split()[0] for place in w.dump().line.get(queue, ())]


def claim(w: World, count: int = 1, queue: str = "low") -> None:
    assert len(w.engine(queue).step(count)) == count


def test_who_finds_no_room_is_in_line_and_nothing_else_is_written(world: Make) -> None:
    w = world(max_lengths={"low": 2}, when_full=WAITS)
    w.new("low")
    before, first = w.dump(), someone(w, 2)
    number = w.sender.next()
    with pytest.raises(MustWait, match="1 of at most 2 job") as full:
        w.store.enqueue(*number, first.jobs, who=Enqueuer("c1"))
    after = w.dump()
    with pytest.raises(MustWait) as again:
        w.store.enqueue(*number, first.jobs, who=Enqueuer("c1"))
    assert (str(again.value), again.value.nth) == (str(full.value), full.value.nth)
    assert w.dump() == after
    assert in_line(w) == [first.uid]
    assert attrs.evolve(
        after, line={}, stats={**after.stats, "lined_up": 0}, senders=before.senders
    ) == attrs.evolve(before, stats={**before.stats, "lined_up": 0})
    claim(w)
    assert first.tries()
    assert in_line(w) == []


def test_nobody_overtakes_who_waits_longer(world: Make) -> None:
    w = world(max_lengths={"low": 2}, when_full=WAITS)
    w.new("low", "low")
    two, one = someone(w, 2), someone(w)
    assert not two.tries()
    assert not one.tries()
    claim(w)
    assert not one.tries(), "the room for one is kept for who comes first"
    with pytest.raises(QueueFull, match="room for 1 more"):
        w.store.enqueue(*w.sender.next(), [new_job()])  # who doesn't wait doesn't overtake either
    assert not two.tries()
    assert in_line(w) == [two.uid, one.uid]
    claim(w)
    assert two.tries()
    assert not one.tries()
    claim(w, 2)
    assert one.tries()


def test_who_comes_later_goes_first_where_all_before_it_fit_too(world: Make) -> None:
    w = world(max_lengths={"low": 3}, when_full=WAITS)
    w.new("low", "low", "low")
    first, second, third = (someone(w) for _ in range(3))
    assert not any([first.tries(), second.tries(), third.tries()])
    claim(w, 2)
    assert not third.tries()
    assert second.tries()
    assert first.tries()


def test_who_has_not_asked_for_long_holds_nobody_up(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.new("low")
    dead, alive = someone(w, client="dead"), someone(w)
    assert not dead.tries()
    w.clock.ms += LINE_MS - 1
    assert not alive.tries()
    claim(w)
    w.clock.ms += 900
    assert alive.asks() == "room", "it is the first one by now"
    assert in_line(w) == [alive.uid]
    assert alive.tries()


def test_who_was_told_and_never_came_holds_nobody_up(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.new("low")
    dead, alive = someone(w, client="dead"), someone(w)
    assert not dead.tries()
    claim(w)
    w.clock.ms += LINE_MS - 1
    assert not alive.tries()
    w.clock.ms += 1
    assert alive.tries()


def test_who_comes_back_after_long_has_its_place(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.new("low")
    first, second = someone(w), someone(w)
    assert not first.tries()
    assert not second.tries()
    w.clock.ms += LINE_MS
    assert second.asks() == "room", "it is the first by now"
    assert not second.tries()
    assert first.asks() == "unknown"
    assert not first.tries()
    assert in_line(w) == [first.uid, second.uid]
    claim(w)
    assert not second.tries()
    assert first.tries()


def test_who_asks_stays_and_the_first_one_is_to_try(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.new("low")
    first, second = someone(w), someone(w)
    assert not first.tries()
    assert not second.tries()
    assert [first.asks(), second.asks()] == ["live", "live"], "it has just tried"
    for _ in range(4):
        w.clock.ms += LINE_MS - 1
        ends = w.store.wait_for("c1", [(second.uid, None), (first.uid, None)])
        assert [end.state for end in ends] == ["live", "room"]
    assert not first.tries()
    assert first.asks() == "live"
    assert w.dump().waits == {}


def test_who_steps_aside_holds_nobody_up(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.new("low")
    first, second = someone(w), someone(w)
    assert not first.tries()
    assert not second.tries()
    claim(w)
    w.store.step_aside("high", [first.uid])
    assert in_line(w) == [first.uid, second.uid], "that is another line"
    w.store.step_aside("low", [first.uid, "nobody"])
    assert second.tries()
    w.store.step_aside("low", [first.uid])


def test_what_waits_for_two_queues_keeps_its_age(world: Make) -> None:
    w = world(max_lengths={"low": 1, "high": 1}, when_full=WAITS)
    w.new("low", "high")
    both = Someone(w, [new_job("low"), new_job("high")])
    assert not both.tries()
    other = someone(w, queue="high")
    assert not other.tries()
    claim(w, queue="low")
    assert not both.tries()
    assert (in_line(w), in_line(w, "high")) == ([], [both.uid, other.uid])


def test_all_are_refused_where_the_first_of_their_queues_is_full_and_the_last_is_not(
    world: Make,
) -> None:
    w = world(max_lengths={"low": 1, "high": 2})
    w.new("low")
    before = w.dump().jobs
    with pytest.raises(QueueFull) as full:
        w.sender.enqueue(new_job("low"), new_job("high"))
    assert (full.value.queue, full.value.length, full.value.max_length) == ("low", 1, 1)
    assert w.dump().jobs == before


def test_more_than_ever_fit_are_refused_at_once(world: Make) -> None:
    w = world(max_lengths={"low": 2}, when_full=WAITS)
    with pytest.raises(QueueFull, match=r"takes at most 2 job.*3 at once never fit") as full:
        someone(w, 3).tries()
    assert not isinstance(full.value, MustWait)
    assert (full.value.queue, full.value.length, full.value.max_length) == ("low", 0, 2)
    assert in_line(w) == []


def test_what_is_known_already_waits_for_no_room(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.sender.enqueue(new_job(id="x"))
    assert Someone(w, [new_job(id="x")]).tries()


def test_who_does_not_wait_is_refused(world: Make) -> None:
    w = world(max_lengths={"low": 1}, when_full=WAITS)
    w.new("low")
    with pytest.raises(QueueFull) as full:
        w.sender.enqueue_new()
    assert not isinstance(full.value, MustWait)


# -- who is told -------------------------------------------------------------------------------


@attrs.define
class Ear:
    """Hears what the client ``c1`` is told."""

    world: World
    said: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    listening: Listening | None = None

    def open(self, server: Server) -> None:
        if isinstance(self.world.store, MemoryStore):
            self.world.store.on_end(lambda client, uid, end: self.said.append((uid, end.state)))
        else:
            self.listening = Listening(server.lane("ear"), self.world.store.keys, "c1")
            self.listening.open()

    def heard(self) -> list[tuple[str, str]]:
        """All since the last time."""
        while self.listening is not None:
            told = self.listening.next(0.1)
            self.said += ((each.uid, each.end.state) for each in told)
            if not told:
                break
        said, self.said = self.said, []
        return said


@pytest.fixture
def full(world: Make, server: Server) -> Iterator[tuple[World, Ear]]:
    """A queue for three, that is full, and who hears what those in line are told."""
    w = world(max_lengths={"low": 3}, when_full=WAITS)
    w.new("low", "low", "low")
    ear = Ear(w)
    ear.open(server)
    yield w, ear
    if ear.listening is not None:
        ear.listening.close()


Full = tuple[World, Ear]


def two_in_line(w: World) -> tuple[Someone, Someone]:
    two, one = someone(w, 2), someone(w)
    assert not two.tries()
    assert not one.tries()
    return two, one


@pytest.mark.direct  # a hint may come twice where a request does
def test_a_claim_tells_as_many_as_there_is_room_for(full: Full) -> None:
    w, ear = full
    two, one = two_in_line(w)
    claim(w)
    assert ear.heard() == []
    claim(w)
    assert ear.heard() == [(two.uid, "room")]
    claim(w)
    assert ear.heard() == [(one.uid, "room")], "the other was told"
    assert [one.asks(), two.asks()] == ["room", "room"]


@pytest.mark.direct
def test_a_cancel_and_a_purge_tell_who_has_room_by_them(full: Full) -> None:
    w, ear = full
    _, one = two_in_line(w)
    w.store.step_aside("low", [in_line(w)[0]])
    assert ear.heard() == []
    oldest = w.queue("low").ready[0]
    cancelled_by(w.store, *w.sender.next(), oldest, "low", "noop")
    assert ear.heard() == [(one.uid, "room")]
    assert one.tries()
    late = someone(w)
    assert not late.tries()
    w.store.purge(*w.sender.next(), "low", [], 2)
    assert ear.heard() == [(late.uid, "room")]


@pytest.mark.direct
def test_who_gets_in_and_who_leaves_tell_the_next(full: Full) -> None:
    w, ear = full
    two, one = Someone(w, [new_job(), new_job(id="x")]), someone(w)
    assert not two.tries()
    assert not one.tries()
    claim(w, 2)
    assert ear.heard() == [(two.uid, "room")]
    w.sender.enqueue(new_job("elsewhere", id="x"))
    assert two.tries()
    assert ear.heard() == [(one.uid, "room")], "one of its two was known, and took no room"
    third = someone(w, 2)
    assert not third.tries()
    w.store.step_aside("low", [one.uid])
    assert ear.heard() == []
    claim(w)
    assert ear.heard() == [(third.uid, "room")]


@pytest.mark.direct
def test_who_leaves_lets_the_next_have_the_room_that_it_found_too_small(full: Full) -> None:
    w, ear = full
    two, one = two_in_line(w)
    claim(w)
    assert ear.heard() == []
    w.store.step_aside("low", [two.uid])
    assert ear.heard() == [(one.uid, "room")]


@pytest.mark.direct
@pytest.mark.parametrize("what", ["scheduled", "fair", "limited"])
def test_who_leaves_makes_no_room_whatever_the_queue_is_full_of(full: Full, what: str) -> None:
    w, ear = full
    w.store.set_limits({"all": LimitSettings(concurrency=1)}, 1)
    claim(w, 3)
    if what == "scheduled":
        w.sender.enqueue(*(new_job(delay_ms=SECOND) for _ in range(3)))
    elif what == "fair":
        w.sender.enqueue(*(new_job(fair=fair_key("a")) for _ in range(3)))
    else:
        w.sender.enqueue(new_job("high", takes=("all",)))
        claim(w, 1, "high")
        w.sender.enqueue(*(new_job(takes=("all",)) for _ in range(3)))
        assert w.engine("low").step(3) == ()
    two, _ = two_in_line(w)
    w.store.step_aside("low", [two.uid])
    assert ear.heard() == []


@pytest.mark.direct
def test_who_has_not_asked_for_long_is_passed_over_when_others_are_told(full: Full) -> None:
    w, ear = full
    two, _ = two_in_line(w)
    w.clock.ms += LINE_MS
    late = someone(w)
    assert not late.tries()
    claim(w)
    assert ear.heard() == [(late.uid, "room")]
    assert in_line(w) == [late.uid]
    assert two.asks() == "unknown"


def test_a_promotion_makes_no_room(full: Full) -> None:
    w, _ = full
    claim(w)
    w.sender.enqueue_new(delay_ms=SECOND)
    one = someone(w)
    assert not one.tries()
    w.clock.ms += SECOND
    w.engine("low").step(0)
    assert not one.tries()


@pytest.mark.direct
def test_who_a_limit_has_refused_takes_room_until_it_is_claimed(full: Full) -> None:
    w, ear = full
    w.store.set_limits({"all": LimitSettings(concurrency=1)}, 1)
    claim(w, 3)
    w.sender.enqueue(*(new_job(takes=("all",)) for _ in range(3)))
    engine = w.engine("low")
    (first,) = engine.step(3)
    assert len(w.dump().rooms["low", "all"]) == 2
    two = someone(w, 2)
    assert not two.tries(), "there is room for one"
    assert len(engine.step(1, Ack(first.uid, 1))) == 1, "from the room of the limit"
    assert ear.heard() == [(two.uid, "room")]
    assert two.tries()
