"""``trioq run``: a handler is called here, as an engine calls it, and nothing is claimed."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, lines, write_config
from tests.dump import dump
from tests.scene import Scene
from tests.support import PATIENCE_S, Server, new_job, wait_until
from tests.support import trioq as apart
from tests.support import trioq_started as started

APP = """
import asyncio, contextlib, threading, time
import trio, trioq

@contextlib.asynccontextmanager
async def lifespan(app):
    print("entered")
    yield {"n": 7}
    print("left")

app = trioq.App(lifespan=lifespan)

@app.middleware
async def around(job):
    print("around", job.name)
    yield

@app.job(queue="high", result="1h")
async def look(job: trioq.Job, a: int, b: int = 2):
    handle = await job.client.enqueue("noop", {})
    job.log("a line")
    return {
        "sum": a + b, "deps": job.deps, "queue": job.queue, "id": job.id, "attempt": job.attempt,
        "max_attempts": job.max_attempts, "is_new": handle.is_new,
        "main": threading.current_thread() is threading.main_thread(),
    }

@app.job
async def fail(a: int):
    inside = {"a": a}
    return inside["nowhere"]

@app.job
async def snooze():
    raise trioq.Snooze(30)

@app.job(isolation="process")
def apart(a: int):
    return a * 2

@app.job
def plain(job: trioq.Job, a: int):
    breakpoint()
    return job.sync_client.enqueue("noop", {}).is_new

@app.job
async def debugged(a: int):
    breakpoint()
    await trio.sleep(0)
    return a

@app.job(runtime="asyncio")
async def in_asyncio(a: int):
    breakpoint()
    await asyncio.sleep(0)
    return a

@app.job(timeout=0.05)
async def slow():
    await trio.sleep(0.2)
    return "slept"

@app.job
async def hang():
    open("hangs", "w").close()
    try:
        await trio.sleep_forever()
    finally:
        print("cleaned up")

@app.job
async def spin():
    open("hangs", "w").close()
    while True:
        pass

@app.job
def blocks():
    open("hangs", "w").close()
    time.sleep(3600)

@app.job(result="1h")
async def odd():
    return object()
"""


@pytest.fixture
def cli(server: Server, tmp_path: Path) -> Cli:
    (tmp_path / "run_app.py").write_text(APP)
    config = write_config(tmp_path, server)
    config.write_text('app = "run_app:app"\n' + config.read_text())
    return Cli(config)


def ran(cli: Cli, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return apart("run", cli.config, *arguments, cwd=cli.config.parent, input=input)


def returned(ended: subprocess.CompletedProcess[str]) -> Any:
    """What it printed besides the app's own lines, as JSON."""
    assert ended.returncode == 0, ended.stderr
    own = ("entered", "left", "around ")
    return json.loads("\n".join(li for li in lines(ended.stdout) if not li.startswith(own)))


def test_it_is_called_with_all_that_it_would_find_in_an_engine(cli: Cli, server: Server) -> None:
    ended = ran(cli, "look", '{"a": 3}', "--id", "mine", "--attempt", "2")
    assert returned(ended) == {
        "sum": 5, "deps": {"n": 7}, "queue": "high", "id": "mine", "attempt": 2,
        "max_attempts": 4, "is_new": True, "main": True,
    }  # fmt: skip
    assert lines(ended.stdout)[:2] == ["entered", "around look"]
    assert "trioq: log: a line\ntrioq: done in " in ended.stderr
    assert returned(ran(cli, "look", '{"a": 3}', "--queue", "low"))["queue"] == "low"
    store = server.store("t")
    left = dump(store)
    assert len(left.jobs) == 2, "what it has enqueued itself, and no job of its own"
    store.lane.close()


@pytest.mark.parametrize(("arguments", "said"), [
    (["lok"], "no handler 'lok' is known; did you mean \"look\"?"),
    (["look", "[1]"], "a payload is a JSON object"),
    (["look", "{"], "not JSON: "),
    (["look", "{}", "--queue", "hihg"], "no queue 'hihg' is configured; did you mean \"high\"?"),
    (["look", "--file", "nowhere"], "nowhere: "),
    ([], "Say either the handler's NAME, or --copy-of which job."),
    (["look", "{}", "--file", "x"], "The payload is an argument, in a --file, or that of"),
])  # fmt: skip
def test_what_cannot_be_called_is_wrong_use(cli: Cli, arguments: list[str], said: str) -> None:
    ended = ran(cli, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_the_payload_comes_from_a_file_or_through_stdin(cli: Cli) -> None:
    (cli.config.parent / "p.json").write_text('{"a": 4}\n')
    assert returned(ran(cli, "apart", "--file", "p.json")) == 8
    assert returned(ran(cli, "apart", "-", input='{"a": 5}')) == 10


@pytest.mark.parametrize(("name", "payload", "said"), [
    ("fail", '{"a": 1}', r"an engine would run it again in about 0.\d s (attempt 1 of 4)"),
    ("fail", '{"a": "x"}', "in an engine its job would be dead now: bad_payload"),
    ("snooze", "{}", "snoozed in "),
    ("convert", "{}", "in an engine its job would be dead now: bad_payload"),
])  # fmt: skip
def test_a_failure_is_told_with_what_an_engine_would_make_of_it(
    cli: Cli, name: str, payload: str, said: str
) -> None:
    ended = ran(cli, name, payload)
    assert ended.returncode == 1
    assert said.partition("0.")[0] in lines(ended.stderr)[-1]


def test_a_traceback_begins_in_the_handler(cli: Cli) -> None:
    told = lines(ran(cli, "fail", '{"a": 1}', "--attempt", "4").stderr)
    assert told[0] == "Traceback (most recent call last):"
    at = APP[: APP.index('return inside["nowhere"]')].count("\n") + 1
    assert told[1].endswith(f'run_app.py", line {at}, in fail')
    assert "KeyError: 'nowhere'" in told
    assert told[-1].endswith("; in an engine its job would be dead now: failures")


def test_json_has_all_of_it(cli: Cli) -> None:
    def told(*arguments: str) -> Any:
        ended = ran(cli, *arguments, "--json")
        return json.loads(ended.stdout[ended.stdout.index("{\n") : ended.stdout.rindex("}") + 1])

    done = told("apart", '{"a": 2}')
    assert (done["outcome"], done["result"], done["error"]) == ("done", 4, None)
    failed = told("fail", '{"a": 2}')
    assert (failed["outcome"], failed["result"], failed["dead"]) == ("failed", None, None)
    assert 0.2 < failed["again_s"] <= 0.5
    assert failed["error"].keys() == {"type", "message", "traceback"}
    assert done.keys() == failed.keys()
    assert told("fail", '{"a": 2}', "--attempt", "4")["dead"] == "failures"
    assert told("snooze")["again_s"] == 30


@pytest.mark.parametrize("name", ["debugged", "plain", "in_asyncio"])
def test_a_breakpoint_works_wherever_it_runs(cli: Cli, name: str) -> None:
    ended = ran(cli, name, '{"a": 41}', input="p a + 1\nc\n")
    assert ended.returncode == 0, ended.stderr
    assert "(Pdb) 42" in ended.stdout


def test_the_debugger_starts_where_it_has_failed(cli: Cli) -> None:
    ended = ran(cli, "fail", '{"a": 41}', "--pdb", input="p inside\nq\n")
    assert ended.returncode == 1
    assert "(Pdb) {'a': 41}" in ended.stdout


def test_who_leaves_a_breakpoint_gets_no_other_prompt(cli: Cli) -> None:
    ended = ran(cli, "debugged", '{"a": 41}', "--pdb", input="q\n")
    assert ended.returncode == 1
    assert ended.stdout.count("(Pdb)") == 1


def test_it_has_no_timeout(cli: Cli) -> None:
    assert returned(ran(cli, "slow")) == "slept"


def test_what_is_no_json_is_told_and_no_failure(cli: Cli) -> None:
    ended = ran(cli, "odd")
    assert ended.returncode == 0
    assert "what it returned is no JSON, so no engine can keep it: " in ended.stderr


def test_a_command_is_run_as_well(cli: Cli) -> None:
    assert returned(ran(cli, "convert", '{"path": "x"}')) == {"exit": 0, "stdout": ""}


@pytest.mark.parametrize("name", ["hang", "spin", "blocks"])
def test_ctrl_c_ends_it_in_the_handlers_own_code(cli: Cli, name: str) -> None:
    there = cli.config.parent
    with started(
        "run", cli.config, name, cwd=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until((there / "hangs").exists)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, error
    assert "trioq: interrupted in " in error
    assert ("cleaned up" in out) == (name == "hang")
    assert lines(out)[-1] == "left"


def test_a_copy_of_a_job_is_run_and_the_job_stays(cli: Cli, server: Server) -> None:
    store = server.store("t")
    scene = Scene.on(store)
    (uid,) = scene.dead(new_job("low", "apart", b'{"a": 21}', id="mine"))
    before = dump(store)
    for id in (uid, "mine"):
        assert returned(ran(cli, "--copy-of", id)) == 42
    assert dump(store) == before
    unknown = ran(cli, "--copy-of", "nobody")
    assert unknown.returncode == 1
    assert "no job 'nobody' is known that is still there" in unknown.stderr
    store.lane.close()
