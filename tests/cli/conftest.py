"""The command line in this process, on the shared server."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from tests.support import Server
from trioq.cli import cli

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


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
