"""What holds jobs up, and what makes them: limits, breakers, schedules."""

from __future__ import annotations

from typing import Annotated, Any

import attrs

from trioq.core.config.rules import did_you_mean
from trioq.store.inspect import ScheduleView
from trioq.web.api.question import Nothing, Question
from trioq.web.api.questions.system import check_limit
from trioq.web.masks import masked_job, sensitive_of
from trioq.web.operations import Acting
from trioq.web.problems import Problem


@attrs.frozen(kw_only=True)
class OfSchedule:
    """A schedule."""

    schedule: Annotated[str, "Its name."]


@attrs.frozen(kw_only=True)
class NextOfSchedule:
    """A schedule."""

    schedule: Annotated[str, "Its name."]
    limit: Annotated[int, "At most so many, 1 to 1000."] = 5


def _limits(acting: Acting, what: Nothing) -> list[dict[str, Any]]:
    return [view.as_json() for view in acting.admin.limits()]


def _breakers(acting: Acting, what: Nothing) -> list[dict[str, Any]]:
    return [view.as_json() for view in acting.admin.breakers()]


def _schedules(acting: Acting, what: Nothing) -> list[dict[str, Any]]:
    sensitive = sensitive_of(acting.config)
    return [masked_job(view.as_json(), sensitive) for view in acting.client.schedules.list()]


def _known(acting: Acting, name: str) -> ScheduleView:
    if (view := acting.client.schedules.get(name)) is not None:
        return view
    names = [each.name for each in acting.client.schedules.list()]
    hint = did_you_mean(name, names) if names else ": there are none"
    raise Problem(404, "No such schedule", f"there is no schedule {name[:100]!r}{hint}")


def _schedule(acting: Acting, what: OfSchedule) -> dict[str, Any]:
    view = _known(acting, what.schedule)
    return masked_job(view.as_json(), sensitive_of(acting.config))


def _next(acting: Acting, what: NextOfSchedule) -> list[int]:
    check_limit(what.limit, 1000)
    return _known(acting, what.schedule).following(what.limit)


QUESTIONS = (
    Question("/limits", "What is limited, and who waits.", Nothing, "Limit[]", _limits),
    Question(
        "/breakers",
        "The breakers that aren't closed, and those that all engines share.",
        Nothing,
        "Breaker[]",
        _breakers,
    ),
    Question("/schedules", "What makes jobs by the clock.", Nothing, "Schedule[]", _schedules),
    Question(
        "/schedules/{schedule}/next",
        "When it comes next, in epoch milliseconds.",
        NextOfSchedule,
        "Time[]",
        _next,
    ),
    Question(
        "/schedules/{schedule}",
        "One of them, and what became of its last 20 ticks.",
        OfSchedule,
        "Schedule",
        _schedule,
    ),
)
