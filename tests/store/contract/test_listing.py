"""Both stores: which schedules deployments list, and when those end that none does any more."""

from __future__ import annotations

from tests.store.drive import Driver
from tests.store.world import SECOND, Make, World
from trioq.core.schedules.listed import NOTHING, Heard, Listed, SaidList, Unlisted

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def listed(w: World, *names: str, app: str = "app", row: bytes = b"{}") -> SaidList:
    """What an app lists: each comes next in a minute."""
    schedules = tuple(Listed(name, row + name.encode(), w.clock() + MINUTE) for name in names)
    digest = "+".join(names) + row.hex() if names else NOTHING
    return SaidList(app, digest, schedules)


def say(w: World, engine: Driver, said: SaidList) -> Heard:
    """As engines do: what it lists is told when it is asked for."""
    heard = w.store.list_schedules(engine.engine, SaidList(said.app, said.digest))
    return w.store.list_schedules(engine.engine, said) if heard.word == "rows" else heard


def started(w: World, *names: str, app: str = "app", row: bytes = b"{}") -> Driver:
    engine = w.engine("low")
    assert say(w, engine, listed(w, *names, app=app, row=row)).word == "ok"
    return engine


def told(w: World, engine: Driver, said: SaidList) -> dict[str, bool]:
    """What is told, each time, of what isn't listed any more: whether it is retired."""
    heard = say(w, engine, said)
    assert say(w, engine, said).unlisted == heard.unlisted
    return {each.name: each.retired_ms is not None for each in heard.unlisted}


def test_what_an_engine_lists_is_there_and_comes(world: Make) -> None:
    w = world()
    engine = started(w, "a", "b")
    found = w.dump()
    assert found.schedules == {"a": b"{}a", "b": b"{}b"}
    assert found.ticks == dict.fromkeys(["a", "b"], w.clock() + MINUTE)
    w.clock.ms += 30 * SECOND
    assert say(w, engine, listed(w, "a", "b")).word == "ok"
    assert w.dump().ticks == found.ticks, "whoever says the same again moves nothing"


def test_who_lists_nothing_and_never_did_leaves_no_trace_but_that_it_lives(world: Make) -> None:
    w = world()
    first = w.engine("low")
    assert say(w, first, listed(w)) == Heard("ok")
    w.store.sign_off(first.engine)
    engine = w.engine("low")
    assert say(w, engine, listed(w)) == Heard("ok")
    found = w.dump()
    assert (found.listing, found.lists) == ({engine.engine: "- app"}, {})


def test_the_first_deployment_with_schedules_is_newer_than_those_without(world: Make) -> None:
    w = world()
    old = w.engine("low")
    say(w, old, listed(w))
    new = started(w, "a")
    assert say(w, old, listed(w)).word == "older"
    assert w.dump().unlisted == {}
    w.store.sign_off(new.engine)
    assert say(w, old, listed(w)).word == "older"
    w.clock.ms += MINUTE
    assert told(w, old, listed(w)) == {"a": False}, "it was rolled back"


def test_of_an_engine_that_isnt_known_nothing_is_heard(world: Make) -> None:
    w = world()
    gone = w.engine("low")
    w.store.sign_off(gone.engine)
    assert say(w, gone, listed(w, "a")) == Heard("gone")
    assert w.dump().schedules == {}


def test_the_newest_list_holds_and_an_old_engine_brings_nothing_back(world: Make) -> None:
    w = world()
    started(w, "a", row=b"1")
    started(w, "a", row=b"2")
    assert w.dump().schedules == {"a": b"2a"}
    again = w.engine("low")
    assert say(w, again, listed(w, "a", row=b"1")).word == "older"
    assert w.dump().schedules == {"a": b"2a"}


def test_what_isnt_listed_any_more_is_retired_after_an_hour(world: Make) -> None:
    w = world()
    old = started(w, "a", "b")
    new = w.engine("low")
    since_ms = w.clock()
    assert told(w, new, listed(w, "a")) == {"b": False}
    assert say(w, old, listed(w, "a", "b")).word == "older"
    w.clock.ms += 3599 * SECOND
    assert told(w, new, listed(w, "a")) == {"b": False}
    assert "b" in w.dump().ticks
    w.clock.ms += 1 * SECOND
    over = (Unlisted("b", since_ms, w.clock()),)
    assert say(w, old, listed(w, "a", "b")) == Heard("older", unlisted=over)
    found = w.dump()
    assert (set(found.ticks), set(found.schedules)) == ({"a"}, {"a", "b"}), "it stays listed"
    w.clock.ms += 3599 * SECOND
    assert told(w, new, listed(w, "a")) == {"b": True}
    w.clock.ms += 1 * SECOND
    assert told(w, new, listed(w, "a")) == {}, "it is told for an hour"


def test_deployments_that_follow_dont_begin_the_hour_anew(world: Make) -> None:
    w = world()
    started(w, "a", "b")
    started(w, "a", row=b"1")
    w.clock.ms += HOUR // 2
    new = started(w, "a", row=b"2")
    w.clock.ms += HOUR // 2
    assert told(w, new, listed(w, "a", row=b"2")) == {"b": True}
    started(w, "a", row=b"3")
    assert told(w, w.engine("low"), listed(w, "a", row=b"4")) == {"b": True}


def test_all_that_an_app_listed_ends_where_it_lists_nothing(world: Make) -> None:
    w = world()
    started(w, "a")
    new = w.engine("low")
    assert told(w, new, listed(w)) == {"a": False}
    w.clock.ms += 3600 * SECOND
    assert told(w, new, listed(w)) == {"a": True}
    assert w.dump().ticks == {}


def test_what_is_listed_again_comes_again(world: Make) -> None:
    w = world()
    started(w, "a")
    new = started(w)
    w.clock.ms += 3600 * SECOND
    say(w, new, listed(w))
    started(w, "a", "b")
    assert w.dump().unlisted == {}
    assert w.dump().ticks["a"] == w.clock() + MINUTE


def test_once_no_engine_of_the_newer_lives_the_older_list_holds(world: Make) -> None:
    w = world()
    old = started(w, "a")
    new = started(w, "b")
    w.store.sign_off(new.engine)
    assert say(w, old, listed(w, "a")).word == "older", "it may be on its way back"
    w.clock.ms += 60 * SECOND
    assert told(w, old, listed(w, "a")) == {"b": False}


def test_who_is_started_with_the_older_after_the_newer_has_gone_brings_it_back(
    world: Make,
) -> None:
    w = world()
    started(w, "a")
    new = started(w, "b")
    w.store.sign_off(new.engine)
    started(w, "a")
    assert set(w.dump().unlisted) == {"b"}


def test_an_older_list_is_known_as_such_for_an_hour(world: Make) -> None:
    w = world()
    old, new = started(w, "a"), started(w, "b")
    w.store.sign_off(old.engine)
    for left_ms, word in ((1, "older"), (0, "ok")):
        say(w, new, listed(w, "b"))
        w.clock.ms += HOUR - left_ms
        say(w, new, listed(w, "b"))
        again = w.engine("low")
        assert say(w, again, listed(w, "a")).word == word
        w.store.sign_off(again.engine)


def test_what_a_client_has_put_stays_as_it_is(world: Make) -> None:
    w = world()
    w.store.put_schedule(*w.sender.next(), "a", b"mine", w.clock() + HOUR)
    engine = w.engine("low")
    assert say(w, engine, listed(w, "a", "b")).taken == ("a",)
    assert say(w, engine, listed(w, "a", "b")).taken == ("a",), "whenever it is said"
    found = w.dump()
    assert (found.schedules["a"], found.ticks["a"]) == (b"mine", w.clock() + HOUR)
    say(w, engine, listed(w))
    w.clock.ms += 2 * 3600 * SECOND
    say(w, engine, listed(w))
    assert w.dump().ticks["a"] == w.clock() - HOUR, "nobody retires it"


def test_an_app_has_what_it_lists_once_nobody_else_does(world: Make) -> None:
    w = world()
    w.store.put_schedule(*w.sender.next(), "a", b"mine", w.clock() + HOUR)
    engine = started(w, "a", "b")
    w.store.put_schedule(*w.sender.next(), "a", b"", None)
    assert say(w, engine, listed(w, "a", "b")) == Heard("ok")
    found = w.dump()
    assert (found.schedules["a"], found.owners["a"]) == (b"{}a", "app")
    assert w.store.list_schedules(engine.engine, SaidList("app", "a+b7b7d")).word == "ok"


def test_apps_that_share_a_namespace_leave_each_others(world: Make) -> None:
    w = world()
    started(w, "a", app="one")
    other = w.engine("low")
    assert say(w, other, listed(w, "a", "b", app="two")).taken == ("a",)
    started(w, "c", app="three")
    assert w.dump().unlisted == {}
    w.clock.ms += 3600 * SECOND
    assert told(w, other, listed(w, "a", "b", app="two")) == {}
    assert w.dump().owners == {"a": "one", "b": "two", "c": "three"}


def test_whether_a_list_is_still_said_doesnt_go_by_other_apps(world: Make) -> None:
    w = world()
    old, new = started(w, "a"), started(w)
    for _ in range(4):
        assert say(w, w.engine("low"), listed(w, app="two")).word == "ok"
    for _ in range(2):
        assert say(w, old, listed(w, "a")).word == "older", "one says the newest"
        w.clock.ms += MINUTE
    w.store.sign_off(new.engine)
    assert say(w, old, listed(w, "a")).word == "older"
    w.clock.ms += MINUTE
    assert say(w, old, listed(w, "a")) == Heard("ok"), "others say the same of their own"


def test_a_tick_that_has_come_stays_where_its_schedule_changes(world: Make) -> None:
    w = world()
    started(w, "a", row=b"1")
    come = w.dump().ticks["a"]
    w.clock.ms += 60 * SECOND
    started(w, "a", row=b"2")
    assert w.dump().ticks["a"] == come


def test_a_client_leaves_alone_what_a_deployment_lists(world: Make) -> None:
    w = world()
    engine = started(w, "a")
    before = w.dump()
    for row in (b"mine", b""):
        assert w.store.put_schedule(*w.sender.next(), "a", row, None) is None
    assert (before.schedules, before.ticks, before.owners) == (
        w.dump().schedules, w.dump().ticks, w.dump().owners,
    )  # fmt: skip
    w.clock.ms += HOUR
    w.store.sign_off(engine.engine)
    other = started(w)
    w.clock.ms += HOUR - SECOND
    say(w, other, listed(w))
    assert w.store.put_schedule(*w.sender.next(), "a", b"", None) is None, "for another second"


def test_what_a_client_removes_is_nobodys_and_isnt_paused(world: Make) -> None:
    w = world()
    started(w, "a")
    other = started(w)
    w.store.pause(*w.sender.next(), "~a", True)
    w.clock.ms += HOUR
    say(w, other, listed(w))
    assert w.store.put_schedule(*w.sender.next(), "a", b"", None)
    found = w.dump()
    assert (found.owners, found.unlisted, found.schedules) == ({}, {}, {})
    assert (set(found.paused), set(found.pauses)) == (set(), set())
