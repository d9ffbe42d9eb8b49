"""``python -m tests.pages.run PAGE``, in an empty folder: go through a page from top to bottom.

Files are written, programs run and what they print compared, and the rest of Python is executed in
one namespace, statement by statement: what waits at the top level in trio, or in asyncio where it
is about asyncio, what doesn't in a thread, as if it were a program's first. A failure is a
traceback with the page's line.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trio

import trioq
from tests.pages.blocks import Block, blocks_of, commands, output_of, shape
from tests.pages.scenes import CONFIG, SCENES, Scene, why_not
from tests.support import PATIENCE_S, wait_until
from trioq.core import events
from trioq.settings import load

#: Programs, as somebody types them who has the environment activated.
PROGRAMS = {
    "trioq": ["-m", "trioq"], ".venv/bin/trioq": ["-m", "trioq"], "pytest": ["-m", "pytest"],
    "python": [],
}  # fmt: skip


async def main(page: str) -> None:
    """Try each of its blocks."""
    scene = SCENES.get(page, Scene())
    blocks = [block for block in blocks_of(page) if why_not(block) is None]
    prints = output_of(blocks)
    namespace: dict[str, Any] = {"__name__": "__page__", "run": run}
    await execute(scene.first, f"{page}, first", namespace)
    write_files(blocks, scene)
    with ExitStack() as stack:
        if prints or scene.serves == "":
            stack.enter_context(serving())
        await execute(scene.given, f"{page}, given", namespace)
        for block in blocks:
            if scene.serves and block.text.startswith(scene.serves):
                stack.enter_context(serving())
            if block.file is not None:
                check_file(block)
            elif block.language == "python":
                await execute(block.text, str(page), namespace, block.line)
            elif block.language == "console":
                type_in(block, scene)
            elif block.language == "toml":
                check_toml(block, scene)
            elif block.language == "json":
                check_log_line(block)
            elif block not in prints.values():
                check_fault(block, scene)
            if block in prints:
                ask(prints[block])
        await execute(scene.then, f"{page}, then", namespace)


# -- files and programs --------------------------------------------------------------------------


def write_files(blocks: list[Block], scene: Scene) -> None:
    """All that the page says, and what it takes for granted; with a configuration, if it has
    none."""
    files = {block.file: block.text for block in blocks if block.file is not None}
    files |= {name: text for name, text in scene.files.items() if name not in files}
    apps = [name for name, text in files.items() if "\napp = trioq.App(" in text]
    if apps and "jobqueue.toml" not in files:
        files["jobqueue.toml"] = CONFIG.replace("jobs", apps[0].removesuffix(".py"))
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")


def check_file(block: Block) -> None:
    """It is Python; or a configuration, with which nothing is wrong."""
    assert block.file is not None
    if block.file.endswith(".toml"):
        load(Path(block.file))
    else:
        compile(block.text, block.file, "exec")


@contextmanager
def serving(words: Sequence[str] = ("serve", "jobqueue.toml")) -> Iterator[None]:
    """An engine, as long as this lasts, once it has begun."""
    engine = subprocess.Popen([sys.executable, "-m", "trioq", *words], stderr=subprocess.DEVNULL)
    with engine:
        try:
            wait_until(engines)
            yield
        finally:
            engine.terminate()
    assert engine.returncode == 0


def engines() -> int:
    """How many live."""
    with trioq.connect_admin("jobqueue.toml") as admin:
        return len(admin.stats().engines)


def ask(told: Block) -> None:
    """Run the program that asks; who waits for several is told in any order."""
    asked = subprocess.run(
        [sys.executable, "ask.py"], check=True, text=True, timeout=PATIENCE_S,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert sorted(asked.stdout.splitlines()) == sorted(told.text.splitlines()), asked.stdout


# -- Python --------------------------------------------------------------------------------------


async def execute(text: str, page: str, namespace: dict[str, Any], line: int = 0) -> None:
    """Python, in this namespace; ``line`` is that above its first."""
    for statement in ast.parse(text).body:
        ast.increment_lineno(statement, line)
        module = ast.Module([statement], [])
        code = compile(module, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        made = types.FunctionType(code, namespace)
        if not code.co_flags & inspect.CO_COROUTINE:
            await trio.to_thread.run_sync(made)
        elif any(name in ("aio", "asyncio") for name in code.co_names):
            await trio.to_thread.run_sync(asyncio.run, made())
        else:
            await made()


def run(app: trioq.App, call: trioq.Call[Any]) -> trioq.JobEnd[Any]:
    """For scenes: the end of a job that an engine of the page's own app has run."""

    async def enqueue() -> trioq.JobEnd[Any]:
        async with trioq.connect("jobqueue.toml") as client, trio.open_nursery() as nursery:
            engine = await nursery.start(trioq.Engine(app, "jobqueue.toml").run)
            end = await (await client.enqueue(call)).wait(PATIENCE_S)
            engine.drain()
        return end

    return trio.run(enqueue)


# -- terminals, settings, logs -------------------------------------------------------------------


def type_in(block: Block, scene: Scene) -> None:
    """Run each of its commands; what is printed has the shape of what is shown."""
    for command in commands(block):
        program, *words = shlex.split(command.words, comments=True)
        words = [scene.words.get(word, word) for word in words]
        if program == "cd":
            os.chdir(*words)
            continue
        if program == "trioq" and words[0] in ("serve", "dev") and "--drain" not in words:
            with serving(words):
                pass
            continue
        ended = subprocess.run(
            [sys.executable, *PROGRAMS[program], *words], check=False, text=True,
            timeout=PATIENCE_S, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        told = ended.stdout.strip()
        if command.shown:
            assert shape(command.shown).fullmatch(told), f"{block.page}: {command.words}\n{told}"
        else:
            assert ended.returncode == 0, f"{block.page}: {command.words}\n{told}"


def check_toml(block: Block, scene: Scene) -> None:
    """It is a part of a configuration with which nothing is wrong."""
    toml = block.text if "app =" in block.text else f"{scene.toml}\n{block.text}"
    Path("part.toml").write_text(toml, encoding="utf-8")
    checked = config_check("part.toml")
    assert checked == "part.toml: nothing is wrong\n", f"{block.page}:{block.line}\n{checked}"


def check_fault(block: Block, scene: Scene) -> None:
    """It is what is said of the configuration that the scene has for it."""
    Path("faulty").mkdir()
    Path("faulty/jobqueue.toml").write_text(scene.faulty, encoding="utf-8")
    checked = config_check("jobqueue.toml", Path("faulty"))
    for line in block.text.splitlines():
        assert line in checked, f"{block.page}:{block.line}: {line}\n{checked}"


def config_check(file: str, folder: Path = Path()) -> str:
    """What ``trioq config check`` says of a file."""
    argv = [sys.executable, "-m", "trioq", "config", "check", file]
    return subprocess.run(
        argv, cwd=folder, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ).stdout


def check_log_line(block: Block) -> None:
    """It is a line of the log: an event that there is, with fields that it has."""
    line = json.loads(block.text)
    known = {events.name_of(kind) for kind in events.Event.__subclasses__()}
    assert line["event"] in known, line["event"]


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
