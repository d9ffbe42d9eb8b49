"""``trioq stats`` and ``engines``: every number where it belongs, under its own name."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli, lines, write_config
from tests.scene import Scene
from tests.support import Server, new_job
from trioq.core.formats.engine_info import EngineInfo, encode
from trioq.core.formats.snapshot import Snapshot
from trioq.core.settlements import Ack, Park
from trioq.store.checks import minimal_acl
from trioq.store.inspect import stats, tell


def test_json_is_the_documented_shape(trioq: Cli, scene: Scene) -> None:
    scene.dead(new_job(), new_job())
    scene.enqueue(new_job("low"), new_job("low"), new_job("high"), new_job("high", delay_ms=60_000))
    (done,) = scene.driver.step(1)
    scene.driver.step(0, Ack(done.uid, scene.driver.n))
    scene.driver.step(1)
    told = trioq.json("stats")
    engine = scene.driver.engine
    low = {"ready": 1, "limited": 0, "scheduled": 0, "parked": 0, "running": 1, "suspects": 0,
           "paused": False, "served": True, "fair": 0,
               "in_line": 0, "in_line_jobs": 0, "in_line_since_ms": None}  # fmt: skip
    assert told == {
        "namespace": "t",
        "queues": {"high": low | {"ready": 0, "scheduled": 1, "running": 0}, "low": low},
        "running": 1, "done": 1, "dead": 2, "cancelled": 0, "enqueued": 6, "retried": 0,
        "reaped": 0, "strays": 0, "pauses": [], "doors": [], "doors_left_out": 0,
        "breakers": [],
        "schedules": {"count": 0, "next_ms": None, "late": 0, "unlisted": 0, "retired": 0},
        "engines": [{"id": engine, "name": "e", "pid": 1, "started_ms": None,
                     "queues": ["high", "low"], "names": ["noop"], "workers": 0, "http": "",
                     "lease_s": 0.0, "supervisor": "", "process": 0, "strict": False, "behind": {},
                     "signatures": {}, "running": 1}],
    }  # fmt: skip


def test_queues_have_their_own_names_whatever_they_are_b20_b21(
    server: Server, scene: Scene, tmp_path: Path
) -> None:
    """The predecessor looked for "high (key)" among names like "high(key)", and knew only the
    keys of its default configuration."""
    more = '[[queues]]\nname = "a.b-C_d"\n[[queues]]\nname = "high"\n'
    cli = Cli(write_config(tmp_path, server, more))
    scene.enqueue(new_job("a.b-C_d"), new_job("elsewhere"))
    told = cli.json("stats")["queues"]
    assert {name: queue["ready"] for name, queue in told.items()} == {
        "a.b-C_d": 1, "high": 0, "elsewhere": 1,
    }  # fmt: skip


def test_people_see_queues_engines_and_what_is_out_of_the_ordinary(
    trioq: Cli, scene: Scene
) -> None:
    scene.enqueue(new_job("low"), new_job("high"), new_job("nobodys"))
    scene.store.pause(*scene.sender.next(), "low", True)
    shown = lines(trioq("stats").stdout)
    assert shown[0].startswith("t on unix://")
    table = [line.split() for line in shown[2:6]]
    assert table == [
        ["queue", "ready", "scheduled", "parked", "running"],
        ["high", "1", "0", "0", "0"],
        ["low", "1", "0", "0", "0", "paused"],
        ["nobodys", "1", "0", "0", "0", "no", "engine", "serves", "it"],
    ]
    assert shown[7].startswith("low is paused since ")
    assert shown[9] == "0 running, 0 done, 3 enqueued"
    assert shown[-1].split()[:3] == ["e", "1", "0"]


def test_without_engines_it_says_so(trioq: Cli) -> None:
    assert lines(trioq("stats").stdout)[-1] == "no engine lives"
    assert trioq("engines").stdout == "no engine lives\n"
    assert trioq.json("engines") == []


def test_engines_are_listed_with_what_they_know(trioq: Cli, scene: Scene) -> None:
    scene.store.register("other.1", b"not what this version says")
    (uid, _) = scene.enqueue(new_job("high", "convert", id="mine"), new_job("low"))
    scene.driver.step(1)
    listed = trioq.json("engines")
    ((job,), nothing) = [engine.pop("jobs") for engine in listed]
    assert (job["id"], job["uid"], job["name"], job["queue"]) == ("mine", uid, "convert", "high")
    assert nothing == []
    assert listed == trioq.json("stats")["engines"]
    assert [engine["id"] for engine in listed] == [scene.driver.engine, "other.1"]
    shown = trioq("engines").stdout
    assert "e queues: high, low\ne handlers: noop\n" in shown
    assert "other.1 queues: \n" in shown
    assert lines(shown)[-1].split() == ["e", "mine", "convert", "high"]


def test_of_engines_it_is_told_which_handlers_they_have_abandoned(trioq: Cli, scene: Scene) -> None:
    scene.store.register("other.1", encode(EngineInfo("z", queues=("low", "high"))))
    tell(scene.store, "other.1", Snapshot(abandoned={"stuck": 2, "mail\x1b": 1}))
    mine, other = trioq.json("engines")
    assert "abandoned" not in mine
    assert other["abandoned"] == {"stuck": 2, "mail\x1b": 1}
    for command in ("engines", "stats"):
        heads, _, row = trioq(command).stdout.partition("engine ")[2].splitlines()[:3]
        assert heads.split()[-1] == "abandoned"
        assert row.split()[-4:] == ["1", "mail\\x1b,", "2", "stuck"]


def test_processes_of_one_supervisor_stand_together_and_say_so(trioq: Cli, scene: Scene) -> None:
    for number in (10, 2):
        info = EngineInfo(f"z{number}", queues=("low",), supervisor="a-1-ff", process=number)
        scene.store.register(f"z{number}.1", encode(info))
    rows = [line.split() for line in lines(trioq("engines").stdout)[:4]]
    assert rows[0][-1] == "process"
    assert [(row[0], row[-3:]) for row in rows[1:3]] == [
        ("z2", ["2", "of", "a-1-ff"]), ("z10", ["10", "of", "a-1-ff"]),
    ]  # fmt: skip
    assert rows[3][0] == "e"


def test_keys_are_told_with_their_lengths_and_bytes(trioq: Cli, scene: Scene) -> None:
    scene.enqueue(*(new_job("low", payload=b'{"x":"%s"}' % (b"y" * 500)) for _ in range(300)))
    (parked, *_) = scene.driver.step(3)
    scene.driver.step(0, Park(parked.uid, 1, "low", "other"))
    told = trioq.json("stats", "--keys")
    found = {key["key"]: key for key in told["keys"]}
    assert (found["{t}:jobs"]["type"], found["{t}:jobs"]["length"]) == ("HASH", 300)
    assert found["{t}:jobs"]["bytes"] > 300 * 500
    assert found["{t}:ready:low"]["length"] == 297
    assert found["{t}:parked:low:other"]["length"] == 1
    assert found[f"{{t}}:running:{scene.driver.engine}"]["length"] == 2
    assert told["keys"][0]["key"] == "{t}:jobs"
    assert told["bytes"] == sum(key["bytes"] for key in told["keys"])
    assert "{t}:dead" not in found
    assert lines(trioq("stats", "--keys").stdout)[-1].startswith(f"{len(found)} keys, about ")


def test_sizes_are_told_without_bytes_to_who_may_not_ask(
    own_server: Server, tmp_path: Path
) -> None:
    own_server.call("ACL", "SETUSER", "worker", "on", ">pw", *minimal_acl("t"))
    config = write_config(tmp_path, own_server)
    config.write_text(config.read_text().replace("unix://", "unix://worker:pw@"))
    store = own_server.store()
    scene = Scene.on(store)
    scene.enqueue(new_job())
    cli = Cli(config)
    told = cli.json("stats", "--keys")
    assert told["bytes"] is None
    assert {key["bytes"] for key in told["keys"]} == {None}
    result = cli("stats", "--keys")
    assert result.exit_code == 0
    assert result.stderr == (
        "trioq: the user may not ask how large keys are: ACL SETUSER … +memory|usage\n"
    )
    store.lane.close()


def test_a_million_jobs_are_asked_about_in_as_many_calls_as_ten(
    trioq: Cli, scene: Scene, server: Server
) -> None:
    def calls() -> int:
        told = server.call("INFO", "commandstats").decode()
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in told.splitlines()[1:])

    def asked(*arguments: str) -> int:
        before = calls()
        assert trioq(*arguments).exit_code == 0
        return calls() - before

    scene.many_dead(10)
    few = [asked("stats"), asked("stats", "--keys")]
    scene.many_dead(100_000)
    assert [asked("stats"), asked("stats", "--keys")] == few
    assert stats(scene.store).dead == 100_000


def test_a_wrong_type_is_told_with_what_to_do(trioq: Cli, server: Server) -> None:
    server.call("SET", "{t}:dead", "x")
    result = trioq("stats")
    assert result.exit_code == 1
    assert "something else uses a key of this namespace: choose another namespace" in result.stderr


def test_json_is_one_document_of_plain_ascii(trioq: Cli, scene: Scene) -> None:
    info = json.dumps({"name": "büro", "queues": ["low"], "names": []}).encode()
    scene.store.register("b.1", info)
    shown = trioq("stats", "--json").stdout
    assert shown.isascii()
    assert any(engine["name"] == "büro" for engine in json.loads(shown)["engines"])
