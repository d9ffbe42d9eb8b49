"""What ``trioq serve --drain`` waits for, and what it leaves behind."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.conftest import run
from tests.scene import Scene
from tests.store.drive import Driver
from tests.support import Server, new_job, trioq
from trioq.cli.drain import Verdict, judge
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Ack, Park
from trioq.store.inspect import outstanding, stats

HOUR_US = 3_600_000_000
KNOWN = frozenset({"noop"})


def verdict(scene: Scene, horizon_s: float = 60) -> Verdict:
    left, running, _ = outstanding(scene.store, ["high", "low"], round(1000 * horizon_s))
    return judge(left, running, KNOWN)


def test_who_gets_a_permit_only_beyond_the_horizon_does_not_hold_up_a_drain(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(HOUR_US)}, 1)
    scene.enqueue(*(new_job(takes=("one",)) for _ in range(3)))
    (claim,) = scene.driver.step(3)
    assert verdict(scene).waiting_for == ("1 running",)
    scene.driver.step(1, Ack(claim.uid, 1))
    found = verdict(scene)
    assert found.is_done
    (left,) = found.left_behind
    assert re.fullmatch(r"2 in low \(limited: one, the next in (59|60) min\)", left)


def test_who_gets_a_permit_soon_holds_up_a_drain_and_it_is_told_when(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(HOUR_US)}, 1)
    scene.enqueue(*(new_job(takes=("one",)) for _ in range(3)))
    (claim,) = scene.driver.step(3)
    scene.driver.step(1, Ack(claim.uid, 1))
    found = verdict(scene, horizon_s=7200)
    (waits,) = found.waiting_for
    assert re.fullmatch(r"2 limited: one, the next in (59|60) min", waits)
    assert found.left_behind == ()


def test_who_waits_for_a_slot_holds_up_a_drain_whoever_has_it(scene: Scene) -> None:
    scene.store.set_limits({"stripe": LimitSettings(concurrency=1)}, 1)
    scene.enqueue(*(new_job(takes=("stripe",)) for _ in range(3)))
    (claim,) = scene.driver.step(3)
    assert verdict(scene).waiting_for == ("1 running", "2 limited: stripe")
    scene.driver.step(0, Ack(claim.uid, 1))
    assert verdict(scene).waiting_for == ("2 limited: stripe",), "they haven't been asked again"


def test_whose_queue_is_paused_is_left_behind_whatever_limits_it(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(HOUR_US)}, 1)
    scene.enqueue(*(new_job(takes=("one",)) for _ in range(3)))
    (claim,) = scene.driver.step(3)
    scene.driver.step(0, Ack(claim.uid, 1))
    scene.store.pause(*scene.sender.next(), "low", True)
    found = verdict(scene)
    assert found == Verdict((), ("2 in low (paused)",))


def test_who_may_start_with_the_next_step_holds_up_a_drain(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(HOUR_US)}, 1)
    scene.enqueue(*(new_job(takes=("one",)) for _ in range(3)))
    (claim,) = scene.driver.step(3)
    scene.driver.step(1, Ack(claim.uid, 1))
    assert verdict(scene).is_done
    scene.store.set_limits({"one": LimitSettings()}, 2)
    assert verdict(scene) == Verdict(("2 limited: one",), ())


def test_of_several_values_of_a_key_the_next_permit_is_told_that_comes_first(scene: Scene) -> None:
    hours = {f"each:{n}": LimitSettings(n * HOUR_US) for n in (2, 1, 3)}
    scene.store.set_limits({"each": LimitSettings(HOUR_US, keyed=True)} | hours, 1)
    scene.enqueue(*(new_job(takes=(take,)) for take in hours for _ in range(2)))
    claims = scene.driver.step(6)
    scene.driver.step(6, *(Ack(claim.uid, 1) for claim in claims))
    (left,) = verdict(scene).left_behind
    assert re.fullmatch(r"3 in low \(limited: each, the next in (59|60) min\)", left)


def test_limits_of_all_queues_are_named(scene: Scene) -> None:
    scene.store.set_limits({name: LimitSettings(concurrency=1) for name in ("a", "b")}, 1)
    scene.enqueue(*(new_job("high", takes=("a",)) for _ in range(3)))
    scene.enqueue(*(new_job("low", takes=("b",)) for _ in range(2)))
    Driver(scene.store, ("high", "low")).step(5)
    assert verdict(scene).waiting_for == ("2 running", "3 limited: a; b")


def test_what_is_parked_in_a_paused_queue_is_left_behind(scene: Scene) -> None:
    (uid,) = scene.enqueue(new_job())
    scene.driver.step(1)
    scene.driver.step(0, Park(uid, 1, "low", "noop"))
    assert verdict(scene).waiting_for == ("1 parked",)
    scene.store.pause(*scene.sender.next(), "low", True)
    assert verdict(scene) == Verdict((), ("1 × noop in low (paused)",))


def test_of_many_limits_those_are_named_for_which_the_most_wait(scene: Scene) -> None:
    names = ("a", "b", "c", "d")
    scene.store.set_limits({name: LimitSettings(concurrency=1) for name in names}, 1)
    for count, name in enumerate(names, 2):
        scene.enqueue(*(new_job(takes=(f"{name}:{i % 2}",)) for i in range(2 * count)))
    scene.driver.step(100)
    assert verdict(scene).waiting_for == ("8 running", "20 limited: d; c; b and 1 more")


def suspects(scene: Scene, *takes: str) -> list[str]:
    """Jobs that took each of these when an engine died with them."""
    made = scene.enqueue(*(new_job(takes=(take,)) for take in takes))
    dies = Driver(scene.store, ("low",))
    assert len(dies.step(len(takes))) == len(takes)
    seen = scene.store.observe()[dies.engine]
    assert scene.store.reap(dies.engine, seen, 9).moved == len(takes)
    return made


def test_suspects_that_a_rate_refuses_for_long_do_not_hold_up_a_drain(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(HOUR_US, burst=3)}, 1)
    made = suspects(scene, "one", "one", "one")
    (plain,) = scene.enqueue(new_job())
    found = verdict(scene)
    assert found.waiting_for == ("1 ready",)
    (left,) = found.left_behind
    assert re.fullmatch(r"3 in low \(limited: one, the next in (59|60) min\)", left)
    low = stats(scene.store).queues["low"]
    assert (low.ready, low.limited, low.suspects) == (1, 3, 3)
    (claim,) = scene.driver.step(4)
    assert claim.uid == plain
    scene.driver.step(0, Ack(plain, 1))
    assert verdict(scene).is_done
    assert verdict(scene, horizon_s=7200).waiting_for[0].startswith("3 limited: one, the next in ")
    assert stats(scene.store).placed == len(made)


def test_suspects_that_wait_for_a_slot_or_for_nothing_hold_up_a_drain(scene: Scene) -> None:
    scene.store.set_limits({"one": LimitSettings(concurrency=1), "free": LimitSettings()}, 1)
    suspects(scene, "one", "free")
    assert verdict(scene).waiting_for == ("2 ready",)
    holder = Driver(scene.store, ("high",))
    scene.enqueue(new_job("high", takes=("one",)))
    assert len(holder.step(1)) == 1
    assert verdict(scene).waiting_for == ("1 ready", "1 running", "1 limited: one")


def test_suspects_of_a_value_that_is_paused_are_left_behind(scene: Scene) -> None:
    scene.store.set_limits({"of": LimitSettings(concurrency=9, keyed=True)}, 1)
    suspects(scene, 'of:"acme"')
    scene.store.pause(*scene.sender.next(), '=of:"acme"', True)
    assert verdict(scene).left_behind == ("1 in low (paused: of)",)


def test_a_drain_ends_where_a_rate_lets_nothing_start_for_long(
    server: Server, tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f"""
namespace = "t"
[redis]
url = "{server.url}"
[observability]
bind = ""
[commands.ok]
argv = ["true"]
[limits.one]
jobs = ["ok"]
rate = "1/h"
""")
    for _ in range(3):
        assert run("enqueue", config, "ok").exit_code == 0
    ended = trioq("serve", config, "--drain")
    assert ended.returncode == 0
    assert re.search(r"2 in low \(limited: one, the next in (59|60) min\)", ended.stderr)
