"""``trioq config`` and ``trioq acl``: nothing is started, nothing secret is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli

from tests.cli.conftest import lines, only_error, run
from tests.support import Server
from trioq.settings import load

ROOT = Path(__file__).parents[2]

WRONG = """
namespce = "x"
default_queue = "nowhere"
[redis]
url = "ftp://h"
[[queues]]
name = "a"
weight = "heavy"
[[queues]]
name = "a"
[worker]
count = 'four'
timeout = true
[circuit_breaker]
failure_threshold = 1.5
[commands.x]
argv = ["a", "{"]
[reaper]
interval = "1h"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "q.toml"


def test_the_sample_configuration_is_right() -> None:
    result = run("config", "check", ROOT / "jobqueue.toml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{ROOT}/jobqueue.toml: nothing is wrong\n"


def test_all_faults_come_at_once_a_line_each(config: Path) -> None:
    config.write_text(WRONG)
    result = run("config", "check", config)
    assert (result.exit_code, result.stdout) == (2, "")
    faults = lines(result.stderr)
    assert len(faults) == 10
    assert all(fault.startswith(f"trioq: {config}: ") for fault in faults)
    told = run("config", "check", config, "--json")
    assert told.exit_code == 2
    assert [f"trioq: {fault}" for fault in json.loads(told.stdout)["faults"]] == faults


def test_what_is_allowed_but_not_meant_is_a_warning(config: Path) -> None:
    config.write_text('redis.url = "redis://:secret@example.com"\n[producer]\njob = "nobody"\n')
    result = run("config", "check", config)
    assert result.exit_code == 0
    said = lines(result.stderr)
    assert len(said) == 4
    assert all(line.startswith("trioq: warning: ") for line in said)
    assert "trioq: warning: producer.job: no handler 'nobody' is known here" in said
    assert len(json.loads(run("config", "check", config, "--json").stdout)["warnings"]) == 4


def test_the_app_is_part_of_the_check(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('app = "nowhere.jobs:app"\n')
    assert "app: can't import 'nowhere.jobs'" in run("config", "check", config).stderr
    assert run("config", "check", config).exit_code == 2
    assert run("config", "check", config, "--no-app").exit_code == 0
    monkeypatch.syspath_prepend(config.parent)
    (config.parent / "cli_config_app.py").write_text(
        "import trioq\napp = trioq.App()\n@app.job(queue='gone')\ndef a(): ...\n"
    )
    config.write_text('app = "cli_config_app:app"\n')
    assert run("config", "check", config).stderr == (
        "trioq: warning: app: 'a' goes to the queue 'gone', which isn't configured\n"
    )


FAULTY_APP = """
import trioq
app = trioq.App()
@app.job(limits=trioq.Limit("a", rate=1), breaker=trioq.Breaker("b", window=5))
def charge(tenant: str): ...
@app.job(limits=trioq.Limit("a", rate=2), breaker=trioq.Breaker("b", window=9))
def refund(tenant: str): ...
@app.job(limits=[trioq.Limit(f"l{i}", rate=1) for i in range(9)])
def busy(tenant: str): ...
@app.job
def taken(): ...
"""

FAULTY = """
app = "{module}:app"
[[queues]]
name = "high"
[worker]
count = 0
[limits.nothing]
jobs = ["chrage"]
[limits.keyed]
jobs = ["charge"]
key = "tennant"
rate = "soon"
[limits.elsewhere]
queue = "hihg"
rate = 1
[breakers.c]
jobs = ["nobdy"]
[commands.taken]
argv = ["true"]
"""


@pytest.fixture
def faulty(config: Path, request: pytest.FixtureRequest) -> Path:
    module = f"faulty_{abs(hash(request.node.name))}"
    (config.parent / f"{module}.py").write_text(FAULTY_APP)
    config.write_text(FAULTY.replace("{module}", module))
    return config


def test_faults_of_file_and_app_come_at_once_each_with_its_place(faulty: Path) -> None:
    told = [
        line.removeprefix(f"trioq: {faulty}: ").split(": ")[0]
        for line in lines(run("config", "check", faulty).stderr)
    ]
    assert told == [
        "worker.count", "limits.keyed.rate",
        "limits.elsewhere.queue", "limits.nothing",
        "commands.taken", "limits.nothing.jobs[0]", "app", "limits.keyed.key", "app",
        "breakers.c.jobs[0]", "app",
    ]  # fmt: skip


def test_serve_tells_the_same(faulty: Path) -> None:
    served, checked = run("serve", faulty), run("config", "check", faulty)
    assert (served.exit_code, served.stderr) == (2, checked.stderr)
    faulty.write_text(f'app = "{load_app_name(faulty)}"\n')
    served, checked = run("serve", faulty), run("config", "check", faulty)
    assert (served.exit_code, served.stderr) == (2, checked.stderr)
    assert len(lines(served.stderr)) == 3, "also where only the app is wrong"


def load_app_name(faulty: Path) -> str:
    return str(tomli.loads(faulty.read_text())["app"])


def test_what_a_variable_says_of_jobs_is_told_of_the_variable(faulty: Path) -> None:
    faulty.write_text(f'app = "{load_app_name(faulty)}"\nlimits.n = {{rate = 1, jobs = ["x"]}}\n')
    line = "trioq: TRIOQ_LIMITS__N__JOBS: limits.n.jobs[0]: no handler is called 'chrage'"
    for command in (["config", "check"], ["serve"]):
        said = run(*command, faulty, env={"TRIOQ_LIMITS__N__JOBS": '["chrage"]'})
        assert line in said.stderr


def test_without_an_app_unknown_jobs_are_a_warning(config: Path) -> None:
    config.write_text('limits.n = {rate = 1, jobs = ["charge"]}\n')
    result = run("config", "check", config)
    assert result.exit_code == 0
    assert result.stderr.startswith("trioq: warning: limits.n.jobs[0]: no handler is called")


def test_show_prints_what_is_in_effect_and_where_it_comes_from(config: Path) -> None:
    config.write_text('namespace = "mine"\n')
    env = {"TRIOQ_WORKER__COUNT": "32", "TRIOQ_REDIS__PASSWORD": "canary"}
    shown = run("config", "show", config, env=env)
    assert 'namespace = "mine"\n' in shown.stdout
    assert "count = 32  # from TRIOQ_WORKER__COUNT\n" in shown.stdout
    assert 'password = "' in shown.stdout
    assert "canary" not in shown.output
    told = json.loads(run("config", "show", config, "--json", env=env).stdout)
    assert told == tomli.loads(shown.stdout)
    assert told["worker"]["count"] == 32


def test_what_show_prints_is_a_configuration_of_the_same_meaning(config: Path) -> None:
    config.write_text('[worker]\nlease = "8s"\n[[queues]]\nname = "only"\nmax_length = 3\n')
    again = config.parent / "again.toml"
    again.write_text(run("config", "show", config).stdout)
    assert load(again) == load(config)


def test_schema_is_a_json_schema_and_needs_no_file() -> None:
    for more in ([], ["--json"]):
        told = json.loads(run("config", "schema", *more).stdout)
        assert told["$schema"].startswith("https://json-schema.org/")
        assert "worker" in told["properties"]


def test_a_missing_subcommand_shows_the_help() -> None:
    result = run("config")
    assert result.exit_code == 2
    assert "check" in result.stderr


# -- acl ---------------------------------------------------------------------------------------


def test_the_permissions_printed_make_a_user_that_can_do_everything(
    own_server: Server, config: Path
) -> None:
    config.write_text(f'namespace = "t"\nredis.url = "{own_server.url}"\n')
    words = run("acl", config, "--operator").stdout.split()
    assert words[:5] == ["ACL", "SETUSER", "trioq", "on", ">PASSWORD"]
    own_server.call(*words)
    config.write_text(
        'namespace = "t"\n[redis]\nusername = "trioq"\npassword = "PASSWORD"\n'
        f'url = "{own_server.url}"\n'
    )
    for arguments in (
        ["enqueue", "fingerprint"], ["stats"], ["stats", "--keys"], ["engines"], ["peek", "low"],
        ["pause", "low"], ["resume", "low"], ["purge", "--all", "--yes"], ["dead", "list"],
        ["doctor"],
    ):  # fmt: skip
        at = 2 if arguments[0] == "dead" else 1
        result = run(*arguments[:at], config, *arguments[at:])
        hint = "trioq: no engine serves low\n" if "peek" in arguments else ""
        assert (result.exit_code, result.stderr) == (0, hint), arguments
    assert [entry[3:8:4] for entry in own_server.call("ACL", "LOG")] == []


def test_the_permissions_are_for_one_namespace_and_ask_no_server(config: Path) -> None:
    config.write_text('namespace = "mine"\nredis.url = "redis://nowhere.invalid"\n')
    told = json.loads(run("acl", config, "--user", "me", "--json").stdout)
    assert (told["namespace"], told["user"]) == ("mine", "me")
    assert "~{mine}:*" in told["rules"]
    assert "+scan" not in told["rules"]
    assert "+scan" in run("acl", config, "--operator").stdout.split()


def test_a_configuration_that_cannot_be_read_is_one_line(config: Path) -> None:
    config.write_bytes(b"\xff")
    for command in ("check", "show"):
        assert only_error(run("config", command, config), 2) == f"{config}: not UTF-8 in line 1"
