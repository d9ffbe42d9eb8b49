"""``trioq enqueue``: what is queued, where, and what is refused with which words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, lines, only_error, run, write_config
from tests.cli.terminal import on_terminal
from tests.scene import Scene
from tests.support import Server, trioq_started, wait_until
from trioq.core.formats.record import decode
from trioq.core.job import Options
from trioq.store.inspect import peek, stats
from trioq.store.redis import RedisStore

APP = """
import trioq
app = trioq.App()

@app.job("thumbnail", queue="high")
def thumbnail(path: str) -> None: ...

@app.job
def plain(path: str) -> None: ...
"""


def ready(store: RedisStore, queue: str) -> list[Any]:
    """The payloads that lie in a queue, in the order in which they would be claimed."""
    return [view.payload for view in peek(store, queue, 1_000_000)]


def enqueued(store: RedisStore) -> int:
    return stats(store).counters.get("enqueued", 0)


# -- one job -----------------------------------------------------------------------------------


def test_a_job_is_queued_with_its_payload_and_its_uid_is_told(
    trioq: Cli, store: RedisStore
) -> None:
    told = trioq.json("enqueue", "convert", '{"path": "ä.png", "n": 1.5}')
    (job,) = peek(store, "high", 10)
    assert told == {
        "id": job.uid, "uid": job.uid, "name": "convert", "queue": "high",
        "queued": True, "existing": None, "happened": "queued",
    }  # fmt: skip
    assert job.payload == {"path": "ä.png", "n": 1.5}


def test_without_a_payload_it_is_the_empty_object(trioq: Cli, store: RedisStore) -> None:
    assert trioq("enqueue", "convert").stdout.startswith("queued ")
    assert ready(store, "high") == [{}]


def test_a_delay_schedules(trioq: Cli, store: RedisStore) -> None:
    began_ms = int(store.lane.call("TIME")[0]) * 1000
    asked = {"90": 90, "1.5": 1.5, "500ms": 0.5, "5m": 300, "2h": 7200}
    for delay, seconds in asked.items():
        uid = trioq.json("enqueue", "convert", "--delay", delay)["uid"]
        due = float(store.lane.call("ZSCORE", store.keys.of("scheduled", "high"), uid))
        assert 0 <= (due - began_ms) / 1000 - seconds < 30
    assert stats(store).queues["high"].scheduled == len(asked)


def test_all_jobs_of_a_file_have_the_deadline(
    trioq: Cli, store: RedisStore, tmp_path: Path
) -> None:
    file = tmp_path / "lines"
    file.write_text("{}\n{}\n")
    assert trioq("enqueue", "convert", "--from", file, "--deadline", "2030-03-17Z").exit_code == 2
    at = "2030-03-17T17:46:40+01:00"
    assert trioq("enqueue", "convert", "--from", file, "--deadline", at).exit_code == 0
    uids = [view.uid for view in peek(store, "high", 10)]
    stored = [store.lane.call("HGET", store.keys.of("jobs"), uid) for uid in uids]
    asked = [decode(uid, kept).record.options for uid, kept in zip(uids, stored, strict=True)]
    assert asked == [Options(deadline_ms=1_899_996_400_000)] * 2


def test_a_second_job_with_an_id_is_not_queued_and_that_is_no_failure(
    trioq: Cli, store: RedisStore
) -> None:
    first = trioq.json("enqueue", "convert", "--id", "thumb:a")
    second = trioq.json("enqueue", "convert", '{"other": 1}', "--id", "thumb:a")
    assert (first["queued"], first["id"]) == (True, "thumb:a")
    assert (second["queued"], second["existing"]) == (False, "live")
    assert second["uid"] == first["uid"]
    again = trioq("enqueue", "convert", "--id", "thumb:a")
    assert (again.exit_code, again.stdout) == (
        0, f"not queued: thumb:a is {first['uid']}, live\n",
    )  # fmt: skip
    assert ready(store, "high") == [{}]


def test_the_queue_is_the_callers_then_the_handlers_then_the_default_one(
    server: Server, store: RedisStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cli_queue_app.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    config = write_config(tmp_path, server)
    config.write_text('app = "cli_queue_app:app"\n' + config.read_text())
    cli = Cli(config)
    assert cli.json("enqueue", "thumbnail")["queue"] == "high"
    assert cli.json("enqueue", "thumbnail", "--queue", "low")["queue"] == "low"
    assert cli.json("enqueue", "convert")["queue"] == "high"
    assert cli.json("enqueue", "plain")["queue"] == "low"
    assert cli.json("enqueue", "fingerprint")["queue"] == "low"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["convert", "{path: 1}"], "not JSON: Expecting property name enclosed in double quotes"),
        (["convert", "[1]"], "a payload is a JSON object, not list"),
        (["convert", "null"], "a payload is a JSON object, not NoneType"),
        (["convert", '{"a": NaN}'], "not usable: JSON has no NaN"),
        (["convert", '{"a": "\udcff"}'], "not UTF-8 at byte 8"),
        (["convert", "1" * 5000], "not usable: Exceeds the limit"),
        (["convert", "[" * 100_000], "nested deeper than 100 levels"),
        (["convert", json.dumps({"a": "x" * 2_000_000})], "payload has 2000008 bytes, the limit"),
        (["convert", "--queue", "hgih"], "no queue 'hgih' is configured; did you mean \"high\"?"),
        (["convert", "--queue", "x"], "no queue 'x' is configured; there are high, low"),
        (["", "{}"], "the job's name is '': expected the name of a handler"),
        (["a\nb"], "the job's name is 'a\\nb': expected the name of a handler"),
        (["convert", "--id", ""], "id is '': expected a text of 1 to 500 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_queued_is_one_line_and_exit_code_2(
    trioq: Cli, store: RedisStore, arguments: list[str], said: str
) -> None:
    assert only_error(trioq("enqueue", *arguments), 2).startswith(said)
    assert enqueued(store) == 0


@pytest.mark.parametrize("depth", [101, 300, 900, 980, 985, 1000, 5000])
def test_a_line_that_is_nested_too_deeply_is_told_as_that(
    trioq: Cli, store: RedisStore, depth: int
) -> None:
    """However near to the end of the interpreter's stack it is."""
    deep = '{"a":' * depth + "1" + "}" * depth
    result = trioq("enqueue", "convert", "--from", "-", input="{}\n" + deep)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0].endswith("line 2: nested deeper than 100 levels")
    assert enqueued(store) == 0


def test_a_full_queue_is_a_failure(server: Server, store: RedisStore, tmp_path: Path) -> None:
    more = '[[queues]]\nname="high"\nmax_length = 1\n[[queues]]\nname="low"\n'
    cli = Cli(write_config(tmp_path, server, more))
    assert cli("enqueue", "convert").exit_code == 0
    said = only_error(cli("enqueue", "convert"), 1)
    assert said == (
        "queue 'high' is full: 1 of at most 1 job(s) wait in it, room for 0 more job(s)"
    )


def test_a_full_queue_is_waited_for_as_long_as_is_said(
    server: Server, store: RedisStore, tmp_path: Path
) -> None:
    more = '[[queues]]\nname="high"\nmax_length = 1\nwhen_full = "wait"\n[[queues]]\nname="low"\n'
    cli = Cli(write_config(tmp_path, server, more))
    assert cli("enqueue", "convert", "--full-timeout", "0").exit_code == 0
    said = only_error(cli("enqueue", "convert", "--full-timeout", "50ms"), 1)
    assert "queue 'high' is full" in said
    assert "none came in 0." in said
    lines = cli("enqueue", "convert", "--from", "-", "--full-timeout", "50ms", input='{"n": 1}\n')
    assert "none came in 0." in lines.stderr


@pytest.mark.parametrize("source", [(), ("--from", "lines.jsonl")])
def test_who_waits_for_room_is_told_so_and_may_end_it(
    server: Server, store: RedisStore, tmp_path: Path, source: tuple[str, ...]
) -> None:
    more = '[[queues]]\nname="high"\nmax_length = 1\nwhen_full = "wait"\n[[queues]]\nname="low"\n'
    cli = Cli(write_config(tmp_path, server, more))
    (tmp_path / "lines.jsonl").write_text('{"n": 1}\n')
    assert cli("enqueue", "convert").exit_code == 0
    process = trioq_started(
        "enqueue", cli.config, "convert", *source, cwd=tmp_path, stderr=subprocess.PIPE
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline() == (
            "trioq: high is full (1 of 1), waiting for room: Ctrl-C or --full-timeout ends that\n"
        )
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "trioq: interrupted: nothing was queued\n"
    assert process.returncode == 130
    assert enqueued(store) == 1
    assert store.lane.call("ZCARD", store.keys.fixed("enqueuers_line")) == 0


def test_who_waited_for_room_goes_on_when_there_is_some(
    server: Server, store: RedisStore, tmp_path: Path
) -> None:
    more = '[[queues]]\nname="high"\nmax_length = 1\nwhen_full = "wait"\n[[queues]]\nname="low"\n'
    cli = Cli(write_config(tmp_path, server, more))
    assert cli("enqueue", "convert").exit_code == 0
    process = trioq_started(
        "enqueue", cli.config, "convert", stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stderr is not None
        assert "waiting for room" in process.stderr.readline()
        assert cli("purge", "high", "--yes").exit_code == 0
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert out.startswith("queued ")
    assert enqueued(store) == 2


# -- names -------------------------------------------------------------------------------------


def test_a_name_nobody_knows_is_queued_with_a_warning_that_has_the_nearest(
    trioq: Cli, store: RedisStore
) -> None:
    result = trioq("enqueue", "convrt", "{}")
    assert result.exit_code == 0
    assert result.stderr == (
        "trioq: warning: no handler 'convrt' is known (did you mean 'convert'?): it waits for an"
        " engine that knows the name\n"
    )
    assert ready(store, "low") == [{}]


def test_names_that_live_engines_know_are_known(trioq: Cli, scene: Scene) -> None:
    assert trioq("enqueue", "noop").stderr == ""
    assert "did you mean 'noop'?" in trioq("enqueue", "noopp").stderr
    scene.store.register("e.2", b"not what this version says")
    assert trioq("enqueue", "noop").stderr == ""


def test_who_enqueues_need_not_have_the_handlers_code(server: Server, tmp_path: Path) -> None:
    config = write_config(tmp_path, server)
    config.write_text('app = "nowhere.jobs:app"\n' + config.read_text())
    cli = Cli(config)
    assert cli("enqueue", "convert").stderr == ""
    result = cli("enqueue", "thumbnail")
    assert result.exit_code == 0
    (warning,) = lines(result.stderr)
    assert "no handler 'thumbnail' is known (app: can't import 'nowhere.jobs'" in warning


def test_who_cannot_import_the_handler_is_told_that_its_queue_is_not_known(
    server: Server, scene: Scene, tmp_path: Path
) -> None:
    config = write_config(tmp_path, server)
    config.write_text('app = "nowhere.jobs:app"\n' + config.read_text())
    cli = Cli(config)
    result = cli("enqueue", "noop")  # an engine knows it
    assert result.exit_code == 0
    (warning,) = lines(result.stderr)
    assert "can't import 'nowhere.jobs'" in warning
    assert warning.endswith(": it isn't known which queue 'noop' says")
    assert cli("enqueue", "noop", "--queue", "low").stderr == ""


# -- a job for each line -----------------------------------------------------------------------


def test_each_line_is_a_job_in_the_order_of_the_file(
    trioq: Cli, store: RedisStore, tmp_path: Path
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"n": 0}\n\n  {"n": 1}  \r\n{"n": 2}')
    told = trioq.json("enqueue", "convert", "--from", file)
    assert told == {"name": "convert", "queue": "high", "queued": 3, "existing": 0}
    assert ready(store, "high") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_pipe_is_as_good_as_a_file(trioq: Cli, store: RedisStore, tmp_path: Path) -> None:
    text = "".join(f'{{"n": {n}}}\n' for n in range(1200))
    assert trioq("enqueue", "convert", "--from", "-", input=text).exit_code == 0
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_text(text))
    writer.start()
    result = trioq("enqueue", "convert", "--from", fifo)
    writer.join()
    assert result.stdout == "queued 1,200 convert in high\n"
    assert [payload["n"] for payload in ready(store, "high")] == [*range(1200), *range(1200)]


@pytest.mark.parametrize("source", ["file", "-"])
def test_all_faulty_lines_are_told_at_once_and_nothing_is_queued(
    trioq: Cli, store: RedisStore, tmp_path: Path, source: str
) -> None:
    file = tmp_path / "in.jsonl"
    content = b'{"n": 0}\nnonsense\n\n[1]\n{"a": "\xff"}\n{"b": Infinity}\n{"n": 1}\n'
    file.write_bytes(content)
    name = str(file) if source == "file" else "-"
    result = trioq("enqueue", "convert", "--from", name, input=content)
    assert (result.exit_code, result.stdout) == (2, "")
    assert lines(result.stderr) == [
        f"trioq: {name}: line 2: not JSON: Expecting value, at character 1",
        f"trioq: {name}: line 4: a payload is a JSON object, not list",
        f"trioq: {name}: line 5: not UTF-8 at byte 8",
        f"trioq: {name}: line 6: not usable: JSON has no Infinity",
        "trioq: 4 of 6 lines can't be queued; nothing was queued",
    ]
    assert enqueued(store) == 0


def test_a_line_without_an_end_is_a_fault_and_not_read_into_memory(
    server: Server, store: RedisStore, tmp_path: Path
) -> None:
    cli = Cli(write_config(tmp_path, server))
    cli.config.write_text('max_payload = "1kB"\n' + cli.config.read_text())
    file = tmp_path / "in.jsonl"
    file.write_text("x" * 1_000_000 + "\n" + '{"n": 1}\n' + json.dumps({"a": "y" * 1000}))
    result = cli("enqueue", "convert", "--from", file)
    assert [line.removeprefix(f"trioq: {file}: ") for line in lines(result.stderr)] == [
        "line 1: longer than 67536 bytes; a payload has at most 1000",
        "line 3: payload has 1008 bytes, the limit is 1000",
        "trioq: 2 of 3 lines can't be queued; nothing was queued",
    ]
    assert enqueued(store) == 0


def test_an_empty_file_queues_nothing(trioq: Cli, store: RedisStore) -> None:
    assert trioq("enqueue", "convert", "--from", "-", input="\n \n").stdout == (
        "queued 0 convert in high\n"
    )
    assert enqueued(store) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{}"], "--from and PAYLOAD_JSON can't be used together."),
        (["--id", "a"], "--from and --id can't be used together."),
    ],
)
def test_what_is_of_one_job_does_not_go_with_a_file(
    trioq: Cli, arguments: list[str], said: str
) -> None:
    result = trioq("enqueue", "convert", *arguments, "--from", "-", input="")
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_file_that_cannot_be_read_is_one_line(trioq: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    said = only_error(trioq("enqueue", "convert", "--from", missing), 1)
    assert said == f"{missing}: No such file or directory"
    assert only_error(trioq("enqueue", "convert", "--from", tmp_path), 1) == (
        f"{tmp_path}: Is a directory"
    )


def test_a_queue_that_fills_up_tells_how_far_it_came(
    server: Server, store: RedisStore, tmp_path: Path
) -> None:
    more = '[[queues]]\nname="high"\nmax_length = 700\n[[queues]]\nname="low"\n'
    cli = Cli(write_config(tmp_path, server, more))
    result = cli("enqueue", "convert", "--from", "-", input="\n" + '{"n": 1}\n' * 1200)
    assert (result.exit_code, result.stdout) == (1, "")
    assert lines(result.stderr) == [
        "trioq: 500 of 1,200 queued, all up to line 501 of - before this:",
        "trioq: queue 'high' is full: 500 of at most 700 job(s) wait in it, room for 200 more"
        " job(s)",
    ]
    assert enqueued(store) == 500


def test_ctrl_c_ends_between_two_batches_and_tells_how_far_it_came(
    own_server: Server, tmp_path: Path
) -> None:
    config = write_config(tmp_path, own_server)
    file = tmp_path / "in.jsonl"
    file.write_text('{"n": 1}\n' * 30_000)
    store = own_server.store()
    process = trioq_started(
        "enqueue", config, "convert", "--from", file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until(lambda: enqueued(store))
    own_server.pause()
    process.send_signal(signal.SIGINT)
    own_server.resume()
    out, err = process.communicate(timeout=30)
    queued = enqueued(store)
    assert process.returncode == 130
    assert out == ""
    assert 0 < queued < 30_000
    assert err == (
        f"trioq: interrupted: {queued:,} of 30,000 queued, all up to line {queued} of {file}\n"
    )
    store.lane.close()


def test_a_terminal_shows_progress(own_server: Server, tmp_path: Path) -> None:
    config = write_config(tmp_path, own_server)
    file = tmp_path / "in.jsonl"
    file.write_text('{"n": 1}\n' * 15_000)
    with on_terminal("enqueue", config, "convert", "--from", file) as terminal:
        terminal.see(r"queueing .*[\d,]+ of 15,000 jobs")
        assert terminal.end() == 0
        assert "queued 15,000 convert in high" in terminal.shown


def test_lines_can_be_typed_and_one_ctrl_d_ends_them(trioq: Cli, store: RedisStore) -> None:
    with on_terminal("enqueue", trioq.config, "convert", "--from", "-") as terminal:
        terminal.press('{"n": 1}\n{"n": 2}\n\x04')
        assert terminal.end() == 0
    assert ready(store, "high") == [{"n": 1}, {"n": 2}]


def test_an_unknown_name_is_warned_of_once_for_a_file(trioq: Cli) -> None:
    result = run("enqueue", trioq.config, "zzz", "--from", "-", input='{"n": 1}\n' * 3)
    assert (result.exit_code, len(lines(result.stderr))) == (0, 1)
