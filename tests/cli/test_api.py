"""``--api URL``: a command says and does over the API of a page what it does beside Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import click
import pytest
import structlog
import trio
from click.testing import Result
from starlette.types import Receive, Scope, Send

import trioq as library
from tests.cli.conftest import Cli, only_error, run, write_config
from tests.scene import Scene
from tests.support import Server, new_job
from tests.web.api.conftest import AtDesk, served
from trioq.cli import COMMANDS, cli
from trioq.cli.afar import can
from trioq.core.limits import LimitSettings
from trioq.core.settlements import Cancel, DeadLetter, Park
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.store.inspect import limits, pauses, stats
from trioq.web.api.endpoints import refusal
from trioq.web.desk import Desk
from trioq.web.problems import Problem
from trioq.web.server import serve
from trioq.web.who.roles import Role, User

TOKEN = "t0ken"


@attrs.define
class Guarded:
    """The API, for who has the token."""

    app: AtDesk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (b"authorization", f"Bearer {TOKEN}".encode()) in scope.get("headers", ()):
            await self.app(scope, receive, send)
        else:
            await refusal(Problem(401, "Who are you?"))(scope, receive, send)


@attrs.define
class Afar:
    """Runs commands over an API."""

    url: str
    guarded: Guarded

    def __call__(self, command: str, *arguments: object, token: str = TOKEN) -> Result:
        """``trioq COMMAND ARGUMENTS --api URL``."""
        env = {"TRIOQ_API_TOKEN": token}
        return run(*command.split(), *arguments, "--api", self.url, env=env)

    def as_role(self, role: Role) -> None:
        """From now on the token is of this role."""
        self.guarded.app.user = User("ana", role)


@pytest.fixture
def afar(server: Server, tmp_path: Path) -> Iterator[Afar]:
    """A page on the same data set, served over HTTP."""
    config = load(write_config(tmp_path, server))
    started = threading.Event()
    found: dict[str, object] = {}

    async def main(desk: Desk) -> None:
        listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        found["port"] = listener.socket.getsockname()[1]
        found["guarded"] = guarded = Guarded(served(desk))
        with trio.CancelScope() as found["scope"]:
            found["token"] = trio.lowlevel.current_trio_token()
            started.set()
            await serve(guarded, listener)

    with open_store(config) as connector, structlog.testing.capture_logs():
        thread = threading.Thread(target=trio.run, args=(main, Desk(config, connector)))
        thread.start()
        assert started.wait(10)
        guarded, token, scope = found["guarded"], found["token"], found["scope"]
        assert isinstance(guarded, Guarded)
        assert isinstance(token, trio.lowlevel.TrioToken)
        assert isinstance(scope, trio.CancelScope)
        try:
            yield Afar(f"http://127.0.0.1:{found['port']}", guarded)
        finally:
            token.run_sync_soon(scope.cancel)
            thread.join(10)


@pytest.fixture
def busy(scene: Scene) -> Scene:
    """Something of everything."""
    scene.dead(new_job(id="dead-1", payload=b'{"path": "a.png"}'))
    scene.enqueue(new_job("low", id="a b"), new_job("high"), new_job("low", delay_ms=3_600_000))
    (claim,) = scene.driver.step(1)
    scene.driver.step(0, Park(claim.uid, scene.driver.n, "high", "noop"))
    scene.store.set_limits({"each": LimitSettings(12_000_000, 2, 7, True)}, 1)
    return scene


LOOKS = [
    "stats", "stats --keys", "engines", "peek low", "jobs", "jobs --state dead",
    "jobs --name noop -n 1",
    "job dead-1", "job nobody", "explain dead-1", "explain --queue low", "explain nobody",
    "result dead-1", "result nobody", "dead list", "dead list --error such -n 1",
    "dead show dead-1", "dead show nobody", "dead export", "dead groups", "pause", "breakers",
    "limits", "schedules", "schedules show nightly", "schedules next nightly", "cancel nobody",
    "cancel --name noop --dry-run", "dead revive --all --dry-run", "purge --all --dry-run",
    "dead revive nobody", "pause lw", "breakers reset x", "schedules run nighty",
    "limits set eac --burst 3", "explain --queue lw",
]  # fmt: skip

#: What isn't told in lines, but as JSON.
NO_JSON = {"dead export"}


#: Groups, whose first word isn't the whole command.
GROUPS = ("dead", "schedules show", "schedules next", "schedules run", "limits set")


@pytest.mark.parametrize("command", LOOKS)
def test_what_is_told_over_an_api_is_what_is_told_beside_redis(
    trioq: Cli, afar: Afar, busy: Scene, command: str
) -> None:
    with library.connect_sync(trioq.config) as client:
        client.schedules.put("nightly", "noop", queue="low", every=86_400)
    trioq("pause", "low", "--note", "why", "--for", "1h")
    words = command.split()
    count = 2 if command.startswith(GROUPS) else 1
    first, rest = " ".join(words[:count]), words[count:]
    for more in [(), ("--json",)] if command not in NO_JSON else [()]:
        near, far = trioq(first, *rest, *more), afar(first, *rest, *more)
        assert far.exit_code == near.exit_code, (near.output, far.output)
        assert far.stdout.replace(f" over {afar.url}", "") == near.stdout
        assert far.stderr == near.stderr


def test_queues_names_and_keys_are_paused_over_an_api_by_the_user_of_the_token(
    afar: Afar, busy: Scene
) -> None:
    assert afar("pause", "low", "--note", "why", "--for", "1h").stdout == "low is paused\n"
    assert afar("pause", "low").stdout == "low is paused, as it was before\n"
    assert afar("pause", "--key", "acme").stdout == 'each for "acme" is paused\n'
    assert json.loads(afar("pause", "--job", "noop", "--json").stdout) == {
        "job": "noop", "paused": True, "changed": True,
    }  # fmt: skip
    found = pauses(busy.store)
    assert found.queues["low"].by == "ana"
    assert (found.names.keys(), found.takes.keys()) == ({"noop"}, {'each:"acme"'})
    for what in (["low"], ["--job", "noop"], ["--key", "acme"]):
        assert afar("resume", *what).exit_code == 0
    assert not pauses(busy.store).as_json()


def test_limits_are_set_over_an_api(afar: Afar, busy: Scene) -> None:
    told = afar("limits set", "each", "--rate", "none", "--concurrency", "3")
    assert told.stdout == "each: 3 running\n"
    told = afar("limits set", "each", "--key", "acme", "--concurrency", "9")
    assert told.stdout == 'each for "acme": 9 running\n'
    (view,) = limits(busy.store)
    assert (view.settings, view.takes[0].settings) == (
        LimitSettings(0, 2, 3, True),
        LimitSettings(0, 2, 9, True),
    )


def test_jobs_are_cancelled_over_an_api(afar: Afar, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="a"), *[new_job("low", name="many") for _ in range(450)])
    assert afar("cancel", "a", "--reason", "no").stdout == "cancelled a\n"
    told = afar("cancel", "a", "nobody", "--json")
    assert [each["result"] for each in json.loads(told.stdout)] == ["cancelled", "unknown"]
    assert told.exit_code == 1
    assert "--yes" in only_error(afar("cancel", "--name", "many"), 2)
    assert afar("cancel", "--name", "many", "--yes").stdout == "cancelled 450\n"
    assert stats(scene.store).queues["low"].ready == 0


def test_jobs_are_hastened_over_an_api(afar: Afar, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="later", delay_ms=60_000))
    assert afar("hasten", "later").stdout == "later is due now\n"
    told = afar("hasten", "nobody", "--json")
    assert (told.exit_code, json.loads(told.stdout)) == (1, [{"id": "nobody", "result": "unknown"}])


def test_who_runs_is_waited_for_over_an_api(afar: Afar, scene: Scene) -> None:
    scene.enqueue(new_job("low", id="runs"))
    (claim,) = scene.driver.step(1)
    told = afar("cancel", "runs", "--wait", "0")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "it runs; it stays asked to end" in told.stderr
    scene.driver.step(0, Cancel(claim.uid, scene.driver.n, b"{}"))
    told = afar("cancel", "runs")
    assert told.exit_code == 0, told.output


def test_the_dead_are_revived_and_purged_over_an_api(afar: Afar, scene: Scene) -> None:
    scene.dead(*[new_job(id=f"d{n}") for n in range(9)])
    told = json.loads(afar("dead revive", "d0", "nobody", "--json").stdout)
    assert (told["revived"], told["not_dead"]) == (1, ["nobody"])
    assert afar("dead revive", "--error", "such", "--rate", "1000", "--yes").stdout == "revived 8\n"
    claims = scene.driver.step(9)
    n = scene.driver.n
    scene.driver.step(0, *[DeadLetter(c.uid, n, 1, "failures", b"") for c in claims])
    assert afar("dead purge", "--name", "noop", "--yes").stdout == "purged 9\n"
    assert stats(scene.store).dead == 0


def test_queues_are_purged_and_schedules_run_over_an_api(
    trioq: Cli, afar: Afar, scene: Scene
) -> None:
    scene.enqueue(*[new_job("low") for _ in range(600)])
    told = json.loads(afar("purge", "low", "--yes", "--json").stdout)
    assert told == {"waiting": {"low": 600}, "purged": {"low": 600}, "dry_run": False}
    with library.connect_sync(trioq.config) as client:
        client.schedules.put("nightly", "noop", queue="low", every=86_400)
    assert afar("schedules run", "nightly").stdout.endswith(" is in low\n")
    assert afar("schedules pause", "nightly").stdout == "nightly is paused\n"
    assert afar("schedules resume", "nightly").stdout == "nightly is resumed\n"
    assert stats(scene.store).queues["low"].ready == 1


def test_a_job_is_followed_over_an_api_to_its_end(afar: Afar, busy: Scene) -> None:
    told = afar("job", "dead-1", "--follow", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout.splitlines()[-1])["state"] == "dead"


def test_the_doctor_looks_over_an_api(trioq: Cli, afar: Afar) -> None:
    near, far = trioq.json("doctor"), json.loads(afar("doctor", "--json").stdout)
    checks = [each["check"] for each in near["findings"]]
    assert [each["check"] for each in far["findings"]] == checks


# -- what goes wrong ---------------------------------------------------------------------------


def test_who_isnt_known_or_maynt_is_told(afar: Afar, busy: Scene) -> None:
    says = only_error(afar("stats", token=""), 1)
    assert says == (
        f"{afar.url} doesn't know who asks: it takes a token, which TRIOQ_API_TOKEN has, or a file"
        " TRIOQ_API_TOKEN_FILE"
    )
    says = only_error(afar("stats", token="wrong"), 1)
    assert says == f"{afar.url} doesn't know who asks: the token isn't right"
    afar.as_role(Role.read)
    says = only_error(afar("pause", "low"), 1)
    assert says == "queues.pause takes the role operate, and ana has read"
    assert afar("stats").exit_code == 0


def test_a_token_may_lie_in_a_file_and_the_api_in_the_environment(
    afar: Afar, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    env = {"TRIOQ_API": afar.url, "TRIOQ_API_TOKEN_FILE": str(file), "TRIOQ_API_TOKEN": ""}
    assert run("stats", "--json", env=env).exit_code == 0
    missing = env | {"TRIOQ_API_TOKEN_FILE": str(tmp_path / "none")}
    assert "No such file" in run("stats", env=missing).stderr


def test_what_isnt_an_api_or_isnt_there_is_told(afar: Afar, free_port: int) -> None:
    elsewhere = attrs.evolve(afar, url=f"{afar.url}/below")
    assert (
        only_error(elsewhere("stats"), 1) == f"{elsewhere.url} is no API of trioq: it answers 404"
    )
    nowhere = attrs.evolve(afar, url=f"http://127.0.0.1:{free_port}")
    says = only_error(nowhere("stats"), 1)
    assert says == f"{nowhere.url} can't be reached: Connection refused"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["serve", "--api", "http://x"], "trioq serve needs Redis itself"),
        (["enqueue", "--api=http://x", "noop"], "trioq enqueue needs Redis itself"),
        (["stats", "--api", "redis://x"], "--api takes one URL"),
        (["stats", "--api"], "--api takes one URL"),
        (["stats", "--api", "http://x", "--api", "http://y"], "--api takes one URL"),
        (["stats", "jobqueue.toml", "--api", "http://x"], "Say which: CONFIG, or --api URL."),
    ],
)
def test_wrong_use_is_told(words: list[str], says: str) -> None:
    ended = run(*words)
    assert (ended.exit_code, says in ended.stderr) == (2, True), ended.stderr


def test_a_token_that_goes_over_a_network_in_clear_is_warned_of() -> None:
    ended = run("stats", "--api", "http://nowhere.invalid", env={"TRIOQ_API_TOKEN": TOKEN})
    assert "warning: the token goes to http://nowhere.invalid in clear" in ended.stderr
    assert ended.exit_code == 1


def test_all_admin_commands_go_over_an_api_and_no_others() -> None:
    able = {
        name
        for name in COMMANDS
        if (command := cli.get_command(click.Context(cli), name)) is not None
        and (can(command) or any(map(can, getattr(command, "commands", {}).values())))
    }
    assert able == {
        "stats", "engines", "drain", "peek", "jobs", "job", "explain", "result", "cancel",
        "hasten", "dead", "pause", "resume", "breakers", "purge", "limits", "schedules", "doctor",
    }  # fmt: skip
