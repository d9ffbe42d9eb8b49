"""What runners are told, and that they don't outlive their engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import trioq
from tests.engine.handlers.programs import is_alive, pid_of, running
from tests.support import PATIENCE_S, Server, trioq_started, wait_until
from tests.support import trioq as run_trioq
from trioq.core.config import Config
from trioq.core.config.sections import ServeConfig, WorkerConfig
from trioq.isolation import runners_of
from trioq.processes.cores import usable_cores
from trioq.registry import registry

# -- which app ---------------------------------------------------------------------------------


def app_of(
    module: str | None,
    monkeypatch: pytest.MonkeyPatch,
    attribute: str = "app",
    handler: str = "compute",
) -> Any:
    """An app with a handler that runs apart, as a global of such a module."""
    app = trioq.App()

    @app.job(handler, isolation="process")
    def compute() -> None: ...

    if module is not None:
        made = ModuleType(module)
        setattr(made, attribute, app)
        monkeypatch.setitem(sys.modules, module, made)
    return app


def named(app: trioq.App, config: Config | None = None) -> str:
    made = runners_of(app, config or Config())
    assert made is not None
    return ", ".join(made.launch.first["app"])


def test_an_app_is_found_by_the_global_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(app_of("some.module", monkeypatch, "the_app")) == "some.module:the_app"


def test_the_module_of_a_handler_comes_before_those_that_have_imported_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = app_of("earlier", monkeypatch)
    home = ModuleType("home")
    home.app = app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "home", home)
    app.handlers["compute"].function.__module__ = "home"
    assert named(app) == "home:app"


def test_the_configurations_name_counts_if_it_is_that_app(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_of("a", monkeypatch)
    monkeypatch.setitem(sys.modules, "b", sys.modules["a"])
    assert named(app, Config(app="b:app")) == "b:app"
    app_of("c", monkeypatch)
    assert named(app, Config(app="c:app")) == "a:app"


def test_of_an_app_that_is_made_of_several_these_are_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trioq.App()
    for name in ("a", "b"):
        whole.include(app_of(name, monkeypatch, handler=f"compute_{name}"))
    assert named(whole, Config(app=("a:app", "b:app"))) == "a:app, b:app"


@pytest.mark.parametrize("module", [None, "__main__"])
def test_an_app_that_cannot_be_imported_is_refused_with_what_would_be_right(
    module: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(module, monkeypatch)
    for make in (lambda: registry(app, Config()), lambda: trioq.Engine(app, Config())):
        with pytest.raises(
            trioq.ConfigError, match="compute shall run in a process of its own"
        ) as e:
            make()
        assert "let it be a global of a module" in str(e.value)


def test_without_such_handlers_there_are_no_runners() -> None:
    app = trioq.App(isolation="process")
    app.job("here", isolation="none")(lambda: None)
    assert runners_of(app, Config()) is None


def test_an_app_says_where_its_handlers_run_that_do_not_say() -> None:
    app = trioq.App(isolation="process")

    @app.job
    def apart() -> None: ...

    @app.job(isolation="none")
    def here() -> None: ...

    found = {name: handler.isolation for name, handler in app.handlers.items()}
    assert found == {"apart": "process", "here": "none"}
    with pytest.raises(ValueError, match="isolation"):
        app.job("x", isolation="thread")(lambda: None)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("processes", "runners", "expected"),
    [
        (1, None, usable_cores()),
        ("auto", None, 1),
        (1000, None, 1),
        ("auto", 7, 7),
    ],
)
def test_engines_share_the_cores(
    processes: int | str, runners: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(serve=ServeConfig(processes=processes), worker=WorkerConfig(runners=runners))
    made = runners_of(app_of("m", monkeypatch), config)
    assert made is not None
    assert made.most == expected


# -- with trioq serve --------------------------------------------------------------------------

#: Other tests may have runners at the same time.
MODULE = f"apart_app_{os.getpid()}"

APP = """
import ctypes, logging, os, subprocess, time, trioq
app = trioq.App()

@app.job(isolation="process")
def hold(told: str):
    sleep = subprocess.Popen(["sleep", "600"])
    with open(told, "w") as file:
        file.write(f"{os.getpid()}\\n")
    with open(told + ".sleep", "w") as file:
        file.write(f"{sleep.pid}\\n")
    ctypes.PyDLL(None).sleep(600)

@app.job
def fork(told: str):
    # A copy of the engine's process, which outlives it.
    if os.fork() == 0:
        with open(told, "w") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(600)
        os._exit(0)

@app.job(isolation="process")
async def say(text: str):
    logging.getLogger("mine").warning("said %s", text)
    print("printed", text)
"""

CONFIG = """
namespace = "t"
app = "{module}:app"
[redis]
url = "{url}"
[worker]
runners = 1
[observability]
bind = ""
log_format = "json"
"""


@pytest.fixture
def config(tmp_path: Path, server: Server) -> Path:
    path = tmp_path / "q.toml"
    path.write_text(CONFIG.format(url=server.url, module=MODULE))
    (tmp_path / f"{MODULE}.py").write_text(APP)
    return path


def enqueue(config: Path, name: str, payload: dict[str, Any]) -> None:
    ended = run_trioq("enqueue", config, name, json.dumps(payload))
    assert ended.returncode == 0, ended.stderr


def test_runners_of_a_killed_engine_end_with_all_that_they_have_started(
    config: Path, tmp_path: Path
) -> None:
    """Also while no other thread of theirs can run."""
    enqueue(config, "hold", {"told": str(tmp_path / "pid")})
    with trioq_started("serve", config) as process:
        files = [tmp_path / "pid", tmp_path / "pid.sleep"]
        wait_until(lambda: all(pid_of(file) for file in files))
        pids = [int(file.read_text()) for file in files]
        assert all(map(is_alive, pids))
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(is_alive, pids)))
    assert running(f"{MODULE}:app") == []


def test_a_fork_of_a_killed_engine_keeps_no_runner_alive(config: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    enqueue(config, "hold", {"told": str(tmp_path / "pid")})
    with trioq_started("serve", config) as process:
        wait_until(lambda: pid_of(tmp_path / "pid"))
        enqueue(config, "fork", {"told": str(fork)})
        wait_until(lambda: pid_of(fork))
        process.kill()
        try:
            runner = int((tmp_path / "pid").read_text())
            wait_until(lambda: not is_alive(runner))
        finally:
            os.kill(int(fork.read_text()), signal.SIGKILL)


def test_a_runners_lines_look_like_the_engines_and_say_whose_job_it_is(
    config: Path, tmp_path: Path
) -> None:
    enqueue(config, "say", {"text": "☃"})
    ended = run_trioq("serve", config, "--drain", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "printed ☃\n"
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    (said,) = [line for line in lines if line["event"] == "said ☃"]
    (started,) = [line for line in lines if line["event"] == "engine_started"]
    assert (said["job"], said["attempt"], said["namespace"]) == ("say", 1, "t")
    assert len(said["job_id"]) == 32
    assert said["engine_id"] == started["engine_id"]
    assert said["runner"] > 0
    assert "runner" not in started
    assert running(f"{MODULE}:app") == []


def test_an_app_that_only_the_engine_can_import_is_told_in_a_line(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / f"{MODULE}.py").write_text(
        f"import sys\nif '{MODULE}:app' in sys.argv:\n    raise OSError('no database')\n{APP}"
    )
    ended = run_trioq("serve", config, cwd=tmp_path)
    assert ended.returncode == 2
    last = [line for line in ended.stderr.splitlines() if line.startswith("trioq: ")]
    assert f"app: it can't be run in a process: app: can't import '{MODULE}'" in last[0]
    assert "OSError: no database" in ended.stderr


def test_a_ctrl_c_in_the_terminal_lets_jobs_of_runners_finish(config: Path, tmp_path: Path) -> None:
    """It goes to all processes in the foreground; a second one ends them."""
    enqueue(config, "hold", {"told": str(tmp_path / "pid")})
    in_foreground: Any = {"start_new_session": True, "stderr": subprocess.PIPE}
    with trioq_started("serve", config, **in_foreground) as process:
        assert process.stderr is not None
        wait_until(lambda: pid_of(tmp_path / "pid") is not None)
        pid = int((tmp_path / "pid").read_text())
        os.killpg(process.pid, signal.SIGINT)
        assert any('"engine_stopping"' in line for line in process.stderr)
        assert is_alive(pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert not is_alive(pid)
