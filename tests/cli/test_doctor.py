"""``trioq doctor``: each thing that can be wrong is named, and nothing is when nothing is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.cli.conftest import CONFIG, Cli, lines, write_config
from tests.scene import Scene
from tests.store.drive import Driver, Sender
from tests.support import Server, new_job, wait_until
from trioq.core.calls import Enqueuer, MustWait
from trioq.core.formats.engine_info import EngineInfo, encode
from trioq.core.formats.snapshot import Snapshot
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Park
from trioq.doctor import examine
from trioq.settings import load
from trioq.store.checks import minimal_acl
from trioq.store.connect import open_store
from trioq.store.inspect import tell
from trioq.store.redis import RedisStore, StoreOptions


@pytest.fixture
def doctor(own_server: Server, tmp_path: Path) -> Cli:
    """On a server of the test's own; engines are watched for a short time."""
    more = "[worker]\nheartbeat_interval = '100ms'\n"
    return Cli(write_config(tmp_path, own_server, more))


@pytest.fixture
def scene_there(own_server: Server) -> Iterator[Scene]:
    store = own_server.store()
    yield Scene.on(store)
    store.lane.close()


def findings(cli: Cli, check: str | None = None) -> list[tuple[str, str]]:
    """(verdict, what is said) of one check, or all that isn't in order."""
    told = json.loads(cli("doctor", "--json").stdout)["findings"]
    return [
        (f["verdict"], f["said"])
        for f in told
        if (f["check"] == check if check else f["verdict"] != "ok")
    ]


def the_finding(cli: Cli, check: str) -> tuple[str, str]:
    (found,) = findings(cli, check)
    return found


def test_where_nothing_is_wrong_nothing_is_said_to_be(doctor: Cli, own_server: Server) -> None:
    store = own_server.store()
    with Beating(store):
        result = doctor("doctor")
        assert result.exit_code == 0, result.output
        assert {line.split()[0] for line in lines(result.stdout)} == {"ok"}
        told = doctor.json("doctor")
    assert told["verdict"] == "ok"
    assert {f["check"] for f in told["findings"]} == {
        "configuration", "latency", "clock", "server", "persistence", "memory", "clients",
        "engines", "queues", "handlers", "records", "keys",
    }  # fmt: skip
    store.lane.close()


class Beating:
    """An engine that gives signs of life meanwhile."""

    def __init__(self, store: RedisStore) -> None:
        self._driver, self._stop = Driver(store), threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def _beat(self) -> None:
        while not self._stop.wait(0.02):
            self._driver.store.beat(self._driver.engine)

    def __enter__(self) -> str:
        self._thread.start()
        return self._driver.engine

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def test_it_changes_nothing(server: Server, scene: Scene, tmp_path: Path) -> None:
    cli = Cli(write_config(tmp_path, server, "[worker]\nheartbeat_interval = '100ms'\n"))
    scene.dead(new_job())
    scene.enqueue(new_job(), new_job(delay_ms=60_000))
    before = scene.store.lane.call("DEBUG", "DIGEST")
    assert cli("doctor").exit_code == 0
    assert scene.store.lane.call("DEBUG", "DIGEST") == before


# -- the server --------------------------------------------------------------------------------


def test_a_server_that_cannot_be_used_is_a_fault_and_the_end(
    doctor: Cli, own_server: Server
) -> None:
    own_server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    result = doctor("doctor")
    assert result.exit_code == 1
    (last,) = lines(result.stdout)[-1:]
    assert last.startswith("fault")
    assert "CONFIG SET maxmemory-policy noeviction" in last


def test_a_server_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    config = tmp_path / "q.toml"
    config.write_text(CONFIG.format(url=f"unix://{tmp_path}/s.sock"))
    result = Cli(config)("doctor")
    assert result.exit_code == 1
    assert "fault    server:        unix://" in result.stdout
    assert "is the server running?" in result.stdout


def test_a_server_that_forgets_is_a_warning(trioq: Cli) -> None:
    """The shared server of the tests writes nothing down."""
    verdict, said = the_finding(trioq, "persistence")
    assert (verdict, said) == (
        "warning", "no append-only file: a crash of the server loses jobs",
    )  # fmt: skip


def test_a_server_that_is_nearly_full_is_a_warning(doctor: Cli, own_server: Server) -> None:
    info = own_server.call("INFO", "memory").decode()
    used = int(info.split("used_memory:")[1].split()[0])
    own_server.call("CONFIG", "SET", "maxmemory", str(int(used * 1.1)))
    verdict, said = the_finding(doctor, "memory")
    assert verdict == "warning"
    assert "a full server takes no jobs" in said


def test_a_server_that_cannot_write_to_its_disk_is_a_fault(doctor: Cli, own_server: Server) -> None:
    (own_server.directory / "dump.rdb").mkdir()  # so that a snapshot has nowhere to go
    own_server.call("BGSAVE")
    wait_until(lambda: b"rdb_last_bgsave_status:err" in own_server.call("INFO", "persistence"))
    assert findings(doctor, "persistence")[1] == (
        "fault", "the last snapshot failed: see the server's log, and its disk",
    )  # fmt: skip
    assert doctor("doctor").exit_code == 1


def test_clients_that_are_nearly_too_many_are_a_warning(doctor: Cli, own_server: Server) -> None:
    own_server.call("CONFIG", "SET", "maxclients", "3")
    lanes = [own_server.lane(f"n{n}") for n in range(2)]
    for lane in lanes:
        lane.call("TIME")
    verdict, said = the_finding(doctor, "clients")
    assert (verdict, said) == ("warning", "3 of at most 3 clients: raise maxclients")
    for lane in lanes:
        lane.close()


def test_what_the_user_may_not_ask_is_not_taken_for_good(
    doctor: Cli, own_server: Server, scene_there: Scene
) -> None:
    own_server.call(
        "ACL", "SETUSER", "worker", "on", ">pw", *minimal_acl("t"), "-info", "-scan"
    )  # fmt: skip
    doctor.config.write_text(doctor.config.read_text().replace("unix://", "unix://worker:pw@"))
    verdict, said = the_finding(doctor, "memory")
    assert (verdict, said) == (
        "warning",
        f"not looked at: {own_server.url}: the user worker may not run the 'info' command:"
        " ACL SETUSER worker +info",
    )  # fmt: skip
    verdict, said = the_finding(doctor, "keys")
    assert verdict == "warning"
    assert said.startswith("not looked at: ")
    assert the_finding(doctor, "records")[0] == "ok"


# -- engines and jobs --------------------------------------------------------------------------


def test_jobs_without_an_engine_are_a_warning(doctor: Cli, own_server: Server) -> None:
    assert the_finding(doctor, "engines") == ("warning", "no engine lives: trioq serve starts one")
    doctor("enqueue", "convert")
    assert the_finding(doctor, "engines") == (
        "warning", "no engine lives, and 1 job(s) wait: trioq serve starts one",
    )  # fmt: skip


def test_an_engine_that_gives_no_sign_of_life_is_a_warning(doctor: Cli, scene_there: Scene) -> None:
    verdict, said = the_finding(doctor, "engines")
    assert verdict == "warning"
    assert said.startswith("e gave no sign of life while it was watched")


def test_engines_of_one_supervisor_are_told_together(
    doctor: Cli, scene_there: Scene, own_server: Server
) -> None:
    store = own_server.store()
    with Beating(store) as engine:
        info = EngineInfo("z", queues=("low",), names=("noop",), supervisor="a-1-ff", process=1)
        own_server.call("HSET", "{t}:engines", engine, encode(info))
        told = findings(doctor, "engines")
    assert ("ok", "1 alive, 1 of them under a-1-ff, 0 job(s) running") in told
    store.lane.close()


def test_an_engine_whose_workers_are_all_kept_by_abandoned_handlers_is_a_warning(
    doctor: Cli, own_server: Server
) -> None:
    store, other = own_server.store(), own_server.store()
    with Beating(store) as engine:
        info = EngineInfo("z", queues=("low",), names=("noop",), workers=2)
        own_server.call("HSET", "{t}:engines", engine, encode(info))
        tell(other, engine, Snapshot(abandoned={"noop": 2}, away=1, away_s=1.0))
        assert findings(doctor, "engines") == [("ok", "1 alive, 0 job(s) running")]
        tell(other, engine, Snapshot(abandoned={"noop": 2}, away=2, away_s=1.0))
        warned, _ = findings(doctor, "engines")
    assert warned == (
        "warning",
        "z runs nothing: abandoned handlers keep all of its 2 worker(s): 2 noop; their jobs were"
        " cancelled, and they go on: restart it",
    )
    store.lane.close()
    other.lane.close()


def test_engines_are_watched_no_longer_than_they_need(
    doctor: Cli, scene_there: Scene, own_server: Server
) -> None:
    config = load(doctor.config)
    store = own_server.store()
    slow = attrs.evolve(config, worker=attrs.evolve(config.worker, heartbeat_interval_s=60.0))
    own_server.call("DEL", "{t}:steps", "{t}:beats", "{t}:engines")
    with Beating(store), open_store(config) as connector:
        began = time.monotonic()
        assert [f.verdict for f in examine(slow, connector) if f.check == "engines"] == ["ok"]
        assert time.monotonic() - began < 60
    store.lane.close()


def test_queues_that_nobody_serves_that_are_paused_or_full_are_named(
    own_server: Server, scene_there: Scene, tmp_path: Path
) -> None:
    more = (
        "[worker]\nheartbeat_interval = '100ms'\n"
        '[[queues]]\nname = "high"\n[[queues]]\nname = "low"\nmax_length = 10\n'
    )
    cli = Cli(write_config(tmp_path, own_server, more))
    scene_there.enqueue(*(new_job("low") for _ in range(9)), new_job("old"))
    for what in (["high"], ["--job", "noop"]):
        assert cli("pause", *what).exit_code == 0
    assert [said for _, said in findings(cli, "queues")] == [
        "old: 1 job(s), and no engine serves it",
        "old: 1 job(s), but it isn't configured here",
        "high: paused with 0 job(s), until trioq resume high",
        "noop: these jobs are paused, 0 wait, until trioq resume --job noop",
        "low: 9 of at most 10 job(s): enqueueing is refused when it is full",
    ]


@pytest.mark.parametrize(("when_full", "said"), [
    ("reject", "enqueueing is refused when it is full"),
    ("wait", "who enqueues waits when it is full"),
    ("drop_oldest", "the oldest ones die when it is full"),
])  # fmt: skip
def test_what_comes_of_more_than_a_queue_has_room_for_is_told(
    own_server: Server, scene_there: Scene, tmp_path: Path, when_full: str, said: str
) -> None:
    more = (
        "[worker]\nheartbeat_interval = '100ms'\n"
        f'[[queues]]\nname = "high"\nmax_length = 2\nwhen_full = "{when_full}"\n'
    )
    cli = Cli(write_config(tmp_path, own_server, more))
    scene_there.store.set_limits({"one": LimitSettings(concurrency=1)}, 1)
    scene_there.enqueue(*(new_job("high", takes=("one",)) for _ in range(3)))
    scene_there.driver.step(3)
    assert f"high: 2 of at most 2 job(s): {said}" in [told for _, told in findings(cli, "queues")]


def test_who_waits_for_room_is_told_of(
    own_server: Server, scene_there: Scene, tmp_path: Path
) -> None:
    more = (
        "[worker]\nheartbeat_interval = '100ms'\n"
        '[[queues]]\nname = "high"\nmax_length = 1\nwhen_full = "wait"\n'
    )
    cli = Cli(write_config(tmp_path, own_server, more))
    options = StoreOptions(max_lengths={"high": 1}, when_full={"high": "wait"})
    store = own_server.store(options=options)
    scene_there.enqueue(new_job("high"))
    with pytest.raises(MustWait):
        store.enqueue(*Sender(store).next(), [new_job("high")], who=Enqueuer("c1"))
    store.lane.close()
    told = [said for _, said in findings(cli, "queues")]
    assert told[-1].startswith("high: 1 enqueue waits for room for 1 job, for ")


def test_jobs_that_no_engine_knows_are_named_and_dead_ones_counted(
    doctor: Cli, scene_there: Scene
) -> None:
    scene_there.enqueue(*(new_job("low", "thumbnail") for _ in range(2)), new_job("low"))
    parked = scene_there.driver.step(3)
    scene_there.driver.step(
        0,
        *(Park(claim.uid, 1, "low", "thumbnail") for claim in parked[:2]),
        Park(parked[2].uid, 1, "low", "noop"),
    )
    scene_there.dead(new_job("high"))
    assert the_finding(doctor, "handlers") == (
        "warning",
        "2 thumbnail job(s) wait for an engine that knows the name; each is dead when it has"
        " waited for 3,600 s",
    )
    assert the_finding(doctor, "dead") == (
        "warning", "1 job(s) are dead: trioq dead list shows why",
    )  # fmt: skip


def test_a_record_without_a_place_and_a_place_without_a_record_are_faults(
    doctor: Cli, own_server: Server, scene_there: Scene
) -> None:
    uids = scene_there.enqueue(new_job("low"), new_job("low"))
    assert the_finding(doctor, "records") == ("ok", "2 job(s), each in its one place")
    own_server.call("LREM", "{t}:ready:low", 1, uids[0])
    verdict, said = the_finding(doctor, "records")
    assert (verdict, doctor("doctor").exit_code) == ("fault", 1)
    assert said.startswith("2 jobs have records, but 1 are in a queue, running or dead")
    own_server.call("LPUSH", "{t}:ready:low", uids[0])
    own_server.call("HDEL", "{t}:jobs", uids[0])
    assert the_finding(doctor, "records")[0] == "fault"
    scene_there.driver.step(2)
    ((verdict, said),) = findings(doctor, "records")
    assert verdict == "fault"
    assert said.startswith("1 uid(s) had no record when they were claimed")


# -- keys --------------------------------------------------------------------------------------


def test_keys_that_belong_to_nobody_are_named(
    doctor: Cli, own_server: Server, scene_there: Scene
) -> None:
    scene_there.enqueue(new_job("low"))
    assert the_finding(doctor, "keys") == ("ok", "nothing is left over")
    own_server.call("SET", "{t}:mine", "x")
    own_server.call("SET", "{t}:sender:old", "1 1")
    own_server.call("SET", "{other}:mine", "x")
    verdict, said = the_finding(doctor, "keys")
    assert (verdict, said) == (
        "warning", "in the namespace, but not trioq's: {t}:mine, {t}:sender:old",
    )  # fmt: skip


def test_what_an_engine_showed_before_it_ended_is_not_left_over(
    doctor: Cli, own_server: Server
) -> None:
    """It passes by itself ten seconds later."""
    own_server.call("SET", "{t}:shown:gone.1", "{}", "PX", 10_000)
    assert the_finding(doctor, "keys") == ("ok", "nothing is left over")


def test_what_a_killed_benchmark_left_behind_is_named_and_how_to_forget_it(
    doctor: Cli, own_server: Server
) -> None:
    own_server.call("MSET", "{t.bench-0a1b2c3d}:jobs", "x", "{t.bench-0a1b2c3d}:stats", "x")
    own_server.call("MSET", "{t.bench-ffffffff}:jobs", "x", "{tt.bench-0a1b2c3d}:jobs", "x")
    assert the_finding(doctor, "keys") == (
        "warning",
        "3 key(s) of benchmarks: t.bench-0a1b2c3d, t.bench-ffffffff. Unless one runs now, it was"
        " killed: trioq bench --clear forgets them",
    )
    assert doctor.json("bench --clear", "--yes") == {
        "cleared": ["t.bench-0a1b2c3d", "t.bench-ffffffff"], "keys": 3,
    }  # fmt: skip
    assert the_finding(doctor, "keys") == ("ok", "nothing is left over")
    assert own_server.call("KEYS", "*bench*") == [b"{tt.bench-0a1b2c3d}:jobs"], "another's"
    assert doctor.json("bench --clear") == {"cleared": [], "keys": 0}


def test_jobs_of_an_engine_that_is_not_registered_are_a_fault(
    doctor: Cli, own_server: Server
) -> None:
    own_server.call("HSET", "{t}:running:ghost.1", "u", "1:1::low")
    assert ("fault", "jobs held by engines that aren't registered: {t}:running:ghost.1") in (
        findings(doctor, "keys")
    )


def test_a_key_of_another_type_is_a_fault(doctor: Cli, own_server: Server) -> None:
    own_server.call("SET", "{t}:seen", "x")
    assert the_finding(doctor, "keys") == (
        "fault", "of another type than they should be: {t}:seen",
    )  # fmt: skip
    own_server.call("SET", "{t}:dead", "x")
    result = doctor("doctor")
    assert result.exit_code == 1
    assert "something else uses a key of this namespace" in result.stdout


def test_many_keys_of_others_hide_nothing(doctor: Cli, own_server: Server) -> None:
    pairs = [part for n in range(5000) for part in (f"{{t2}}:{n}", "x")]
    own_server.call("MSET", *pairs)
    own_server.call("SET", "{t}:mine", "x")
    assert the_finding(doctor, "keys")[1].endswith("not trioq's: {t}:mine")


def test_a_directory_that_may_not_be_mounted_is_told_where_its_files_were_enqueued(
    own_server: Server, tmp_path: Path
) -> None:
    cli = Cli(write_config(tmp_path, own_server, "[producer]\nscan_dir = 'in'\n"))
    assert findings(cli, "files") == [], "it may come later"
    store = own_server.store()
    store.enqueue("s", 1, [new_job(seen=("a", "1:2:3"))])
    verdict, said = the_finding(cli, "files")
    assert (verdict, "is it mounted?" in said) == ("warning", True)
    (tmp_path / "in").mkdir()
    assert "is empty" in the_finding(cli, "files")[1]
    (tmp_path / "in/b").write_text("x")
    assert the_finding(cli, "files")[0] == "ok"
