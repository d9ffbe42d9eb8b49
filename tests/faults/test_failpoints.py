"""An engine, or a client, comes to harm at every named place: the promises are kept."""

from __future__ import annotations

import ast
import itertools
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from tests.faults.fleet import Fleet, Hurt
from tests.faults.scenes import NOW, SCRIPTS, Asked, contents, new_scenes
from tests.faults.story import Story
from tests.support import PATIENCE_S, Server, new_job, trioq, wait_until
from trioq import failpoints
from trioq.core.calls import NewJob
from trioq.failpoints import FailpointReached
from trioq.store.scripts import all_scripts

#: What is sent again passes its places again.
pytestmark = pytest.mark.direct

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
JOBS = 20

#: The places that an engine passes, and the pass at which it comes to harm.
OF_ENGINES = {
    "register.before": 1, "register.after": 1,
    "declare_limits.before": 1, "declare_limits.after": 1,
    "list_schedules.before": 1, "list_schedules.after": 1,
    "step.before": 3, "step.after": 3, "step.used": 3,
    "job.before": 5, "job.after": 5,
    "beat.before": 2, "beat.after": 2,
    "forget_queues.before": 1, "forget_queues.after": 1,
    "expire_parked.before": 1, "expire_parked.after": 1,
    "reap.before": 1, "reap.after": 1,
    "sign_off.before": 1, "sign_off.after": 1,
}  # fmt: skip

#: Where the quick profile has engines die: what they have done last is done, and nobody was told.
AT_ONCE = {place: n for place, n in OF_ENGINES.items() if LONG or not place.endswith(".before")}

#: The places that only clients pass.
OF_CLIENTS = tuple(
    f"{script}.{moment}"
    for script in (
        "enqueue",
        "replace",
        "cancel",
        "revive",
        "purge_dead",
        "purge",
        "pause",
        "wait_for",
        "reset_breaker",
        "hasten",
        "breakers",  # an engine's, where a breaker is shared or isn't closed
        "step_aside",
        "note",  # an engine's, of jobs that say how far they are
        "note_files",  # a producer's
        "set_limits",  # of an operator
        "schedule",
        "ring_bells",  # where a limit has something to give
    )
    for moment in ("before", "after")
)

# -- every call has its places -----------------------------------------------------------------


def test_every_script_and_every_failpoint_in_the_code_is_tried() -> None:
    places = {f"{s.name}.{moment}" for s in all_scripts() for moment in ("before", "after")}
    for path in Path("trioq").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                match node.args:
                    case [ast.Constant(value=str(call)), ast.Constant(value=str(moment))]:
                        places.add(f"{call}.{moment}")
    assert places == {*OF_ENGINES, *OF_CLIENTS}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_call_that_changes_state_passes_a_place_before_and_one_after(
    server: Server, script: str
) -> None:
    """What the data looks like when they are passed shows that they lie around the change."""
    (scene,) = new_scenes(server, "here")
    call = SCRIPTS[script](scene)
    looks = {}
    for moment in ("before", "after"):
        look = server.store("here")
        failpoints.arm(
            f"{script}.{moment}", lambda m=moment, s=look: looks.update({m: contents(s)})
        )
    at_first = contents(scene.store)
    call(scene.store)
    assert looks["before"] == at_first
    assert looks["after"] == contents(scene.store) != at_first


def test_scripts_are_run_in_one_place() -> None:
    """So that a new one has its failpoints."""
    source = Path("trioq/store/redis.py").read_text()
    assert source.count("lane.run(") == 1
    for path in Path("trioq").rglob("*.py"):
        if path.name != "redis.py":
            assert ".lane.run(" not in path.read_text(), path


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.disarm()


# -- an engine is killed at each ---------------------------------------------------------------


@pytest.fixture
def fleet(own_server: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(own_server, tmp_path)
    config = fleet.config.read_text()
    fleet.config.write_text(config.replace("[worker]", '[worker]\nunknown_name_after = "2s"'))
    yield fleet
    for engine in fleet.engines:
        if engine.poll() is None:
            engine.kill()
        engine.wait()


def passes(place: str) -> tuple[int, ...]:
    """At which of its passes of a place an engine is killed, in the long profile."""
    if not LONG:
        return ()
    return (1,) if place.startswith("register") else (1, 2, 7)  # it registers once


@pytest.mark.parametrize(
    "places",
    [AT_ONCE, *({place: n} for place in OF_ENGINES for n in passes(place))],
    ids=lambda places: "each" if len(places) > 1 else "@".join(map(str, *places.items())),
)
def test_every_job_runs_when_engines_are_killed_at(fleet: Fleet, places: dict[str, int]) -> None:
    """One dies at each of these places, while jobs come in; one lives on and finishes them."""
    survivor = fleet.start_engine()
    victims = {place: fleet.start_engine(f"{place}:kill@{nth}") for place, nth in places.items()}
    fed, strangers = feed_until_dead(fleet, victims)
    stats = fleet.wait_done(fed + strangers)

    runs = fleet.runs()
    assert (stats.counters["done"], stats.dead) == (fed, strangers)
    assert len({run.uid for run in runs}) == fed
    assert fleet.unexplained() == []
    wait_until(lambda: {engine.info.pid for engine in fleet.stats().engines} == {survivor.pid})
    assert fleet.stop() == [0]
    left = fleet.stats()
    assert (left.running, left.strays) == (0, 0)


def feed_until_dead(fleet: Fleet, victims: dict[str, subprocess.Popen[str]]) -> tuple[int, int]:
    """Enqueue jobs until all of these are dead, and some that nobody knows; how many of each."""
    store, sender, fed, told = fleet.store, itertools.count(1), 0, set[int]()
    store.enqueue("s", next(sender), [new_job("low", "stranger") for _ in range(3)])
    strangers = 3
    began = time.monotonic()
    lived = dict.fromkeys((victim.pid for victim in victims.values()), began)
    while alive := [place for place, victim in victims.items() if victim.poll() is None]:
        now = time.monotonic()
        assert now < began + 4 * PATIENCE_S, f"never passed: {alive}"
        lived |= {victims[place].pid: now for place in alive}
        store.enqueue("s", next(sender), [work(fed + i) for i in range(10)])
        fed += 10
        time.sleep(0.05)  # the jobs' rhythm, not a wait for anything
        stats = fleet.stats()
        standing = {engine.info.pid for engine in stats.engines}
        if stats.dead == strangers and any(place.startswith("expire") for place in alive):
            # Another engine was there before it.
            store.enqueue("s", next(sender), [new_job("low", "stranger")])
            strangers += 1
        if any(place.startswith("forget_queues") for place in alive):
            # Another engine may have had the turn to look for names that are nobody's.
            store.lane.call("SADD", store.keys.fixed("queues"), "nobodys")
            store.lane.call("UNLINK", store.keys.fixed("sampler"))
        for place in filter(lambda place: place.startswith("sign_off"), victims):
            victim = victims[place]
            if victim.pid not in told and fleet.stands(victim):
                victim.send_signal(signal.SIGTERM)
                told.add(victim.pid)
            elif victim.poll() == 0:
                # It had no time for it: what it held is the reaper's. Another one, then.
                victims[place] = fleet.start_engine(f"{place}:kill")
        if all(place.startswith("reap") for place in alive) and len(standing) <= len(alive) + 1:
            victims[f"for them, {fed}"] = fleet.start_engine("step.used:kill@5")
    store.lane.close()
    fleet.hurt += [Hurt(pid, last) for pid, last in lived.items()]
    assert {place: victim.returncode for place, victim in victims.items()} == dict.fromkeys(
        victims, -signal.SIGKILL
    )
    return fed, strangers


def work(n: int) -> NewJob:
    return new_job("low", "work", b'{"n":%d,"wait":0.02}' % n)


# -- an engine is cancelled at each, or fails there ----------------------------------------------


@pytest.fixture
def story(server: Server) -> Story:
    return Story(server, server.url, worker={"lease_s": 1.0, "unknown_name_after_s": 0.3})


async def harmed_at(story: Story, place: str, act: Callable[[], None]) -> None:
    """One engine comes to harm at this place, and another finishes."""
    struck = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def harm() -> None:
        token.run_sync_soon(struck.set)
        act()

    store = story.server.store("t")
    if place.startswith("reap"):
        store.register("the.dead", b"{}")
    if place.startswith("expire_parked"):
        store.enqueue("s", 1, [new_job("low", "stranger")])
    if place.startswith("forget_queues"):
        store.enqueue("s", 1, [new_job("nobodys")])
        store.purge("s", 2, "nobodys", [], 1)
    store.lane.close()
    await story.enqueue(JOBS)
    failpoints.arm(place, harm, OF_ENGINES[place])
    first = story.engine()

    async def drain_in_the_end() -> None:
        if place.startswith("sign_off"):
            await story.until_done(JOBS)
            first.drain()

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain_in_the_end)
            await first.run()
            nursery.cancel_scope.cancel()


async def finished(story: Story, place: str) -> None:
    """Another engine does what is left; then everything is as promised."""
    failpoints.disarm()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            second = story.engine()
            await nursery.start(second.run)
            await story.until_done(JOBS)
            if place.startswith("expire_parked"):
                await trio.to_thread.run_sync(wait_until, lambda: story.stats().dead == 1)
            second.drain()
    left = story.stats()
    assert left.counters["done"] == JOBS
    assert (left.running, left.strays) == (0, 0)
    assert set(story.started) == set(range(JOBS))
    assert max(story.started.values()) <= 2


@pytest.mark.trio
@pytest.mark.parametrize("place", OF_ENGINES)
async def test_an_engine_may_be_cancelled_at(story: Story, place: str) -> None:
    token = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:
        await harmed_at(story, place, lambda: token.run_sync_soon(scope.cancel))
    assert scope.cancelled_caught or place.startswith("sign_off")
    await finished(story, place)


@pytest.mark.trio
@pytest.mark.parametrize("place", OF_ENGINES)
async def test_an_engine_may_fail_at(story: Story, place: str) -> None:
    def fail() -> None:
        raise FailpointReached(place)

    with pytest.RaisesGroup(FailpointReached, flatten_subgroups=True):
        await harmed_at(story, place, fail)
    await finished(story, place)


@pytest.mark.trio
async def test_nothing_runs_twice_when_every_place_takes_a_while(server: Server) -> None:
    for place in (*OF_ENGINES, *OF_CLIENTS):
        failpoints.arm_from(f"{place}:delay=0.01")
    story = Story(server, server.url)
    await story.play(JOBS)
    story.all_ran_once(JOBS)


# -- a client is killed at each --------------------------------------------------------------------


#: Processes that are made in no time, from one that has imported what they need.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.faults.scenes"])


def written(directory: Path, asked: Asked, failpoint: str) -> None:
    """In a process of its own."""
    failpoints.arm_from(failpoint)
    asked(Server(directory).store("hurt", NOW))


@pytest.mark.parametrize("place", OF_CLIENTS)
def test_a_client_killed_at_a_place_has_written_all_or_nothing(server: Server, place: str) -> None:
    script, _, moment = place.partition(".")
    hurt, unhurt = new_scenes(server, "hurt", "unhurt")
    asked = SCRIPTS[script](hurt)
    before = contents(hurt.store)
    victim = PROCESSES.Process(target=written, args=(server.directory, asked, f"{place}:kill"))
    victim.start()
    victim.join(PATIENCE_S)
    assert victim.exitcode == -signal.SIGKILL
    SCRIPTS[script](unhurt)(unhurt.store)

    assert contents(hurt.store) == (before if moment == "before" else contents(unhurt.store))
    asked(hurt.store)
    assert contents(hurt.store) == contents(unhurt.store), "it may be tried again"
    for scene in (hurt, unhurt):
        scene.store.lane.close()


@pytest.mark.parametrize("failpoint", ["step.before:kill", "rubbish", "step.before:explode@x"])
def test_a_variable_alone_harms_no_command(failpoint: str) -> None:
    ended = trioq("--version", env={"TRIOQ_FAILPOINT": failpoint})
    assert (ended.returncode, ended.stderr) == (0, "")
    looked = trioq("config", "check", "jobqueue.toml", env={"TRIOQ_FAILPOINT": failpoint})
    assert looked.returncode == 0
    assert "warning: TRIOQ_FAILPOINT: ignored" in looked.stderr
