"""Secrets: where they come from, whom they are sent to, and that nothing shows them."""

from __future__ import annotations

import pathlib

import pytest

from tests.settings.reading import only_line, read
from trioq.core.config import Config, ObservabilityConfig, ProducerConfig, Secret
from trioq.errors import ConfigError
from trioq.settings import from_url, load, warnings

# -- secrets -----------------------------------------------------------------------------------


def test_a_password_moves_out_of_the_url() -> None:
    redis = read('redis.url = "redis://me:p%40ss@h:1/2"').redis
    assert (redis.url, redis.username, redis.password, redis.db) == (
        "redis://h:1",
        "me",
        Secret("p@ss"),
        2,
    )


@pytest.mark.parametrize(("key", "value"), [("password", '"x"'), ("username", '"x"'), ("db", "0")])
def test_what_the_url_holds_is_not_given_twice(key: str, value: str) -> None:
    line = only_line(f'redis.url = "redis://me:canary@h:1/2"\nredis.{key} = {value}')
    assert line == f"jobqueue.toml: redis.{key}: stands in redis.url as well; give it once"


def test_within_the_environment_too_it_is_given_once() -> None:
    environ = {"TRIOQ_REDIS__URL": "redis://:canary@h", "TRIOQ_REDIS__PASSWORD": "x"}
    line = only_line("", environ)
    assert line.startswith("TRIOQ_REDIS__PASSWORD: redis.password: stands in redis.url as well")


def test_a_password_from_the_environment_replaces_the_one_of_the_file() -> None:
    text = 'redis.url = "redis://:old@h"'
    assert read(text, {"TRIOQ_REDIS__PASSWORD": "new"}).redis.password == Secret("new")
    text = 'redis.url = "redis://h"\nredis.password = "old"'
    assert read(text, {"TRIOQ_REDIS__URL": "redis://:new@g"}).redis.password == Secret("new")


def test_the_password_in_a_url_is_not_sent_to_another_server() -> None:
    redis = read('redis.url = "redis://me:old@h/5"', {"TRIOQ_REDIS__URL": "redis://g"}).redis
    assert (redis.url, redis.username, redis.password, redis.db) == ("redis://g", None, None, 0)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('redis.url = "redis://:canary@h:x"', {}),
        ('redis.url = "redis://:can/ary@h"', {}),
        ('redis.url = ["redis://:canary@h"]', {}),
        ('redis = "redis://:canary@h"', {}),
        ("redis.password = 8", {}),
        ('redis.password = ["canary"]', {}),
        ('redis.pasword = "canary"', {}),
        ('redis.url = "redis://:canary@h"\nredis.password = "canary"', {}),
        ('redis.password = "canary\\u0000"', {}),
        ('commands.x = { argv = ["a"], env = "canary" }', {}),
        ('commands.x = { argv = ["a"], env = { A = ["canary"] } }', {}),
        ('commands.x = { argv = ["a"], env = { A = "canary\\u0000" } }', {}),
        ('observability.tracing.endpoint = "http://me:canary@h"', {}),
        ("", {"TRIOQ_REDIS__URL": "redis://:canary@"}),
        ("", {"TRIOQ_REDIS": "redis://:canary@h"}),
        ("", {"TRIOQ_REDIS__PASWORD": "canary"}),
        ("", {"TRIOQ_REDIS__PASSWORD": "canary\udcff"}),
    ],
)
def test_no_fault_shows_a_secret(text: str, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, environ)
    assert "canary" not in repr(caught.value)
    assert "ary@" not in repr(caught.value)
    assert "got 8" not in repr(caught.value)


# -- warnings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("redis://:pw@example.com", True),
        ("redis://:pw@10.0.0.1", True),
        ("redis://:pw@localhost", False),
        ("redis://:pw@127.0.0.9", False),
        ("redis://:pw@[::1]", False),
        ("rediss://:pw@example.com", False),
        ("unix://:pw@/run/r.sock", False),
        ("redis://example.com", False),
    ],
)
def test_a_password_that_travels_in_the_clear_is_warned_about(url: str, *, warned: bool) -> None:
    found = warnings(from_url(url, environ={}))
    assert any("unencrypted" in line for line in found) == warned
    assert not any("pw" in line for line in found)


def test_a_password_in_a_file_that_others_can_read_is_warned_about(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text('redis.url = "unix://:pw@/run/r.sock"')
    for mode in (0o640, 0o604):
        file.chmod(mode)
        (line,) = warnings(load(file, environ={}))
        assert "chmod 600" in line
    assert warnings(load(file, environ={"TRIOQ_REDIS__PASSWORD": "x"})) == []
    file.chmod(0o600)
    assert warnings(load(file, environ={})) == []


def test_a_directory_to_scan_that_is_not_there_is_warned_about(tmp_path: pathlib.Path) -> None:
    config = Config(producer=ProducerConfig(scan_dir="in"), directory=tmp_path)
    assert len(warnings(config)) == 1
    (tmp_path / "in").mkdir()
    assert warnings(config) == []


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("redis://example.com", True),
        ("redis://10.0.0.5:6379", True),
        ("redis://:pw@example.com", False),
        ("rediss://example.com", False),
        ("redis://127.0.0.1", False),
        ("redis://localhost", False),
        ("unix:///run/r.sock", False),
        ("embedded:here", False),
    ],
)
def test_a_server_that_lets_everybody_in_is_warned_about(url: str, *, warned: bool) -> None:
    found = warnings(from_url(url, environ={}))
    assert any("takes no password" in line for line in found) == warned


@pytest.mark.parametrize(
    ("bind", "warned"),
    [("0.0.0.0:80", True), ("[::]:0", True), ("127.0.0.1:80", False), ("10.0.0.1:1", False),
     ("", False)],
)  # fmt: skip
def test_pages_for_everybody_are_warned_about(bind: str, *, warned: bool) -> None:
    found = warnings(Config(observability=ObservabilityConfig(bind=bind)))
    assert any("observability.bind" in line for line in found) == warned
