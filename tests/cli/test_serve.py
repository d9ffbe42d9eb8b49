"""``trioq serve``: what stops it from starting is a line each; a signal is no failure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import lines, only_error, run
from tests.cli.test_config import WRONG
from tests.support import Server, trioq, trioq_started, wait_until
from trioq.store.inspect import stats
from trioq.store.redis import RedisStore

APP = """
import trio, trioq
app = trioq.App()

@app.job
async def slow(seconds: float):
    open("started", "w").close()
    await trio.sleep(seconds)
"""

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
[observability]
bind = ""
log_format = "json"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "q.toml"


def refusal(config: Path, text: str, *options: str) -> str:
    """The one line with which it ends at once, exit code 1."""
    config.write_text(text)
    return only_error(run("serve", config, *options), 1)


# -- what stops it -----------------------------------------------------------------------------


def test_a_configuration_that_is_wrong_in_ten_ways_is_ten_lines(config: Path) -> None:
    config.write_text(WRONG)
    result = run("serve", config)
    assert (result.exit_code, result.stdout) == (2, "")
    faults = lines(result.stderr)
    assert len(faults) == 10
    paths = {fault.split(": ")[2] for fault in faults}
    assert len(paths) == 10
    assert all(fault.startswith(f"trioq: {config}: ") for fault in faults)


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("nowhere_at_all:app", "app: can't import 'nowhere_at_all' (looked in "),
        ("serve_no_app:nothing", "app: 'serve_no_app' ("),
        ("serve_no_app:thing", "app: 'serve_no_app:thing' is an object of type int"),
    ],
)
def test_an_app_that_is_not_there_is_a_fault_of_the_configuration(
    config: Path, monkeypatch: pytest.MonkeyPatch, app: str, said: str
) -> None:
    (config.parent / "serve_no_app.py").write_text("thing = 1\n")
    monkeypatch.syspath_prepend(config.parent)
    config.write_text(f'app = "{app}"\n')
    assert only_error(run("serve", config), 2).startswith(said)


def test_a_producer_without_a_directory_is_a_fault_of_the_configuration(config: Path) -> None:
    config.write_text("")
    said = only_error(run("serve", config, "--role", "producer"), 2)
    assert said == f"{config}: producer: the producer role needs a [producer] section"


def test_a_server_that_is_not_there_is_one_line(config: Path, free_port: int) -> None:
    for options in ([], ["--drain"]):
        said = refusal(config, f'redis.url = "redis://127.0.0.1:{free_port}"', *options)
        assert said == (
            f"redis://127.0.0.1:{free_port}/0: nothing listens there: is the server running?"
        )


def test_a_host_that_is_not_there_is_one_line(config: Path) -> None:
    said = refusal(config, 'redis.url = "redis://nowhere.invalid"')
    assert said.startswith("redis://nowhere.invalid:6379/0: the host's name can't be resolved (")
    assert said.endswith("): check redis.url")


def test_a_wrong_password_is_one_line_that_does_not_show_it(
    own_server: Server, config: Path
) -> None:
    own_server.call("CONFIG", "SET", "requirepass", "right")
    text = f'[redis]\nurl = "{own_server.url}"\n'
    said = refusal(config, text + 'password = "canary"')
    assert said == (
        f"{own_server.url}: wrong user name or password: set redis.username and redis.password,"
        " or TRIOQ_REDIS__PASSWORD"
    )
    assert refusal(config, text).endswith(
        "the server wants a password: set redis.password or TRIOQ_REDIS__PASSWORD"
    )


def test_a_data_directory_that_cannot_be_written_is_one_line(config: Path) -> None:
    assert refusal(config, 'redis.url = "embedded:q.toml/data"') == (
        f"embedded:q.toml/data: {config}/data: can't be written: Not a directory"
    )
    said = refusal(config, 'redis.url = "embedded:/sys/trioq-data"')  # nobody may, not even root
    assert said.startswith("embedded:/sys/trioq-data: /sys/trioq-data: can't be written: ")


def test_a_server_whose_disk_is_full_is_one_line(own_server: Server, config: Path) -> None:
    (own_server.directory / "dump.rdb").mkdir()  # so that a snapshot has nowhere to go
    own_server.call("CONFIG", "SET", "save", "60 10000")
    own_server.call("BGSAVE")
    wait_until(lambda: b"rdb_last_bgsave_status:err" in own_server.call("INFO", "persistence"))
    said = refusal(config, f'redis.url = "{own_server.url}"')
    assert said.startswith(
        f"{own_server.url}: the server can't write to its disk and takes no jobs: see its log"
    )


def test_a_server_that_would_throw_jobs_away_is_one_line(own_server: Server, config: Path) -> None:
    own_server.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert "CONFIG SET maxmemory-policy noeviction" in refusal(
        config, f'redis.url = "{own_server.url}"'
    )


# -- how it ends -------------------------------------------------------------------------------


@pytest.fixture
def engine(server: Server, config: Path) -> Iterator[subprocess.Popen[str]]:
    """An engine in a process of its own, its log in ``log``."""
    (config.parent / "serve_app.py").write_text(APP)
    config.write_text('app = "serve_app:app"\n' + CONFIG.format(url=server.url))
    with (config.parent / "log").open("w") as log:
        process = trioq_started("serve", config, cwd=config.parent, stderr=log)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def logged(config: Path) -> list[str]:
    """The names of the events so far."""
    return [json.loads(line)["event"] for line in lines((config.parent / "log").read_text())]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_after_the_running_job_b31(
    engine: subprocess.Popen[str], store: RedisStore, config: Path, number: int
) -> None:
    """The predecessor's producer ended with 1 when it was told to stop."""
    assert run("enqueue", config, "slow", '{"seconds": 0.3}').exit_code == 0
    wait_until((config.parent / "started").exists)
    os.kill(engine.pid, number)
    assert engine.wait(30) == 0
    now = stats(store)
    assert (now.counters["done"], now.running) == (1, 0)
    assert logged(config)[-1] == "engine_stopped"


def test_a_second_signal_cuts_the_grace_short_and_the_job_is_given_back(
    engine: subprocess.Popen[str], store: RedisStore, config: Path
) -> None:
    assert run("enqueue", config, "slow", '{"seconds": 60}').exit_code == 0
    wait_until((config.parent / "started").exists)
    engine.send_signal(signal.SIGTERM)
    wait_until(lambda: "engine_stopping" in logged(config))
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(30) == 0
    now = stats(store)
    assert (now.queues["low"].ready, now.running, now.counters.get("done", 0)) == (1, 0, 0)
    (job,) = json.loads(run("peek", config, "low", "--json").stdout)
    assert job["attempts"] == []


def test_it_runs_where_the_shell_has_closed_every_stream(server: Server, config: Path) -> None:
    config.write_text(CONFIG.format(url=server.url))
    command = f'exec "{sys.executable}" -m trioq serve "{config}" --drain <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode == 0


def test_its_log_is_json_off_a_terminal_and_nothing_goes_to_stdout(
    server: Server, config: Path
) -> None:
    config.write_text(CONFIG.format(url=server.url).replace('log_format = "json"\n', ""))
    process = trioq_started(
        "serve", config, "--drain", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert {"connected", "drained"} <= {json.loads(line)["event"] for line in lines(err)}


def test_an_engine_whose_log_nobody_reads_runs_its_jobs_and_ends_on_a_signal(
    server: Server, store: RedisStore, config: Path
) -> None:
    (config.parent / "serve_app.py").write_text(APP)
    config.write_text(
        'app = "serve_app:app"\n' + CONFIG.format(url=server.url) + 'log_level = "debug"\n'
    )
    with pipe_that_nobody_reads() as unread:
        process = trioq_started("serve", config, cwd=config.parent, stderr=unread)
        try:
            jobs = '{"seconds": 0}\n' * 3000
            assert run("enqueue", config, "slow", "--from", "-", input=jobs).exit_code == 0
            wait_until(lambda: stats(store).counters.get("done", 0) == 3000)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()


@contextmanager
def pipe_that_nobody_reads() -> Iterator[int]:
    reader, writer = os.pipe()
    try:
        yield writer
    finally:
        os.close(reader)
        os.close(writer)


def test_what_is_probably_not_meant_is_told_at_the_start(server: Server, config: Path) -> None:
    config.write_text(CONFIG.format(url=server.url))
    env = {"TRIOQ_FAILPOINT": "step.before:kill", "TRIOQ_OBSERVABILITY__BIND": "0.0.0.0:0"}
    ended = trioq("serve", config, "--drain", env=env)
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in lines(ended.stderr)]
    advice = [line["advice"] for line in told if line["event"] == "configuration"]
    assert [line.partition(":")[0] for line in advice] == ["TRIOQ_FAILPOINT", "observability.bind"]
