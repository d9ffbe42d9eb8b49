"""The command line in this process, on the shared server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs
import pytest
from click.testing import CliRunner, Result

from tests.store.drive import Driver, Sender, line
from tests.support import Server, new_job
from trioq.cli import cli
from trioq.core.outcome import DeadReason
from trioq.store.protocol import DeadLetter, NewJob
from trioq.store.redis import RedisStore

Input = str | bytes | None

CONFIG = """
namespace = "t"
[redis]
url = "{url}"
[observability]
bind = ""
[commands.convert]
argv = ["true", "{{path}}"]
queue = "high"
"""


@attrs.frozen
class Cli:
    """Runs commands on one configuration."""

    config: Path

    def __call__(
        self, command: str, *arguments: object, input: str | bytes | None = None
    ) -> Result:
        """``trioq COMMAND CONFIG ARGUMENTS``."""
        return run(*command.split(), self.config, *arguments, input=input)

    def json(self, command: str, *arguments: object, input: Input = None) -> Any:
        """What it prints with ``--json``; fails if it fails."""
        result = self(command, *arguments, "--json", input=input)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


def run(*arguments: object, input: Input = None, env: Mapping[str, str] | None = None) -> Result:
    """``trioq ARGUMENTS``. Nobody sits at a terminal."""
    words = [*map(str, arguments)]
    return CliRunner().invoke(cli, words, input=input, env=env, catch_exceptions=False)


def lines(text: str) -> list[str]:
    return text.rstrip("\n").split("\n") if text else []


def only_error(result: Result, code: int) -> str:
    """The one line on stderr of a command that ended like this and printed nothing else."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    (said,) = lines(result.stderr)
    return said.removeprefix("trioq: ")


def write_config(directory: Path, server: Server, more: str = "") -> Path:
    path = directory / "jobqueue.toml"
    path.write_text(CONFIG.format(url=server.url) + more)
    return path


@pytest.fixture
def trioq(server: Server, tmp_path: Path) -> Cli:
    """The command line on an empty data set."""
    return Cli(write_config(tmp_path, server))


@attrs.define
class Scene:
    """Makes jobs lie where a test wants them."""

    store: RedisStore
    sender: Sender
    driver: Driver

    @classmethod
    def on(cls, store: RedisStore) -> Self:
        return cls(store, Sender(store), Driver(store))

    def enqueue(self, *jobs: NewJob) -> list[str]:
        return self.sender.enqueue(*jobs)

    def dead(
        self, *jobs: NewJob, message: str = "no such file", reason: DeadReason = "failures"
    ) -> list[str]:
        """Enqueue these, which must be the only ones, and let them die."""
        uids = self.sender.enqueue(*jobs)
        claims = self.driver.step(len(jobs))
        assert sorted(claim.uid for claim in claims) == sorted(uids)
        letters = [DeadLetter(c.uid, self.driver.n, 1, reason, line(message)) for c in claims]
        self.driver.step(0, *letters)
        return uids

    def many_dead(self, count: int, queue: str = "low") -> None:
        """So many at once, without having lived."""
        job, keys = new_job(queue), self.store.keys
        for start in range(0, count, 1000):
            uids = [f"{n:032x}" for n in range(start, min(start + 1000, count))]
            records = [part for uid in uids for part in (uid, job.stored)]
            deaths = [part for n, uid in enumerate(uids, start + 1) for part in (n, uid)]
            self.store.lane.call("HSET", keys.fixed("jobs"), *records)
            self.store.lane.call("ZADD", keys.fixed("dead"), *deaths)


@pytest.fixture
def scene(store: RedisStore) -> Scene:
    return Scene.on(store)
