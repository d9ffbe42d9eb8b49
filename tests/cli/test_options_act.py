"""Each option of each command does what it says, and nothing else: one table.

A data set with jobs of several kinds in every place; a command with one option; which jobs it
touched, by a look at everything. The table is held against the options that the commands have.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from tests.cli.conftest import Cli, lines, run
from tests.dump import Dump, dump
from tests.scene import Scene
from tests.support import PATIENCE_S, Server, new_job, wait_until
from tests.support import trioq as apart
from tests.support import trioq_started as started
from trioq.cli import cli
from trioq.core.fingerprint import fingerprint
from trioq.core.formats.record import decode
from trioq.core.formats.schedule import encode as encode_schedule
from trioq.core.job import Options
from trioq.core.limits import LimitSettings, is_own
from trioq.core.outcome import Error
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Cron
from trioq.core.settlements import Park
from trioq.store import inspect
from trioq.store.inspect import LimitView, record, stats
from trioq.store.redis import RedisStore

#: Options that are the same wherever they are, and are tested by what they are called.
EVERYWHERE = {"--json", "--dry-run", "--rate", "--yes", "--api"}


def limits(store: RedisStore) -> list[LimitView]:
    """Without trioq's own."""
    return [view for view in inspect.limits(store) if not is_own(view.name)]


@attrs.define
class Place:
    """A namespace with jobs of many kinds, each with a word of its own."""

    cli: Cli
    scene: Scene
    server: Server
    jobs: dict[str, str]
    """Word → uid."""

    def dump(self) -> Dump:
        return dump(self.scene.store)

    def touched(self, before: Dump) -> set[str]:
        """The words of the jobs that aren't where and what they were; new ones are ``new``."""
        words = {uid: word for word, uid in self.jobs.items()}
        then, now = _seen(before), _seen(self.dump())
        uids = {uid for uid in then.keys() | now.keys() if then.get(uid) != now.get(uid)}
        return {words.get(uid, "new") for uid in uids}


def _seen(moment: Dump) -> dict[str, tuple[Any, ...]]:
    """Of each job where it is, and what is kept of it."""
    places: dict[str, list[str]] = {}
    for uid, place in moment.places():
        places.setdefault(uid, []).append(place)
    return {
        uid: (places.get(uid), stored, moment.attempts.get(uid), moment.history.get(uid))
        for uid, stored in moment.jobs.items()
    }


@pytest.fixture
def place(trioq: Cli, scene: Scene, server: Server) -> Place:
    """Dead, running, parked, scheduled and ready jobs, of two queues and two names."""
    jobs = {}

    def dead(word: str, queue: str, name: str, message: str) -> None:
        (jobs[word],) = scene.dead(new_job(queue, name), message=message)

    dead("dead convert", "low", "convert", "no such file")
    dead("dead convert full", "high", "convert", "disk full")
    dead("dead noop full", "low", "noop", "disk full")
    now_ms = int(server.call("TIME")[0]) * 1000
    server.call("ZADD", "{t}:dead", now_ms - 600_000, jobs["dead convert"])
    for word in ("running", "parked"):
        (jobs[word],) = scene.enqueue(new_job("low", "other", id=word))
    scene.driver.step(2)
    scene.driver.step(0, Park(jobs["parked"], scene.driver.n, "low", "other"))
    (jobs["scheduled"],) = scene.enqueue(new_job("low", delay_ms=30_000, id="scheduled"))
    for word, queue in (("low 1", "low"), ("low 2", "low"), ("high 1", "high")):
        (jobs[word],) = scene.enqueue(new_job(queue, id=word))
    scene.store.set_limits({"stripe": LimitSettings(10_000, 1, 5)}, 1)
    nightly = Schedule("nightly", Cron("0 3 * * *"), "convert", "high", b'{"path":"a"}')
    scene.store.put_schedule(
        *scene.sender.next(), "nightly", encode_schedule(nightly), 4_000_000_000_000
    )
    return Place(trioq, scene, server, jobs)


# -- which options there are -------------------------------------------------------------------


def all_options() -> Iterator[tuple[str, str]]:
    """Each command and each of its options, by its longest name."""
    yield from _options(cli, click.Context(cli), "")


def _options(group: click.Group, ctx: click.Context, above: str) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _options(command, click.Context(command), f"{name} ")
            continue
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                yield f"{above}{name}", max(option.opts, key=len)


ALL = list(all_options())
TABLE: dict[tuple[str, str], Callable[[Place], None]] = {}

Act = Callable[[Place], None]


def row(command: str, option: str) -> Callable[[Act], Act]:
    """Register what is seen of an option."""

    def register(act: Act) -> Act:
        TABLE[command, option] = act
        return act

    return register


def touches(command: str, option: str, *arguments: str, only: set[str]) -> None:
    """A row: with these arguments it touches these jobs and no others."""

    def act(place: Place) -> None:
        before = place.dump()
        words = [place.jobs.get(argument, argument) for argument in arguments]
        ended = place.cli(command, *words)
        assert ended.exit_code == 0, ended.output
        assert place.touched(before) == only

    row(command, option)(act)


DEAD = {"dead convert", "dead convert full", "dead noop full"}
LOW = {"low 1", "low 2", "scheduled", "parked"}

FULL = fingerprint(Error("ValueError", "disk full"))

FILTERS = {
    "--all": (("--all",), DEAD),
    "--name": (("--name", "convert"), DEAD - {"dead noop full"}),
    "--error": (("--error", "disk"), DEAD - {"dead convert"}),
    "--fingerprint": (("--fingerprint", FULL), DEAD - {"dead convert"}),
    "--older-than": (("--older-than", "5m"), {"dead convert"}),
}
for _option, (_arguments, _found) in FILTERS.items():
    touches("dead revive", _option, *_arguments, "--yes", only=_found)
    touches("dead purge", _option, *_arguments, "--yes", only=_found)
touches("purge", "--all", "--all", "--yes", only=LOW | {"high 1"})


touches("cancel", "--name", "--name", "noop", "--yes", only=LOW - {"parked"} | {"high 1"})
touches("cancel", "--queue", "--queue", "high", only={"high 1"})


@row("cancel", "--reason")
def with_a_reason(place: Place) -> None:
    place.cli("cancel", "low 1", "--reason", "customer left")
    assert place.cli.json("job", "low 1")["reason"] == "customer left"


@row("cancel", "--wait")
def not_longer_than_this(place: Place) -> None:
    began = time.monotonic()
    assert place.cli("cancel", "running", "--wait", "0").exit_code == 1
    assert place.cli("cancel", "running", "--wait", "50ms").exit_code == 1
    assert 0.05 <= time.monotonic() - began < 5  # the default


def lists(command: str, option: str) -> None:
    """A row: of the dead, it tells those that this filter chooses, and changes nothing."""
    arguments, found = FILTERS[option]

    def act(place: Place) -> None:
        before = place.dump()
        if command == "dead list":
            told = place.cli.json(command, *arguments)
        else:
            told = [json.loads(text) for text in lines(place.cli(command, *arguments).stdout)]
        assert {job["uid"] for job in told} == {place.jobs[word] for word in found}
        assert place.dump() == before

    row(command, option)(act)


for _option in ("--name", "--error", "--fingerprint", "--older-than"):
    lists("dead list", _option)
    lists("dead export", _option)


@row("dead list", "-n")
def at_most_so_many_dead(place: Place) -> None:
    assert len(place.cli.json("dead list", "-n", "2")) == 2


@row("dead export", "--output")
def into_a_file(place: Place) -> None:
    file = place.cli.config.parent / "dead.jsonl"
    ended = place.cli("dead export", "-o", file)
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert len(lines(file.read_text())) == 3


@row("peek", "-n")
def at_most_so_many_ready(place: Place) -> None:
    assert [job["id"] for job in place.cli.json("peek", "low", "-n", "1")] == ["low 1"]


def listed(place: Place, *arguments: str) -> list[str]:
    words = {uid: word for word, uid in place.jobs.items()}
    return [words[job["uid"]] for job in place.cli.json("jobs", *arguments)["jobs"]]


@row("jobs", "--state")
def in_that_state(place: Place) -> None:
    assert listed(place, "--state", "parked") == ["parked"]


@row("jobs", "--queue")
def of_that_queue(place: Place) -> None:
    assert listed(place, "--queue", "high") == ["high 1"]


@row("jobs", "--name")
def of_that_name(place: Place) -> None:
    assert listed(place, "--name", "other") == ["running", "parked"]


@row("jobs", "-n")
def at_most_so_many_jobs(place: Place) -> None:
    assert listed(place, "-n", "1") == ["running"]


@row("jobs", "--newest")
def from_the_other_end(place: Place) -> None:
    assert listed(place, "--queue", "low", "--state", "ready", "--newest") == ["low 2", "low 1"]


@row("job", "--follow")
def until_it_has_ended(place: Place) -> None:
    dead = place.jobs["dead noop full"]
    ended = place.cli("job", dead, "--follow")
    assert (ended.exit_code, len(lines(ended.stdout))) == (1, 1)
    assert "dead" in ended.stdout


@row("explain", "--queue")
def of_a_queue(place: Place) -> None:
    assert place.cli.json("explain", "--queue", "high")["queue"] == "high"


@row("stats", "--keys")
def with_the_sizes_of_keys(place: Place) -> None:
    assert "{t}:jobs" in place.cli("stats", "--keys").stdout
    assert "{t}:jobs" not in place.cli("stats").stdout


@row("enqueue", "--queue")
def into_a_queue(place: Place) -> None:
    assert place.cli("enqueue", "noop", "--queue", "high").exit_code == 0
    assert len(place.dump().queues["high"].ready) == 2


@row("enqueue", "--delay")
def after_a_time(place: Place) -> None:
    now_ms = int(place.server.call("TIME")[0]) * 1000
    uid = place.cli.json("enqueue", "noop", "--delay", "10m")["uid"]
    due_ms = place.dump().queues["low"].scheduled[uid]
    assert now_ms + 600_000 <= due_ms <= now_ms + 660_000


@row("enqueue", "--at")
def at_a_moment(place: Place) -> None:
    uid = place.cli.json("enqueue", "noop", "--at", "2100-01-01T01:00:00.5+01:00")["uid"]
    scheduled = place.dump().queues["low"].scheduled
    assert scheduled[uid] == 4_102_444_800_500
    assert place.cli("enqueue", "noop", "--at", "2020-01-01T00:00:00Z").exit_code == 0
    assert place.dump().queues["low"].scheduled == scheduled, "what has passed is now"
    refused = place.cli("enqueue", "noop", "--at", "2100-01-01T00:00:00Z", "--delay", "1m")
    assert (refused.exit_code, "--at and --delay" in refused.stderr) == (2, True)


@row("enqueue", "--deadline")
def to_be_done_by_a_moment(place: Place) -> None:
    now_ms = time.time_ns() // 1_000_000
    uid = place.cli.json("enqueue", "noop", "--deadline", "10m")["uid"]
    deadline_ms = asked_by(place, uid).deadline_ms
    assert deadline_ms is not None
    assert now_ms + 600_000 <= deadline_ms <= now_ms + 660_000


@row("enqueue", "--expires")
def to_be_begun_by_a_moment(place: Place) -> None:
    uid = place.cli.json("enqueue", "noop", "--expires", "2030-03-17T17:46:40.123Z")["uid"]
    assert asked_by(place, uid) == Options(expires_ms=1_900_000_000_123)


def asked_by(place: Place, uid: str) -> Options:
    return decode(uid, place.dump().jobs[uid]).record.options


@row("enqueue", "--id")
def with_an_id(place: Place) -> None:
    before = place.dump()
    told = place.cli.json("enqueue", "noop", "--id", "low 1")
    assert (told["queued"], told["uid"]) == (False, place.jobs["low 1"])
    assert place.touched(before) == set()
    uid = place.cli.json("enqueue", "noop", "--id", "fresh")["uid"]
    assert place.dump().ids["fresh"] == uid


@row("enqueue", "--on-conflict")
def instead_of_one_that_waits(place: Place) -> None:
    how = ("noop", "--id", "fresh", "--delay", "1h", "--on-conflict", "replace")
    first = place.cli.json("enqueue", *how)
    second = place.cli.json("enqueue", *how, '{"n": 2}')
    told = [(each["happened"], each["queued"], each["existing"]) for each in (first, second)]
    assert told == [("queued", True, None), ("replaced", False, "live")]
    assert place.dump().jobs[first["uid"]].endswith(b'\n{"n":2}')
    said = place.cli("enqueue", *how).stdout
    assert said == f"replaced: fresh is {first['uid']}, which waits in low\n"
    taken = place.cli("enqueue", "noop", "--id", "fresh", "--on-conflict", "raise")
    assert (taken.exit_code, "the id 'fresh' is job" in taken.stderr) == (1, True)
    refused = place.cli("enqueue", "noop", "--on-conflict", "again")
    assert (refused.exit_code, "--on-conflict: expected an --id" in refused.stderr) == (2, True)


@row("enqueue", "--debounce")
def once_nobody_has_come_for_a_while(place: Place) -> None:
    uid = kept_for(place, "--debounce", "1h")
    assert place.dump().queues["low"].scheduled[uid] > int(place.server.call("TIME")[0]) * 1000
    refused = place.cli("enqueue", "noop", "--id", "x", "--debounce", "1h", "--delay", "1s")
    assert (refused.exit_code, "--debounce and --delay both say" in refused.stderr) == (2, True)


@row("enqueue", "--max-wait")
def but_no_later_than_this(place: Place) -> None:
    assert kept_for(place, "--debounce", "1h", "--max-wait", "2h") in place.dump().jobs
    refused = place.cli("enqueue", "noop", "--id", "x", "--debounce", "1h", "--max-wait", "1m")
    assert refused.exit_code == 2
    assert "--max-wait is 60 s: expected at least the 3600 s of --debounce" in refused.stderr


@row("enqueue", "--cooldown")
def not_sooner_than_this(place: Place) -> None:
    kept_for(place, "--cooldown", "1h")


@row("enqueue", "--id-retention")
def remembered_for_this_time(place: Place) -> None:
    kept_for(place, "--id-retention", "0")


def kept_for(place: Place, *options: str) -> str:
    """What an enqueue with these says of its id is kept beside that; the job's uid."""
    uid: str = place.cli.json("enqueue", "noop", "--id", "fresh", *options)["uid"]
    kept = place.server.call("HGET", "{t}:id_of", uid)
    assert kept.startswith(b"fresh\0"), kept
    return uid


@row("enqueue", "--id-dead")
def in_place_of_a_dead_one(place: Place) -> None:
    dead = place.jobs["dead noop full"]
    place.server.call("HSET", "{t}:ids", "dead's", dead)
    place.server.call("HSET", "{t}:id_of", dead, "dead's")
    how = ("noop", "--id", "dead's", "--id-dead")
    assert place.cli.json("enqueue", *how, "block")["existing"] == "dead"
    told = place.cli.json("enqueue", *how, "free")
    assert (told["happened"], place.dump().ids["dead's"]) == ("queued", told["uid"])


@row("enqueue", "--fair-key")
def for_somebodys_turn(place: Place) -> None:
    for key in ("acme", "7", '"7"', "true"):
        assert place.cli("enqueue", "noop", "--fair-key", key).exit_code == 0
    assert turns_asked_for(place) == {'1 "acme"', "1 7", '1 "7"', '1 "true"'}


@row("enqueue", "--weight")
def with_a_weight(place: Place) -> None:
    assert place.cli("enqueue", "noop", "--fair-key", "acme", "--weight", "2.5").exit_code == 0
    assert turns_asked_for(place) == {'2.5 "acme"'}
    refused = place.cli("enqueue", "noop", "--weight", "2")
    assert refused.exit_code == 2
    assert "--weight needs a --fair-key: low isn't fair" in refused.stderr
    refused = place.cli("enqueue", "noop", "--fair-key", "acme", "--weight", "0")
    assert refused.exit_code == 2
    assert "a weight is from 0.01 to 100, not 0" in refused.stderr


def turns_asked_for(place: Place) -> set[str]:
    """Weight and key of all jobs that have some, without the tags that the server gave them."""
    rows = place.dump().flow.values()
    return {row.partition(" ")[2] for row in rows if not row.startswith("\n")}


@row("enqueue", "--result")
def with_its_result_kept(place: Place) -> None:
    uid = place.cli.json("enqueue", "noop", "--result", "2h")["uid"]
    assert record(place.scene.store, uid).options.result_s == 7200  # type: ignore[union-attr]


@row("enqueue", "--wait")
def waited_for(place: Place) -> None:
    ended = place.cli("enqueue", "noop", "--wait", "50ms", "--json")
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["state"]) == (1, "live")
    assert record(place.scene.store, told["uid"]).options.result_s > 60  # type: ignore


@row("result", "--wait")
def for_so_long(place: Place) -> None:
    began = time.monotonic()
    assert place.cli("result", "low 1", "--wait", "100ms").exit_code == 1
    assert time.monotonic() - began >= 0.1


@row("enqueue", "--from")
def of_a_files_lines(place: Place) -> None:
    file = place.cli.config.parent / "lines"
    file.write_text('{"n": 1}\n{"n": 2}\n')
    assert place.cli("enqueue", "convert", "--from", file).exit_code == 0
    payloads = [job["payload"] for job in place.cli.json("peek", "high")]
    assert payloads == [{}, {"n": 1}, {"n": 2}]


@row("acl", "--user")
def for_a_user(place: Place) -> None:
    assert place.cli("acl", "--user", "somebody").stdout.startswith("ACL SETUSER somebody on ")


@row("acl", "--operator")
def for_operators(place: Place) -> None:
    rules = place.cli.json("acl", "--operator")["rules"]
    assert set(rules) > set(place.cli.json("acl")["rules"])


@row("config check", "--no-app")
def without_the_app(place: Place) -> None:
    place.cli.config.write_text('app = "nowhere_at_all:app"\n' + place.cli.config.read_text())
    assert place.cli("config check").exit_code == 2
    assert place.cli("config check", "--no-app").exit_code == 0


# -- engines -----------------------------------------------------------------------------------

SERVED = """
[producer]
scan_dir = "found"
job = "seen"
[limiter]
rate = 0
[commands.noop]
argv = ["touch", "ran"]
[commands.seen]
argv = ["touch", "{path}.seen"]
"""


def served(place: Place, *options: str) -> set[str]:
    """Drain an engine with a file to be found, in an otherwise empty namespace; the files."""
    place.server.call("FLUSHALL")
    directory = place.cli.config.parent
    (directory / "found").mkdir()
    (directory / "found" / "file.txt").write_text("x")
    place.cli.config.write_text(place.cli.config.read_text() + SERVED)
    place.cli("enqueue", "noop")
    assert place.cli("enqueue", "noop", "--id", "later", "--delay", "50s").exit_code == 0
    ended = apart("serve", place.cli.config, *options, cwd=directory)
    assert ended.returncode == 0, ended.stderr
    return {path.name for path in directory.rglob("*")} & {"ran", "file.txt.seen"}


@row("serve", "--drain-horizon")
def jobs_due_later_are_left(place: Place) -> None:
    # With the default of 60 s it would be waited for, and run.
    assert served(place, "--drain", "--drain-horizon", "1") == {"ran", "file.txt.seen"}
    assert len(place.dump().queues["low"].scheduled) == 1


@row("serve", "--role")
def of_one_role(place: Place) -> None:
    assert served(place, "--role", "worker", "--drain", "--drain-horizon", "1") == {"ran"}


@row("serve", "--queues")
def of_some_queues(place: Place) -> None:
    # What goes by no extension goes to the last queue: there the file's job lies.
    assert served(place, "--drain", "--drain-horizon", "1", "--queues", "high") == set()
    assert place.dump().queues["low"].ready


# -- benchmarks --------------------------------------------------------------------------------

#: Seen to be kept by the tests of the benchmark itself.
OF_THE_BENCHMARK = (
    "--latency", "--drain", "--enqueue", "--payload", "--work", "--timeout", "--clear", "--jobs",
    "--rate", "--job", "--with",
)  # fmt: skip


@row("bench", "--queue")
def into_these_queues(place: Place) -> None:
    report = _of_own_place(place, "--enqueue", "-n", "6", "--queue", "high")
    assert report["queues"] == ["high"]


@row("bench", "--workers")
def so_many_at_a_time(place: Place) -> None:
    report = _of_own_place(place, "-n", "6", "--rate", "0", "--work", "0.1", "--workers", "1")
    assert report["done"] == 6
    assert report["done_per_s"] <= 10


@row("bench", "--seed")
def with_a_seed(place: Place) -> None:
    report = _of_own_place(place, "--enqueue", "-n", "6", "--seed", "7")
    assert report["seed"] == 7


@row("pause", "--job")
def of_a_name(place: Place) -> None:
    place.cli("pause", "--job", "noop")
    assert place.dump().paused == {"@noop"}


@row("resume", "--job")
def of_a_name_again(place: Place) -> None:
    for command in ("pause", "resume"):
        place.cli(command, "--job", "noop")
    assert place.dump().paused == frozenset()


@row("pause", "--key")
def jobs_with_one_value_of_a_key_wait(place: Place) -> None:
    place.scene.store.set_limits({"each": LimitSettings(concurrency=1, keyed=True)}, 1)
    place.cli("pause", "--key", "acme")
    assert place.dump().paused == {'=each:"acme"'}


@row("resume", "--key")
def they_start_again(place: Place) -> None:
    jobs_with_one_value_of_a_key_wait(place)
    place.cli("resume", "--key", "acme")
    assert place.dump().paused == frozenset()


@row("pause", "--limit")
def whose_key_that_is(place: Place) -> None:
    keyed = LimitSettings(concurrency=1, keyed=True)
    place.scene.store.set_limits({"each": keyed, "other": keyed}, 1)
    place.cli("pause", "--key", "7", "--limit", "other")
    assert place.dump().paused == {"=other:7"}


@row("resume", "--limit")
def whose_key_goes_on(place: Place) -> None:
    whose_key_that_is(place)
    place.cli("resume", "--key", "7", "--limit", "other")
    assert place.dump().paused == frozenset()


@row("pause", "--for")
def for_a_time(place: Place) -> None:
    place.cli("pause", "low", "--for", "90s")
    since_ms, until_ms, _ = place.dump().pauses["low"]
    assert until_ms - since_ms == 90_000


@row("pause", "--note")
def with_a_note(place: Place) -> None:
    place.cli("pause", "low", "--note", "full")
    assert json.loads(place.dump().pauses["low"][2])["note"] == "full"


@row("schedules pause", "--for")
def a_schedule_for_a_time(place: Place) -> None:
    place.cli("schedules pause", "nightly", "--for", "90s")
    since_ms, until_ms, _ = place.dump().pauses["~nightly"]
    assert until_ms - since_ms == 90_000


@row("schedules pause", "--note")
def a_schedule_with_a_note(place: Place) -> None:
    place.cli("schedules pause", "nightly", "--note", "full")
    assert json.loads(place.dump().pauses["~nightly"][2])["note"] == "full"


@row("drain", "--reason")
def why_an_engine_drains(place: Place) -> None:
    (engine, *_) = place.scene.store.engines()
    place.cli("drain", engine, "--reason", "new kernel")
    said = place.scene.store.lane.call("GET", place.scene.store.keys.of("drain", engine))
    assert json.loads(said)["reason"] == "new kernel"


@row("schedules next", "-n")
def so_many_ticks(place: Place) -> None:
    assert len(lines(place.cli("schedules next", "nightly", "-n", 7).stdout)) == 7


def sets(option: str, value: str, settings: LimitSettings) -> None:
    """A row: the limit that allows 100/s and 5 at a time allows this."""

    def act(place: Place) -> None:
        ended = run("limits", "set", place.cli.config, "stripe", option, value)
        assert ended.exit_code == 0, ended.output
        assert [view.settings for view in limits(place.scene.store)] == [settings]

    row("limits set", option)(act)


@row("limits set", "--key")
def of_one_value(place: Place) -> None:
    place.scene.store.set_limits({"stripe": LimitSettings(10_000, 1, 5, keyed=True)}, 2)
    ended = run("limits", "set", place.cli.config, "stripe", "--key", "a", "--concurrency", 2)
    assert ended.exit_code == 0, ended.output
    (view,) = limits(place.scene.store)
    assert view.settings == LimitSettings(10_000, 1, 5, keyed=True)
    assert [taken.settings for taken in view.takes] == [LimitSettings(10_000, 1, 2, keyed=True)]


sets("--rate", "5/m", LimitSettings(12_000_000, 1, 5))
sets("--burst", "7", LimitSettings(10_000, 7, 5))
sets("--concurrency", "none", LimitSettings(10_000, 1, 0))


def _of_own_place(place: Place, *options: str) -> dict[str, Any]:
    ended = apart("bench", place.cli.config, *options, "--json")
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


@row("bench", "--engines")
def so_many_engines(place: Place) -> None:
    known = ("-n", "2", "--rate", "0", "--work", "0.2", "--workers", "1", "--engines", "2")
    bench = started("bench", place.cli.config, *known)
    wait_until(lambda: len(_steppers(place.server)) == 2)
    assert bench.wait(PATIENCE_S) == 0


def _steppers(server: Server) -> set[str]:
    words = server.call("CLIENT", "LIST").decode().split()
    return {word for word in words if word.startswith("name=trioq:step:")}


# -- the table ---------------------------------------------------------------------------------

#: Needs a terminal, or processes: its tests.
ELSEWHERE = {
    ("top", "--interval"): "tests/cli/test_top.py",
    ("enqueue", "--full-timeout"): "tests/cli/test_enqueue.py",
    ("init", "--name"): "tests/cli/test_init.py",
    ("init", "--pyproject"): "tests/cli/test_init.py",
    ("dev", "--watch"): "tests/cli/test_dev.py",
    ("shell", "-c"): "tests/cli/test_shell.py",
    ("web show", "--bind"): "tests/cli/test_web.py",
    ("serve", "--processes"): "tests/faults/test_processes.py",
    ("scale", "--pid"): "tests/faults/test_processes.py",
    ("scale", "--json"): "tests/faults/test_processes.py",
} | {("bench", option): "tests/cli/test_bench.py" for option in OF_THE_BENCHMARK}
ELSEWHERE |= {
    ("run", option): "tests/cli/test_run.py"
    for option in ("--file", "--copy-of", "--queue", "--id", "--attempt", "--pdb")
}


def test_every_option_has_a_row() -> None:
    known = {key for key in ALL if key[1] in EVERYWHERE} - ELSEWHERE.keys()
    known |= {("serve", "--drain")}  # the rows of its other options end because of it
    assert set(ALL) == known | TABLE.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize(("command", "option"), ELSEWHERE)
def test_what_is_tested_elsewhere_is_named_there(command: str, option: str) -> None:
    short = {"--jobs": '"-n"'}.get(option, f'"{option}"')
    assert short in Path(ELSEWHERE[command, option]).read_text()


@pytest.mark.parametrize(("command", "option"), TABLE)
def test_an_option_acts(place: Place, command: str, option: str) -> None:
    TABLE[command, option](place)


def test_filters_together_choose_what_each_of_them_chooses(place: Place) -> None:
    both = ("--name", "convert", "--error", "disk")
    assert len(place.cli.json("dead list", *both)) == 1
    for command in ("dead revive", "dead purge"):
        before = place.dump()
        assert place.cli(command, *both, "--yes").exit_code == 0
        assert place.touched(before) == ({"dead convert full"} if "revive" in command else set())


@pytest.mark.parametrize(
    ("command", "arguments", "touched"),
    [
        ("cancel", ["low 1"], {"low 1"}),
        ("cancel", ["low 2", "scheduled"], {"low 2", "scheduled"}),
        ("cancel", ["parked"], {"parked"}),
        ("dead revive", ["dead noop full"], {"dead noop full"}),
        ("dead purge", ["dead noop full", "--yes"], {"dead noop full"}),
        ("purge", ["low", "--yes"], LOW),
        ("pause", ["low"], set()),
        ("resume", ["low"], set()),
    ],
)
def test_a_command_touches_what_it_is_told_and_nothing_else(
    place: Place, command: str, arguments: list[str], touched: set[str]
) -> None:
    before = place.dump()
    words = [place.jobs[a] if a.startswith("dead ") else a for a in arguments]
    assert place.cli(command, *words).exit_code == 0
    assert place.touched(before) == touched
    assert place.dump().paused == ({"low"} if command == "pause" else set())


# -- options that are the same everywhere ------------------------------------------------------

#: What a command is asked, where it needs to be told more than the configuration.
ASKED = {
    "enqueue": ["noop"], "peek": ["low"], "job": ["low 1"], "explain": ["low 1"],
    "result": ["low 1"], "hasten": ["scheduled"],
    "cancel": ["--name", "noop"], "drain": ["an engine"],
    "dead show": ["dead noop full"], "dead edit": ["dead noop full", "{}"],
    "dead revive": ["--all"], "dead purge": ["--all"],
    "pause": ["low"], "resume": ["low"], "purge": ["low"], "bench": ["--clear"],
    **{f"schedules {word}": ["nightly"] for word in ("show", "next", "run", "pause", "resume")},
    "limits set": ["stripe", "--burst", "2"],
}  # fmt: skip

#: What goes wrong where nobody has said yes to it.
AFTER_A_QUESTION = [command for command, option in ALL if option == "--yes"]
DRY = [command for command, option in ALL if option == "--dry-run"]
#: Those that tell how many, and not what became of each.
COUNTED = [command for command in DRY if command != "cancel"]
#: Those that need processes, or take over the logs of this one, have tests of their own.
JSON = [
    command
    for command, option in ALL
    if option == "--json" and command not in ("scale", "run", "web hash-password", "web new-token")
]


def asked(place: Place, command: str) -> list[str]:
    known = {**place.jobs, "an engine": place.scene.driver.engine}
    return [known.get(word, word) for word in ASKED.get(command, [])]


@pytest.mark.parametrize("command", JSON)
def test_json_is_one_document_and_nothing_else(place: Place, command: str) -> None:
    yes = ["--yes"] if command in AFTER_A_QUESTION else []
    words = [*command.split(), *([] if command == "config schema" else [place.cli.config])]
    ended = run(*words, *asked(place, command), *yes, "--json")
    json.loads(ended.stdout)


def test_whatever_can_be_undone_by_nobody_has_a_dry_run() -> None:
    assert set(DRY) == {"purge", "dead purge", "dead revive", "cancel"}


@pytest.mark.parametrize("command", COUNTED)
def test_a_dry_run_says_how_many_and_changes_nothing(place: Place, command: str) -> None:
    """Whatever else is said, ``--yes`` too."""
    before = place.server.call("DEBUG", "DIGEST")
    words = asked(place, command)
    told = place.cli.json(command, *words, "--dry-run", "--yes")
    assert told["dry_run"] is True
    said = place.cli(command, *words, "--dry-run").stdout
    assert "would" in said
    assert place.server.call("DEBUG", "DIGEST") == before
    would = int(said.split()[-1])
    done = place.cli.json(command, *words, "--yes")
    (key,) = {"purged", "revived"} & done.keys()
    assert would == (sum(done[key].values()) if isinstance(done[key], dict) else done[key]) > 0
    assert done["dry_run"] is False


@pytest.mark.parametrize("command", AFTER_A_QUESTION)
def test_without_yes_nobody_can_be_asked_and_nothing_is_changed(place: Place, command: str) -> None:
    place.server.call("SET", "{t.bench-00000000}:jobs", "left behind")
    before = place.server.call("DEBUG", "DIGEST")
    ended = place.cli(command, *asked(place, command))
    assert ended.exit_code == 2
    assert "--yes" in ended.stderr
    assert place.server.call("DEBUG", "DIGEST") == before
    assert place.cli(command, *asked(place, command), "--yes").exit_code == 0
    assert place.server.call("DEBUG", "DIGEST") != before


@pytest.mark.parametrize("command", COUNTED)
def test_a_rate_makes_it_take_its_time(place: Place, command: str) -> None:
    began = time.monotonic()
    told = place.cli.json(command, *asked(place, command), "--rate", "10", "--yes")
    (key,) = {"purged", "revived"} & told.keys()
    done = sum(told[key].values()) if isinstance(told[key], dict) else told[key]
    assert time.monotonic() - began >= done / 10 >= 0.2
    assert stats(place.scene.store).records == len(place.jobs) - (
        0 if command == "dead revive" else done
    )
