"""Both stores: which settings of a limit hold while deployments come and go."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest

from tests.store.drive import Driver
from tests.store.world import SECOND, Make, World
from tests.support import new_job
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack

ONE, TWO, THREE = (LimitSettings(concurrency=n) for n in (1, 2, 3))
ANY = LimitSettings()
ACME = 'tenant:"acme"'
MINUTE = 60 * SECOND


def of(limit: LimitSettings) -> str:
    return f"{limit.interval_us}:{limit.burst}:{limit.concurrency}:{limit.keyed:d}"


def holds(w: World) -> Mapping[str, str]:
    """What is limited, and how."""
    return {
        take: text.partition(":")[2] for take, text in w.dump().limit_settings.items()
    }  # fmt: skip


def started(w: World, **limits: LimitSettings) -> Driver:
    """An engine, whose configuration has these."""
    engine = w.engine("low")
    say(w, engine, **limits)
    return engine


def say(w: World, engine: Driver, **limits: LimitSettings) -> None:
    assert w.store.declare_limits(engine.engine, limits)


def set_by_hand(w: World, take: str, limit: LimitSettings) -> None:
    versions = [int(text.partition(":")[0]) for text in w.dump().limit_settings.values()]
    assert w.store.set_limits({take: limit}, 1 + max(versions)) == frozenset()


def test_the_newest_holds_and_a_lower_value_drains(world: Make) -> None:
    w = world()
    old = started(w, all=TWO)
    first, second, third = w.sender.enqueue(*(new_job("low", takes=("all",)) for _ in range(3)))
    assert len(old.step(3)) == 2
    started(w, all=ONE)
    assert old.step(3, Ack(first, 1)) == (), "who runs runs on, and nobody starts"
    (claim,) = old.step(3, Ack(second, 1))
    assert claim.uid == third


def test_an_old_engine_that_is_started_again_brings_nothing_back(world: Make) -> None:
    w = world()
    old = started(w, all=TWO)
    new = started(w, all=ONE)
    w.reap(old)
    started(w, all=TWO)
    assert holds(w) == {"all": of(ONE)}
    w.clock.ms += 10 * MINUTE
    say(w, new, all=ONE)
    again = started(w, all=TWO)
    assert holds(w) == {"all": of(ONE)}, "nor later"
    say(w, again, all=TWO)
    assert holds(w) == {"all": of(ONE)}


def test_a_rollback_holds_once_no_engine_with_the_newer_lives(world: Make) -> None:
    w = world()
    old = started(w, all=TWO)
    new, other = started(w, all=ONE), started(w, all=ONE)
    w.store.sign_off(new.engine)
    say(w, old, all=TWO)
    w.clock.ms += 10 * MINUTE
    say(w, old, all=TWO)
    assert holds(w) == {"all": of(ONE)}, "another of them lives"
    w.reap(other)
    say(w, old, all=TWO)
    w.clock.ms += MINUTE - 1
    say(w, old, all=TWO)
    assert holds(w) == {"all": of(ONE)}, "one may be on its way back"
    w.clock.ms += 1
    say(w, old, all=TWO)
    assert holds(w) == {"all": of(TWO)}
    started(w, all=ONE)
    assert holds(w) == {"all": of(ONE)}, "and is a new deployment when it comes again"


def test_who_is_on_its_way_back_has_a_minute_anew_each_time(world: Make) -> None:
    w = world()
    old = started(w, all=TWO)
    new = started(w, all=ONE)
    for _ in range(3):
        w.store.sign_off(new.engine)
        say(w, old, all=TWO)
        w.clock.ms += MINUTE - 1
        new = started(w, all=ONE)
    assert holds(w) == {"all": of(ONE)}


def test_an_engine_that_is_started_with_what_is_older_need_not_wait(world: Make) -> None:
    w = world()
    w.store.sign_off(started(w, all=TWO).engine)
    w.store.sign_off(started(w, all=ONE).engine)
    started(w, all=TWO)
    assert holds(w) == {"all": of(TWO)}, "nobody else lives"


def test_none_of_those_that_are_gone_holds_where_an_older_one_is_started(world: Make) -> None:
    w = world()
    started(w, all=TWO)
    for limit in (THREE, ONE):
        w.store.sign_off(started(w, all=limit).engine)
    started(w, all=TWO)
    assert holds(w) == {"all": of(TWO)}


def test_what_an_engine_said_last_counts_when_others_say_something(world: Make) -> None:
    w = world()
    engine, other = started(w, all=ONE), started(w)
    say(w, engine, all=TWO)
    for _ in range(2):
        say(w, other)
        w.clock.ms += MINUTE
    assert holds(w) == {"all": of(TWO)}
    say(w, engine)
    assert w.dump().declared == {}
    w.clock.ms += MINUTE
    say(w, other)
    assert holds(w) == {"all": of(ANY)}


def test_what_is_set_outlives_engines_that_are_started_again(world: Make) -> None:
    w = world()
    engine = started(w, all=TWO, tenant=ONE)
    set_by_hand(w, "all", THREE)
    set_by_hand(w, ACME, TWO)
    by_hand = {"all": of(THREE), "tenant": of(ONE), ACME: of(TWO)}
    w.store.sign_off(engine.engine)
    w.reap(started(w, all=TWO, tenant=ONE))
    started(w, all=TWO, tenant=ONE)
    assert holds(w) == by_hand
    started(w, all=TWO, tenant=THREE)
    assert holds(w) == {"all": of(THREE), "tenant": of(THREE)}, "of the limit that has changed"


def test_what_is_set_without_knowing_of_a_deployment_is_refused(world: Make) -> None:
    w = world()
    started(w, tenant=ONE)
    (version,) = (int(text.partition(":")[0]) for text in w.dump().limit_settings.values())
    late = {"tenant": THREE}, 1 + version
    started(w, tenant=TWO)
    assert w.store.set_limits(*late) == {"tenant"}
    assert w.store.set_limits({ACME: THREE}, 1 + version) == {ACME}
    assert holds(w) == {"tenant": of(TWO)}


def test_a_limit_that_no_engine_has_any_more_limits_nothing(world: Make) -> None:
    w = world()
    first, *rest = w.sender.enqueue(*(new_job("low", takes=("tenant",)) for _ in range(3)))
    old = started(w, tenant=ONE, all=TWO)
    assert len(old.step(3)) == 1
    new = started(w, all=TWO)
    set_by_hand(w, ACME, TWO)
    w.clock.ms += 10 * MINUTE
    say(w, new, all=TWO)
    assert holds(w)["tenant"] == of(ONE), "an engine that lives has it"
    w.reap(old)
    say(w, new, all=TWO)
    w.clock.ms += MINUTE
    say(w, new, all=TWO)
    assert holds(w) == {"tenant": of(ANY), "all": of(TWO)}
    assert w.dump().deployed.keys() == {"all"}
    # The reaped one goes first, and who waited isn't kept in.
    assert sorted(claim.uid for claim in [*new.step(3), *new.step(3)]) == [first, *rest]


@pytest.mark.direct  # where an answer is lost, so is what it tells of bells: a hint
def test_who_waits_hears_of_what_a_deployment_admits(world: Make) -> None:
    w = world()
    old = started(w, all=ONE)
    first, second = w.sender.enqueue(*(new_job("low", takes=("all",)) for _ in range(2)))
    assert [claim.uid for claim in old.step(2)] == [first]
    while w.store.wait(["low"], 0.001):
        pass
    new = started(w, all=TWO)
    assert w.dump().bells == {"low"}
    assert [claim.uid for claim in new.step(2)] == [second]


@pytest.mark.direct  # where an answer is lost, so is what it tells of bells: a hint
def test_who_waits_for_a_value_of_a_key_hears_of_it_in_each_of_its_queues(world: Make) -> None:
    w = world()
    started(w, tenant=attrs.evolve(ONE, keyed=True))
    jobs = [new_job(queue, takes=(ACME,)) for queue in ("high", "high", "low")]
    first, *rest = w.sender.enqueue(*jobs)
    engine = w.engine("high", "low")
    assert [claim.uid for claim in engine.step(3)] == [first]
    while w.store.wait(["high", "low"], 0.001):
        pass
    started(w, tenant=attrs.evolve(THREE, keyed=True))
    assert w.dump().bells == {"high", "low"}
    assert [claim.uid for claim in engine.step(3)] == rest


def test_an_engine_without_limits_ends_them_too(world: Make) -> None:
    w = world()
    w.store.sign_off(started(w, all=ONE).engine)
    engine = started(w)
    assert holds(w) == {"all": of(ONE)}
    w.clock.ms += MINUTE
    say(w, engine)
    assert holds(w) == {"all": of(ANY)}
    assert w.dump().declared == {}


def test_an_engine_that_is_gone_is_not_heard(world: Make) -> None:
    w = world()
    started(w, all=ONE)
    gone = started(w, all=ONE)
    w.reap(gone)
    before = w.dump()
    assert not w.store.declare_limits(gone.engine, {"all": TWO})
    assert w.dump() == before


def test_what_is_said_again_changes_nothing(world: Make) -> None:
    w = world()
    engine = started(w, all=ONE, tenant=TWO)
    other = started(w, all=ONE)
    before = w.dump()
    w.clock.ms += 10 * MINUTE
    say(w, engine, all=ONE, tenant=TWO)
    say(w, other, all=ONE)
    assert w.dump() == before


def test_declarations_are_forgotten(world: Make) -> None:
    w = world()
    alive = started(w, all=TWO)
    for n in range(3, 20):
        w.store.sign_off(started(w, all=LimitSettings(concurrency=n)).engine)
    newest = started(w, all=ONE)
    said = [line.split()[0] for line in w.dump().deployed["all"].split("\n")]
    assert said == [of(TWO), *(of(LimitSettings(concurrency=n)) for n in range(13, 20)), of(ONE)]
    w.clock.ms += 60 * MINUTE
    say(w, alive, all=TWO)
    assert w.dump().deployed["all"].count("\n") == 1
    started(w, all=LimitSettings(concurrency=19))
    assert holds(w) == {"all": "0:1:19:0"}, "as if nobody had ever said it"
    say(w, newest, all=ONE)
    assert holds(w) == {"all": "0:1:19:0"}


def test_a_clock_that_goes_back_holds_up_no_rollback(world: Make) -> None:
    w = world()
    old, new = started(w, all=TWO), started(w, all=ONE)
    w.clock.ms += 60 * MINUTE
    w.store.sign_off(new.engine)
    say(w, old, all=TWO)
    w.clock.ms -= 60 * MINUTE
    say(w, old, all=TWO)
    w.clock.ms += MINUTE
    say(w, old, all=TWO)
    assert holds(w) == {"all": of(TWO)}
