"""Apps: handlers by name, calls for later, and finding them from a configuration."""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from mypy import api as mypy

import trioq
from trioq.apps import load_app
from trioq.builtin import built_in
from trioq.core.call import Call
from trioq.core.config import CommandConfig, Config
from trioq.engine.handlers import Command
from trioq.registry import all_handlers


def make_app() -> tuple[trioq.App, Any]:
    app = trioq.App()

    @app.job("thumbnail", queue="high", timeout=30, retry=trioq.Retry(max_attempts=5))
    async def make_thumbnail(job: trioq.Job, path: str, width: int = 256) -> dict[str, Any]:
        """Make it small."""
        return {"path": path, "width": width, "attempt": job.attempt}

    return app, make_thumbnail


JOB = trioq.Job(uid="0" * 32, name="thumbnail", queue="high", payload={}, attempt=3)


# --- registering ----------------------------------------------------------------------------


def test_a_handler_stays_an_ordinary_function() -> None:
    _, thumbnail = make_app()

    assert trio.run(thumbnail, JOB, "a.png") == {"path": "a.png", "width": 256, "attempt": 3}
    assert thumbnail.__name__ == "make_thumbnail"
    assert thumbnail.__doc__ == "Make it small."
    assert list(inspect.signature(thumbnail).parameters) == ["job", "path", "width"]


def test_a_call_has_the_name_the_payload_and_the_queue() -> None:
    _, thumbnail = make_app()

    assert thumbnail.call("a.png", width=512) == Call(
        "thumbnail", {"path": "a.png", "width": 512}, "high"
    )


def test_a_parameter_may_be_called_self() -> None:
    app = trioq.App()

    @app.job
    def odd(self: int, args: int) -> int:
        return self + args

    assert odd(self=1, args=2) == 3
    assert odd.call(self=1, args=2).payload == {"self": 1, "args": 2}


def test_options_are_kept_for_the_engine() -> None:
    app, _ = make_app()

    registered = app.handlers["thumbnail"]

    assert registered.queue == "high"
    assert registered.timeout_s == 30
    assert registered.retry == trioq.Retry(max_attempts=5)
    assert registered.on_lease_loss == "continue"


def test_without_a_name_it_is_the_functions_own() -> None:
    app = trioq.App()

    @app.job
    async def bare() -> None: ...

    @app.job()
    def called() -> None: ...

    assert list(app.handlers) == ["bare", "called"]
    assert (bare.call().name, called.call().name) == ("bare", "called")


def test_a_name_is_taken_once() -> None:
    app, _ = make_app()

    with pytest.raises(ValueError, match=r"two handlers are called 'thumbnail'.*make_thumbnail"):
        app.job("thumbnail")(lambda: None)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"isolation": "thread"}, "isolation is 'thread': expected 'none' or 'process'"),
        ({"on_lease_loss": "stop"}, "on_lease_loss is 'stop': expected 'continue' or 'cancel'"),
        ({"queue": "a b"}, "the queue is 'a b': expected the name of a queue: 1 to 64 letters, "
                           'digits, "_", "-" or "."'),
        ({"retry": 3}, "retry is 3: expected a trioq.Retry(…)"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_told_with_what_would_be_right(
    option: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        trioq.App().job("x", **option)(lambda: None)
    assert str(caught.value) == message


def test_handlers_cannot_be_added_from_outside() -> None:
    app, _ = make_app()

    with pytest.raises(TypeError):
        app.handlers["other"] = app.handlers["thumbnail"]  # type: ignore[index]


def test_an_app_includes_another_or_nothing_of_it() -> None:
    app, _ = make_app()
    other = trioq.App()
    other.job("first")(lambda: None)
    other.job("thumbnail")(lambda: None)
    whole = trioq.App()

    whole.include(other)
    with pytest.raises(ValueError, match="'thumbnail'"):
        app.include(other)

    assert list(whole.handlers) == ["first", "thumbnail"]
    assert list(app.handlers) == ["thumbnail"]


def test_what_an_included_app_gets_later_its_including_apps_have_too() -> None:
    whole, middle, leaf = trioq.App(), trioq.App(), trioq.App()
    whole.include(middle)
    middle.include(leaf)
    whole.include(leaf)  # by two ways: it's the same

    leaf.schedule(every=60)(leaf.job("late")(lambda: None))
    whole.job("own")(lambda: None)

    assert list(whole.handlers) == ["own", "late"]
    assert list(whole.schedules) == list(middle.schedules) == ["late"]
    assert list(leaf.handlers) == ["late"]
    with pytest.raises(ValueError, match=r"two handlers are called 'own': .*<lambda> and .*<lamb"):
        leaf.job("own")(lambda: None)
    assert list(whole.apps()) == [whole, middle, leaf]


def test_all_that_is_in_both_is_told_at_once() -> None:
    app, other = trioq.App(), trioq.App()
    for each in (app, other):
        for name in ("a", "b"):
            each.schedule(every=60)(each.job(name)(lambda: None))

    with pytest.raises(ValueError, match="called 'a'") as caught:
        app.include(other)

    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "two handlers are called 'a'", "two handlers are called 'b'",
        "two schedules are called 'a'", "two schedules are called 'b'",
    ]  # fmt: skip


def test_apps_do_not_include_each_other() -> None:
    whole, middle, leaf = trioq.App(), trioq.App(), trioq.App()
    whole.include(middle)
    middle.include(leaf)
    for app, itself in ((whole, "an app that includes it"), (leaf, "itself")):
        with pytest.raises(ValueError, match=f"an app can't include {itself}"):
            leaf.include(app)
    with pytest.raises(TypeError, match=r"expected a trioq.App; got a module"):
        whole.include(trioq)  # type: ignore[arg-type]


def test_type_checkers_see_calls_without_the_job(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        from typing import assert_type
        import trioq
        from trioq import Call
        app = trioq.App()
        @app.job("a", queue="high")
        async def a(job: trioq.Job, path: str, width: int = 1) -> dict[str, int]: return {}
        @app.job
        async def b(job: trioq.Job, path: str) -> dict[str, int]: return {}
        @app.job()
        def c(path: str) -> int: return 1
        async def right(job: trioq.Job) -> None:
            assert_type(a.call("x", width=2), Call[dict[str, int]])
            assert_type(await a(job, "x"), dict[str, int])
            assert_type(await b(job, "x"), dict[str, int])
            assert_type(c("x"), int)
        a.call(5)
        a.call("x", colour=1)
        b.call()
        c.call(1)
    """)

    path = tmp_path / "program.py"
    path.write_text(program)

    out, _, _ = mypy.run([str(path)])

    wrong = [line.split(":")[1] for line in out.splitlines() if ": error:" in line]
    assert [program.splitlines()[int(number) - 1] for number in wrong] == [
        "a.call(5)",
        'a.call("x", colour=1)',
        "b.call()",
        "c.call(1)",
    ], out


TYPED_RESULTS = """
import trioq

app = trioq.App()

class Page: ...

@app.job(result="1h")
async def page(number: int) -> Page: return Page()

@app.job
def pages(job: trioq.Job) -> list[Page]: return []

a: trioq.Call[Page] = page.call(1)
b: trioq.Call[list[Page]] = pages.call()
c: trioq.Call[int] = page.call(1)
d: trioq.Call = pages.call()
"""


def test_a_call_knows_for_type_checkers_what_its_handler_returns(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(TYPED_RESULTS)

    out, _, _ = mypy.run([str(path)])

    wrong = [line.split(":")[1] for line in out.splitlines() if ": error:" in line]
    lines = [TYPED_RESULTS.splitlines()[int(number) - 1] for number in wrong]
    assert lines == ["c: trioq.Call[int] = page.call(1)"], out


TYPED_DEPS = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_type
import trioq

class Deps:
    http: str = ""

class Other: ...

@asynccontextmanager
async def resources(app: trioq.App[Deps]) -> AsyncIterator[Deps]: yield Deps()
async def brief(app: trioq.App) -> AsyncIterator[Deps]: yield Deps()
async def returns(app: trioq.App) -> Deps: return Deps()

app = trioq.App(lifespan=resources)
assert_type(app, trioq.App[Deps])
assert_type(trioq.App(lifespan=brief, runtime="asyncio"), trioq.App[Deps])

@app.job
async def send(job: trioq.Job[Deps], to: str) -> int:
    assert_type(job.deps, Deps)
    return 1

@app.job(queue="low")
def plain(job: trioq.Job, to: str) -> int: return 1

@app.job
async def other(job: trioq.Job[Other], to: str) -> None: ...

@trioq.App().job(queue="low")
def none(job: trioq.Job[Deps], to: str) -> None: ...

@app.middleware
async def around(job: trioq.Job[Deps]) -> AsyncIterator[None]: yield

whole = trioq.App()
whole.include(app)
assert_type(send.call("a"), trioq.Call[int])
assert_type(plain.call("a"), trioq.Call[int])
trioq.current_job().deps.anything()
send.call(5)
other.call("a")
none.call("a")
trioq.App(lifespan=returns)
"""


def test_type_checkers_see_what_handlers_share_and_whether_it_is_that_of_their_app(
    tmp_path: Path,
) -> None:
    path = tmp_path / "program.py"
    path.write_text(TYPED_DEPS)

    out, _, _ = mypy.run(["--strict", str(path)])

    lines = [line for line in out.splitlines() if ": error:" in line]
    wrong = dict.fromkeys(int(line.split(":")[1]) for line in lines)
    assert [TYPED_DEPS.splitlines()[number - 1] for number in wrong] == [
        "send.call(5)", 'other.call("a")', 'none.call("a")', "trioq.App(lifespan=returns)",
    ], out  # fmt: skip


@pytest.mark.parametrize(
    ("result", "seconds"),
    [("1h", 3600.0), (30, 30), (0.5, 0.5), (timedelta(minutes=2), 120.0), (None, None)],
)
def test_how_long_results_are_kept(result: Any, seconds: float | None) -> None:
    handler = trioq.App().job("page", result=result)(lambda: None)

    expected = handler.call().expected
    assert expected is not None
    assert expected.result_s == seconds


@pytest.mark.parametrize("result", ["an hour", 0, -1, "0s", True, float("nan")])
def test_a_time_that_is_none_is_refused(result: Any) -> None:
    with pytest.raises(ValueError, match=r'result is .*: expected a time, such as "1h" or 3600'):
        trioq.App().job("page", result=result)(lambda: None)


def test_the_errors_that_waiters_get_as_themselves() -> None:
    app = trioq.App()

    assert app.job("a", raises=[KeyError, OSError])(lambda: None).registered.raises == (
        KeyError,
        OSError,
    )
    for wrong in (["KeyError"], KeyError(), [KeyboardInterrupt], "KeyError"):
        with pytest.raises(TypeError, match="expected classes of exceptions"):
            app.job("b", raises=wrong)(lambda: None)  # type: ignore[arg-type]


def test_what_a_handler_returns_may_be_a_class_that_comes_later() -> None:
    def page() -> Later: ...  # type: ignore[empty-body]

    handler = trioq.App().job("page")(page)
    assert handler.registered.returns is Later


class Later: ...


# --- from a configuration -------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for modules, beside another one that is current."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "project").mkdir()
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    before = set(sys.modules)
    yield tmp_path / "project"
    for name in set(sys.modules) - before:
        del sys.modules[name]


SOURCE = "import trioq\napp = trioq.App()\n@app.job\ndef {}(): ...\n"


def names_of(where: str, directory: Path) -> list[str]:
    return list(load_app(where, directory).handlers)


def test_an_app_is_found_beside_its_configuration_first_then_in_the_current_directory(
    project: Path,
) -> None:
    (project / "both.py").write_text(SOURCE.format("beside"))
    Path("both.py").write_text(SOURCE.format("current"))
    Path("here_only.py").write_text(SOURCE.format("current"))

    assert names_of("both:app", project) == ["beside"]
    assert names_of("here_only:app", project) == ["current"]
    assert sys.path[:2] == [str(project), str(Path.cwd())]


def test_an_app_may_be_in_a_package_and_in_an_object(project: Path) -> None:
    (project / "pack").mkdir()
    (project / "pack" / "jobs.py").write_text(SOURCE.format("x") + "class Holder: inner = app\n")

    assert names_of("pack.jobs:Holder.inner", project) == ["x"]


def test_a_directory_that_is_relative_is_found_after_the_current_one_changes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "relative.py").write_text(SOURCE.format("x"))
    (project / "later.py").write_text("")

    assert names_of("relative:app", Path("../project")) == ["x"]
    monkeypatch.chdir("/")

    assert importlib.import_module("later").__file__ == str(project / "later.py")


@pytest.mark.parametrize(
    ("source", "where", "told"),
    [
        (None, "nowhere:app", ["can't import 'nowhere'", "No module named 'nowhere'"]),
        ("import missing_thing", "broken:app", ["No module named 'missing_thing'", "broken.py"]),
        ("def f(:", "broken:app", ["SyntaxError", "broken.py"]),
        ("1 / 0", "broken:app", ["ZeroDivisionError", "1 / 0"]),
        ("raise SystemExit(3)", "broken:app", ["SystemExit: 3"]),
        ("", "broken:app", ["'broken'", "broken.py", "has no 'app'"]),
        ("app = 5", "broken:app", ["'broken:app' is an object of type int, not a trioq.App"]),
    ],
)
def test_what_cannot_be_loaded_is_told_with_places_and_traceback(
    project: Path, source: str | None, where: str, told: list[str]
) -> None:
    if source is not None:
        (project / "broken.py").write_text(source)

    with pytest.raises(trioq.ConfigError) as caught:
        load_app(where, project)

    (fault,) = caught.value.faults
    assert fault.startswith("app: ")
    for part in told:
        assert part in fault
    if "can't import" in fault:
        assert f"looked in {project} and {Path.cwd()} first" in fault
        assert caught.value.__cause__ is not None
        assert "importlib" not in fault


# --- all handlers of an engine --------------------------------------------------------------


def command(*argv: str, **options: Any) -> CommandConfig:
    return CommandConfig(argv=argv, **options)


def test_an_engine_has_the_apps_the_configured_and_the_built_in_handlers() -> None:
    app, _ = make_app()

    handlers = all_handlers(
        app, {"convert": command("convert")}, built_in(), Path("/x"), trioq.Retry()
    )

    assert sorted(handlers) == ["convert", "fingerprint", "thumbnail"]
    assert all(handler.name == name for name, handler in handlers.items())


def test_a_command_is_made_as_configured() -> None:
    config = command(
        "convert",
        queue="high",
        timeout_s=7.0,
        permanent_exit_codes=(2,),
        cwd="work",
        env={"A": "b"},
        max_attempts=9,
    )

    made = all_handlers(
        trioq.App(), {"convert": config}, built_in(), Path("/x"), trioq.Retry(base=3.0)
    )["convert"]

    assert isinstance(made, Command)
    assert (made.queue, made.timeout_s, made.permanent_exit_codes) == ("high", 7.0, (2,))
    assert (made.cwd, made.env) == ("/x/work", {"A": "b"})
    assert made.retry == trioq.Retry(max_attempts=9, base=3.0)


def test_a_command_without_attempts_of_its_own_leaves_them_to_the_engine() -> None:
    handlers = all_handlers(trioq.App(), {"x": command("x")}, built_in(), Path("/x"), trioq.Retry())
    made = handlers["x"]

    assert made.retry is None
    assert isinstance(made, Command)
    assert made.cwd == "/x"


def test_names_that_are_given_twice_are_all_told() -> None:
    app, _ = make_app()
    app.job("fingerprint")(lambda: None)

    config = Config(commands={"thumbnail": command("x")})

    with pytest.raises(trioq.ConfigError) as caught:
        trioq.Engine(app, config)

    other, clash = caught.value.faults
    assert clash.startswith("app: ")
    assert "'fingerprint', as is a built-in handler" in clash
    assert other.startswith("commands.thumbnail: the app's ")
    assert other.endswith("make_thumbnail has this name, too")
