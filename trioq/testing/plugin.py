"""The plugin of pytest: the fixture ``tq``. It loads nothing before a test asks for that."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from trioq.app import App
    from trioq.core.config import Config
    from trioq.testing.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("trioq").addoption(
        "--trioq-redis", action="store_true", dest="trioq_redis",
        help="Worlds of trioq.testing are on a real server, the embedded one, and not in memory.",
    )  # fmt: skip
    parser.getgroup("trioq").addoption(
        "--trioq-step", dest="trioq_step", metavar="FAULT@STEP",
        help="Of what is explored, make this run alone (and the one without a fault): crash@3.",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "trioq_explore(handler, faults, pairs, budget, seed): run the test again for each step of"
        " the handler and each fault, as trioq.testing.explore does",
    )
    if step := config.getoption("trioq_step"):
        os.environ["TRIOQ_STEP"] = step


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test again and again, if it says so."""
    marker = item.get_closest_marker("trioq_explore")
    if marker is None or not isinstance(item, pytest.Function):
        return None
    from trioq.testing.exploring.marker import protocol

    protocol(item, nextitem, marker)
    return True


@pytest.fixture
def trioq_app() -> App | None:
    """The app of :func:`tq`'s world. Default: that which the configuration names; override this
    fixture to say otherwise."""
    return None


@pytest.fixture
def trioq_config() -> Config | Path | str | None:
    """The configuration of :func:`tq`'s world, or its file. Default: as the command line finds it,
    or in pytest's rootdir; else one with the queues of the handlers, and ``default``."""
    return None


@pytest.fixture
def trioq_begins() -> datetime | None:
    """When :func:`tq`'s world begins. Default: 2023-11-14 22:13:20 UTC."""
    return None


@pytest.fixture
def tq(
    request: pytest.FixtureRequest,
    trioq_app: App | None,
    trioq_config: Config | Path | str | None,
    trioq_begins: datetime | None,
) -> Iterator[World]:
    """One namespace in virtual time: :class:`trioq.testing.World`."""
    from trioq.testing.world import World

    redis = request.config.getoption("trioq_redis")
    config = trioq_config or _found(request.config.rootpath)
    world = World(trioq_app, config, redis=redis, begins=trioq_begins)
    if request.node.get_closest_marker("trioq_explore") is not None:
        from trioq.testing.exploring.marker import attach

        attach(request.node, world)
    with world.clients.lead():
        yield world
    world.close()


def _found(rootpath: Path) -> Path | str | None:
    """Where pytest is run from elsewhere, by an editor say, the configuration is in its rootdir."""
    from trioq.settings.find import find, find_in

    if (here := find()) is not None:
        return here
    name = find_in(rootpath)
    return None if name is None else rootpath / name


#: Who runs a test that has one of these markers. pytest-trio is told in which time.
OTHERS = ("trio", "asyncio", "anyio")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have pytest-trio run tests that use the fixture in their world's time, with the fixtures that
    it has for them."""
    for item in items:
        if isinstance(item, pytest.Function) and _is_ours(item) and item.get_closest_marker("trio"):
            item.add_marker(pytest.mark.trio(run=functools.partial(_run, item)), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that uses the fixture, in its world's time, if nobody else does."""
    if not (_is_ours(pyfuncitem) and inspect.iscoroutinefunction(pyfuncitem.obj)):
        return None
    if any(pyfuncitem.get_closest_marker(name) for name in OTHERS):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    given = {name: pyfuncitem.funcargs[name] for name in names}
    _run(pyfuncitem, functools.partial(pyfuncitem.obj, **given))
    return True


def _is_ours(item: pytest.Function) -> bool:
    """Whether it uses this fixture, and not one of the same name."""
    defined = item._fixtureinfo.name2fixturedefs.get("tq", ())
    return any(each.func.__module__ == __name__ for each in defined)


def _run(item: pytest.Function, function: Any, **of_pytest_trio: Any) -> None:
    world: Any = item.funcargs["tq"]
    world.run(function)
