"""``trioq web``: a page in a process of its own, and what stops it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import lines, only_error, run, write_config
from tests.support import PATIENCE_S, Server, trioq_started, wait_until
from trioq.web.who.passwords import is_password
from trioq.web.who.tokens import hash_token


@contextmanager
def shown(config: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Where it is, and the process."""
    log = config.with_suffix(".log")
    with log.open("w") as err:
        process = trioq_started("web", config, "--bind", "127.0.0.1:0", *options, stderr=err)
    try:
        yield wait_until(lambda: _url(log)), process
    finally:
        process.kill()
        process.wait()


def _url(log: Path) -> str:
    told = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return next((str(line["url"]) for line in told if line["event"] == "page_served"), "")


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


# -- while it runs -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_shown_until_a_signal_also_while_somebody_looks_on(
    server: Server, tmp_path: Path, number: signal.Signals
) -> None:
    with shown(write_config(tmp_path, server)) as (url, process):
        assert status_of(f"{url}queues") == 200
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))) as looks_on:
            looks_on.sendall(b"GET /queues HTTP/1.1\r\nHost: x\r\n")
            process.send_signal(number)
            assert process.wait(PATIENCE_S) == 0


def test_while_redis_is_away_it_says_so(tmp_path: Path) -> None:
    config = tmp_path / "jobqueue.toml"
    config.write_text(
        '[redis]\nurl = "redis://127.0.0.1:1"\n[observability]\nlog_format = "json"\n'
    )
    with shown(config) as (url, _):
        assert status_of(f"{url}queues") == 503
        assert status_of(f"{url}api/v1/stats") == 503


# -- what stops it -----------------------------------------------------------------------------


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0"])
def test_no_other_machine_is_served_where_nobody_has_to_say_who(
    server: Server, tmp_path: Path, bind: str
) -> None:
    told = only_error(run("web", write_config(tmp_path, server), "--bind", bind), 2)
    assert "nobody would have to say who they are" in told
    assert "[web.users]" in told


def test_a_port_that_somebody_has_is_told(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        told = only_error(run("web", write_config(tmp_path, server), "--bind", where), 1)
    assert told == (
        f"--bind: something has {where} already (`ss -ltnp` tells what); choose another port"
    )


@pytest.mark.parametrize("bind", ["", "9180", "127.0.0.1:99999", "http://x:1"])
def test_what_is_no_address_is_told(server: Server, tmp_path: Path, bind: str) -> None:
    ended = run("web", write_config(tmp_path, server), "--bind", bind)
    assert ended.exit_code == 2
    assert "is no address, such as 127.0.0.1:9180" in ended.stderr


# -- passwords and tokens ----------------------------------------------------------------------


def test_what_is_kept_of_a_password_can_stand_in_a_configuration(tmp_path: Path) -> None:
    ended = run("web", "hash-password", input="correct horse\n")
    (kept,) = lines(ended.stdout)
    assert is_password("correct horse", kept)
    (tmp_path / "q.toml").write_text(f'[web.users.ada]\nrole = "read"\npassword = "{kept}"\n')
    assert run("config", "check", tmp_path / "q.toml").exit_code == 0
    assert kept not in run("config", "show", tmp_path / "q.toml").stdout


def test_an_empty_password_is_none() -> None:
    assert run("web", "hash-password", input="\n").exit_code == 1


def test_a_token_is_new_each_time_and_its_hash_is_told() -> None:
    told = [run("web", "new-token") for _ in range(2)]
    tokens = [lines(each.stdout)[0].split()[1] for each in told]
    assert len(set(tokens)) == 2
    for each, token in zip(told, tokens, strict=True):
        assert lines(each.stdout)[1] == f"sha256  {hash_token(token)}"
