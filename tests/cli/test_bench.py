"""The benchmark: what it says is so, and it leaves everything as it was."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import only_error, run
from tests.support import Server, new_job, trioq, trioq_started, wait_until
from trioq.cli.bench.figures import Spread
from trioq.cli.bench.load import Load
from trioq.store.checks import minimal_acl
from trioq.store.inspect import stats

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
[[queues]]
name = "high"
[[queues]]
name = "low"
max_length = 10
[worker]
count = 4
grace = "0s"
lease = "2s"
heartbeat_interval = "400ms"
[reaper]
interval = "300ms"
"""

OF_THE_APP = """
[limits.mails]
jobs = ["mail"]
concurrency = 1
[breakers.smtp]
jobs = ["mail"]
[schedules.nightly]
job = "report"
cron = "0 3 * * *"
"""


@pytest.fixture
def config(tmp_path: Path, server: Server) -> Path:
    return configured(tmp_path, server)


@pytest.fixture
def alone(server: Server) -> Iterator[None]:
    """Whatever is connected in the end was left behind by the test."""
    yield
    wait_until(lambda: not connected(server))


def configured(directory: Path, server: Server) -> Path:
    path = directory / "jobqueue.toml"
    path.write_text(CONFIG.format(url=server.url))
    return path


def connected(server: Server) -> list[bytes]:
    """Lanes of clients and engines."""
    return [line for line in server.call("CLIENT", "LIST").splitlines() if b"name=trioq:" in line]


def everything(server: Server) -> dict[bytes, bytes]:
    return {key: server.call("DUMP", key) for key in server.call("KEYS", "*")}


def of_the_bench(server: Server, key: str) -> bytes | None:
    """A key of the namespace that the benchmark made."""
    found: list[bytes] = server.call("KEYS", f"{{t.bench-*}}:{key}")
    return found[0] if found else None


def measured(config: Path, *options: str | float) -> dict[str, Any]:
    # It takes no port that anybody could need: this one can't be had.
    env = {"TRIOQ_OBSERVABILITY__BIND": "192.0.2.1:80"}
    ended = trioq("bench", config, *map(str, options), "--json", env=env)
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


@pytest.mark.usefixtures("alone")
def test_a_load_is_offered_run_and_told_of(server: Server, config: Path) -> None:
    report = measured(config, "-n", 100, "--rate", 200, "--work", 0.01, "--payload", 300)

    assert (report["done"], report["dead"], report["unfinished"]) == (100, 0, 0)
    # A hundred at 200/s are due within half a second, and can't have been done before.
    assert report["offered_per_s"] == 200
    assert report["done_per_s"] <= 100 / 0.495
    assert report["enqueued_per_s"] <= 100 / 0.495
    for name in ("wait", "run", "end_to_end", "enqueue_call"):
        spread = report[f"{name}_ms"]
        assert 0 < spread["p50"] <= spread["p95"] <= spread["p99"] <= spread["max"]
    assert report["run_ms"]["p50"] >= 10
    assert report["end_to_end_ms"]["max"] >= report["wait_ms"]["max"]
    assert everything(server) == {}


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("--drain", {"done": 200, "dead": 0, "unfinished": 0}),
        ("--latency", {"done": 200, "wait_ms": 5}),
        ("--enqueue", {"enqueued_one_by_one": 100, "enqueued_in_bulk": 100}),
    ],
)
@pytest.mark.usefixtures("alone")
def test_it_leaves_what_is_others_as_it_was(
    server: Server, config: Path, mode: str, told: dict[str, int]
) -> None:
    store = server.store()
    store.enqueue("others", 1, [new_job(), new_job(delay_ms=1000), new_job(id="theirs")])
    store.lane.close()
    before = everything(server)

    report = measured(config, mode, "-n", 200, "--rate", 400)

    assert everything(server) == before
    found = {name: report[name] for name in told}
    assert {n: len(v) if isinstance(v, dict) else v for n, v in found.items()} == told
    rates = [rate for name, rate in report.items() if name.endswith("_per_s")]
    assert rates
    assert min(rates) > 0


@pytest.mark.usefixtures("alone")
def test_what_the_configuration_says_of_the_apps_handlers_is_no_fault_of_its_engines(
    server: Server, config: Path
) -> None:
    with config.open("a") as file:
        file.write(OF_THE_APP)
    told = run("bench", str(config), "--jobs", "5", "--rate", "500")
    assert told.exit_code == 0, told.stderr
    assert "5 done, 0 dead" in told.stdout


def test_what_isnt_done_is_said_and_not_counted(server: Server, config: Path) -> None:
    ended = trioq("bench", config, "-n", "9", "--rate", "0", "--work", "60", "--timeout", "0.3")

    assert ended.returncode == 1
    assert "0 done, 0 dead, 9 unfinished" in ended.stdout
    assert "gave up" in ended.stdout
    assert "wait" not in ended.stdout
    assert everything(server) == {}


def test_a_stall_is_in_the_times_of_all_who_came_meanwhile(
    tmp_path: Path, own_server: Server
) -> None:
    """Not only of the one that was under way: times count from when a job was due."""
    bench = trioq_started(
        "bench", configured(tmp_path, own_server), "-n", "300", "--rate", "300", "--json",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    wait_until(lambda: of_the_bench(own_server, "done"))
    own_server.pause()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            bench.wait(0.6)
    finally:
        own_server.resume()
    report = json.loads(bench.communicate(timeout=60)[0])

    assert report["done"] == 300
    assert report["wait_ms"]["p95"] > 300


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_clears_up(
    server: Server, config: Path, number: signal.Signals
) -> None:
    bench = trioq_started("bench", config, "-n", "1000", "--work", "60", stderr=subprocess.PIPE)
    wait_until(lambda: of_the_bench(server, "running:*"))

    bench.send_signal(number)

    _, told = bench.communicate(timeout=30)
    assert bench.returncode == 130, told
    assert everything(server) == {}


@pytest.mark.usefixtures("alone")
def test_the_engines_of_a_killed_benchmark_end(server: Server, config: Path) -> None:
    bench = trioq_started("bench", config, "-n", "1000", "--work", "60", stderr=subprocess.PIPE)
    wait_until(lambda: of_the_bench(server, "running:*"))
    bench.kill()
    bench.communicate()


def test_what_a_killed_benchmark_leaves_behind_is_cleared(server: Server, config: Path) -> None:
    # Far more than are queued before it is killed.
    bench = trioq_started("bench", config, "-n", "100000", "--enqueue", stderr=subprocess.PIPE)
    wait_until(lambda: of_the_bench(server, "jobs"))
    bench.kill()
    bench.communicate()
    left = server.call("KEYS", "*")
    assert left
    assert only_error(run("bench", config, "--clear"), 2).startswith("nobody can be asked")
    cleared = run("bench", config, "--clear", "--yes")
    assert cleared.exit_code == 0
    assert cleared.stdout == f"forgot {len(left)} keys of 1 benchmark(s)\n"
    assert server.call("KEYS", "*") == []


def test_where_nobody_answers_nothing_is_said_to_be_left_behind(tmp_path: Path) -> None:
    config = tmp_path / "jobqueue.toml"
    config.write_text(CONFIG.format(url=f"unix://{tmp_path}/s.sock"))
    said = only_error(run("bench", config), 1)
    assert said.endswith("is the server running?")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--latency", "--drain"], "--latency, --drain and --enqueue ask different things"),
        (["--engines", "all"], "'all' is neither a number from 1 to 64 nor 'existing'."),
        (["--engines", "0"], "'0' is neither a number from 1 to 64 nor 'existing'."),
    ],
)
def test_what_cannot_be_meant_is_wrong_use(config: Path, options: list[str], said: str) -> None:
    ended = run("bench", config, *options)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_queue_that_isnt_configured_is_wrong_use(config: Path) -> None:
    said = only_error(run("bench", config, "--queue", "lwo"), 2)
    assert said == "no queue 'lwo'; did you mean \"low\"?"


def test_an_operators_permissions_are_enough_and_no_others_are(
    tmp_path: Path, own_server: Server
) -> None:
    config = configured(tmp_path, own_server)
    config.write_text(config.read_text().replace("[[q", 'username = "op"\npassword = "pw"\n[[q', 1))
    for operator in (True, False):
        rules = minimal_acl("t", operator=operator)
        own_server.call("ACL", "SETUSER", "op", "reset", "on", ">pw", *rules)
        ended = trioq("bench", config, "--enqueue", "-n", "10")
        assert (ended.returncode == 0) is operator, ended.stderr
        assert everything(own_server) == {}
    assert "NOPERM" in ended.stderr


APP = """
import trio
import trioq

app = trioq.App()


@app.job("work")
async def work(wait: float = 0.02):
    await trio.sleep(wait)
"""


@pytest.fixture
def theirs(server: Server, config: Path) -> Iterator[Path]:
    """An engine of theirs, and its configuration."""
    (config.parent / "their_app.py").write_text(APP)
    config.write_text('app = "their_app:app"\n' + config.read_text().replace("max_length = 10", ""))
    with (config.parent / "log").open("w") as log:
        engine = trioq_started("serve", config, "--role", "worker", stderr=log)
    store = server.store()
    wait_until(lambda: stats(store).engines)
    store.lane.close()
    yield config
    engine.send_signal(signal.SIGTERM)
    engine.wait(30)


def test_engines_that_are_there_run_a_job_of_theirs(server: Server, theirs: Path) -> None:
    options = ("--engines", "existing", "--job", "work", "-n", "60", "--rate", "0", "--yes")
    ended = trioq("bench", theirs, *options, "--json")

    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert (report["done"], report["dead"], report["unfinished"]) == (60, 0, 0)
    assert (report["engines"], report["job"]) == ("existing", "work")
    assert report["run_ms"]["p50"] >= 20
    # Four workers: the last of sixty runs begins after fourteen others.
    assert report["wait_ms"]["max"] >= 14 * 20
    assert report["done_per_s"] <= 60 / (15 * 0.02)
    store = server.store()
    assert stats(store).counters["done"] == 60
    store.lane.close()


def test_what_they_dont_run_in_time_is_taken_back(server: Server, theirs: Path) -> None:
    job = ("--job", "work", "--with", '{"wait": 0.6}', "-n", "20", "--rate", "0", "--yes")
    ended = trioq("bench", theirs, "--engines", "existing", *job, "--timeout", "0.3")

    assert ended.returncode == 1
    assert "the rest is cancelled" in ended.stdout
    store = server.store()
    after = stats(store)
    assert after.queues["low"].ready == 0
    assert after.counters["cancelled"] >= 12
    store.lane.close()


def test_nobody_is_disturbed_without_being_asked(theirs: Path) -> None:
    existing = ("--engines", "existing")
    for options, said in (
        (("--job", "work"), "--yes goes ahead"),
        (("--job", "wrok", "--yes"), "no engine that lives knows 'wrok'"),
        ((), "--engines existing needs --job"),
    ):
        ended = run("bench", theirs, *existing, *options)
        assert ended.exit_code != 0
        assert said in ended.stderr


def test_ranks_are_the_nearest() -> None:
    assert Spread.of([]) is None
    assert Spread.of([0.003]) == Spread(3, 3, 3, 3, 3)
    hundred = Spread.of([n / 1000 for n in range(100, 0, -1)])
    assert hundred == Spread(50, 95, 99, 100, 50.5)


def test_a_seed_makes_the_same_load_again() -> None:
    def made(seed: int) -> list[tuple[int, dict[str, Any], str | None]]:
        load = Load(50, 100.0, 120, ("high", "low"), seed, jitter=1.0)
        calls = [load.call(i, 10**15, *place) for i, place in enumerate(load.places())]
        return [(d, c.payload, c.queue) for d, c in zip(load.dues_ns(), calls, strict=True)]

    assert made(1) == made(1) != made(2)
    assert {queue for _, _, queue in made(1)} == {"high", "low"}
    dues = [due for due, _, _ in made(1)]
    assert dues == sorted(dues)
    assert all(i * 10**7 <= due < (i + 1) * 10**7 for i, due in enumerate(dues))
    sizes = {len(json.dumps(payload, separators=(",", ":"))) for _, payload, _ in made(1)}
    assert sizes == {120}
