"""``@pytest.mark.trioq_explore``: a test is run again and again, and what it asserts is the
invariant. Its fixtures are made anew each time, but for those that others share.

So it is done by pytest-rerunfailures, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from _pytest.runner import runtestprotocol

from trioq.testing.exploring.explorer import Explored, Explorer
from trioq.testing.exploring.run import Trial

if TYPE_CHECKING:
    from trioq.testing.world import World

_TRIAL = pytest.StashKey[Trial]()

#: What the marker takes, beside the handler: as of :func:`trioq.testing.explore`.
OPTIONS = ("faults", "pairs", "budget", "seed")


class _Failed(Exception):
    """A run's test has."""


def attach(item: pytest.Item, world: World) -> None:
    """Watch this world if its test is explored."""
    if (trial := item.stash.get(_TRIAL, None)) is not None:
        trial.attach(world)


def protocol(item: pytest.Function, nextitem: pytest.Item | None, marker: pytest.Mark) -> None:
    """Run a test as often as there are steps and faults, and report once."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    rerun = _Rerun(item)
    told = _explored(rerun, marker)
    reports = rerun.plain if isinstance(told, Explored) else rerun.reports
    if isinstance(told, Explored):
        text = f"{told.runs} runs, {len(told.steps)} steps"
        reports[1].sections.append(("explored", "\n".join([text, *told.steps])))
    elif told and reports:
        _fail(reports, told)
    elif told:  # not even one run was made
        failed = pytest.CallInfo.from_call(lambda: pytest.fail(told, pytrace=False), when="call")
        reports.append(item.ihook.pytest_runtest_makereport(item=item, call=failed))
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    call = pytest.CallInfo.from_call(
        lambda: item.session._setupstate.teardown_exact(nextitem), when="teardown"
    )
    if call.excinfo is not None:  # of a fixture that others have shared
        reports.append(item.ihook.pytest_runtest_makereport(item=item, call=call))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


@attrs.define
class _Rerun:
    """Runs the test once more."""

    item: pytest.Function
    plain: list[Any] = attrs.field(factory=list[Any])
    """Of the run without a fault."""
    reports: list[Any] = attrs.field(factory=list[Any])
    """Of the last one."""

    def __call__(self, trial: Trial) -> None:
        item = self.item
        item.stash[_TRIAL] = trial
        item._initrequest()
        try:
            # Up to what others share, with what comes next: that is no test of its own.
            self.reports = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore
        finally:
            del item.stash[_TRIAL]
            os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)"  # for what is told of it
        if not self.plain:
            self.plain = self.reports
        if any(report.skipped for report in self.reports):
            raise pytest.skip.Exception("skipped")
        for report in self.reports:
            if report.failed:
                raise _Failed(_crash(report))


def _explored(rerun: _Rerun, marker: pytest.Mark) -> Explored | str:
    """What was explored, or what is wrong; nothing, if the test wasn't run."""
    try:
        handlers, options = _read(marker)
        roots = [rerun.item.obj, *_fixtures(rerun.item)]
        return Explorer(rerun, roots, frozenset(handlers), **options).explore()
    except pytest.skip.Exception:
        return ""
    except (AssertionError, LookupError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def _fixtures(item: pytest.Function) -> Iterable[Any]:
    for found in item._fixtureinfo.name2fixturedefs.values():
        yield from (each.func for each in found)


def _read(marker: pytest.Mark) -> tuple[list[str], dict[str, Any]]:
    given = dict(marker.kwargs)
    handlers = given.pop("handler", marker.args[0] if marker.args else ())
    if unknown := sorted(given.keys() - set(OPTIONS)):
        raise TypeError(f"trioq_explore knows no {unknown[0]!r}: handler, {', '.join(OPTIONS)}")
    several = handlers if isinstance(handlers, list | tuple) else [handlers]
    return [each if isinstance(each, str) else each.registered.name for each in several], given


def _crash(report: pytest.TestReport) -> str:
    """What an assertion said."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(report.longrepr) if crash is None else str(crash.message)


def _fail(reports: list[Any], told: str) -> None:
    """Have the first that may say it say it."""
    for report in reports:
        if report.failed or report.when == "call":
            shown = f"{report.longreprtext}\n\n{told}" if report.failed else told
            report.outcome, report.longrepr = "failed", shown
            return
