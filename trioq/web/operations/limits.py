"""What is done to limits and breakers."""

from __future__ import annotations

import json
from typing import Annotated, Any

import attrs

from trioq.client.known import why_no_breaker
from trioq.core.config.rules import did_you_mean
from trioq.core.config.sections import BURST, RATE, SLOTS
from trioq.core.flow import allows
from trioq.core.limiter import interval_us
from trioq.core.limits import LimitSettings, is_own
from trioq.store.inspect import settings_json
from trioq.web.operations.fields import Key
from trioq.web.operations.operation import Acting, Operation
from trioq.web.problems import Problem
from trioq.web.who.roles import Role


@attrs.frozen(kw_only=True)
class SetLimit:
    """A limit, and what it is to admit; what isn't told stays."""

    limit: Annotated[str, "The name of the limit."]
    key: Annotated[Key | None, "A value of its key: for jobs with that alone."] = None
    rate: Annotated[
        float | str | None, 'Starts per second, or "5/m", "1000/h"; "none": at any rate.'
    ] = None
    burst: Annotated[int | None, "Starts at once after a quiet time."] = None
    concurrency: Annotated[int | str | None, 'Jobs that run at a time; "none": any number.'] = None


@attrs.frozen(kw_only=True)
class ResetBreaker:
    """A breaker."""

    name: Annotated[str, "A handler's, or what several depend on."]


def _set(acting: Acting, what: SetLimit) -> dict[str, Any]:
    rate, burst, slots = _read(what)
    if is_own(what.limit):
        raise ValueError(f"the limit {what.limit!r} is trioq's own: nobody sets it")
    views = {view.name: view for view in acting.admin.limits()}
    if (limit := views.get(what.limit)) is None:
        hint = did_you_mean(what.limit, views) if views else ": nothing is limited"
        raise Problem(404, "No such limit", f"there is no limit {what.limit[:100]!r}{hint}")
    of_values = any(taken.take != what.limit for taken in limit.takes)
    settings = acting.admin.limit(what.limit, what.key) or LimitSettings(keyed=of_values)
    if rate is not None:
        settings = attrs.evolve(settings, interval_us=interval_us(rate) if rate else 0)
    if burst is not None:
        settings = attrs.evolve(settings, burst=burst)
        if burst != 1 and not settings.interval_us:
            raise ValueError("burst is only used with a rate: say that, too")
    if slots is not None:
        settings = attrs.evolve(settings, concurrency=slots)
    if not acting.admin.set_limit(what.limit, settings, key=what.key):
        raise Problem(409, "Changed meanwhile", f"{what.limit} has been changed: nothing was set")
    of = "" if what.key is None else f" for {json.dumps(what.key, ensure_ascii=False)}"
    told = {"name": what.limit, "key": what.key, **settings_json(settings)}
    return told | {"done": f"{what.limit}{of}: {allows(settings)}"}


def _read(what: SetLimit) -> tuple[float | None, int | None, int | None]:
    """What is to change; 0 lifts it.

    Raises:
      Problem: With all that is wrong (422).
    """
    given = [("rate", RATE, what.rate), ("burst", BURST, what.burst)]
    values: list[Any] = []
    faults = []
    for name, kind, said in [*given, ("concurrency", SLOTS, what.concurrency)]:
        if said is None or (said == "none" and name != "burst"):
            values.append(None if said is None else 0)
            continue
        value = kind.parse(kind.from_text(said) if isinstance(said, str) else said)
        faults += [{"where": name, "what": message} for _, message in kind.problems(value, said)]
        values.append(value)
    if faults:
        detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
        raise Problem(422, "Wrong fields", detail, faults=faults)
    if values == [None, None, None]:
        raise ValueError("say what to change: rate, burst or concurrency")
    rate, burst, slots = values
    return rate, burst, slots


def _reset(acting: Acting, what: ResetBreaker) -> dict[str, Any]:
    found = acting.admin.breakers()
    engines, configured = acting.admin.stats().engines, acting.config.breakers
    if why := why_no_breaker(what.name, found, engines, configured):
        raise Problem(404, "No such breaker", why)
    acting.admin.reset_breaker(what.name)
    shut = [each for each in found if each.name == what.name and each.state != "closed"]
    beat_s = acting.config.worker.heartbeat_interval_s
    was = "" if shut else ", as it was, as far as is known"
    return {
        "name": what.name,
        "were": [each.as_json() for each in shut],
        "done": f"{what.name} is closed, in all engines within {beat_s:g} s{was}",
    }


OPERATIONS = (
    Operation(
        name="limits.set",
        role=Role.admin,
        does="Change a limit for all engines, until a deployment says something else of it.",
        takes=SetLimit,
        run=_set,
        is_grave=True,
    ),
    Operation(
        name="breakers.reset",
        role=Role.operate,
        does="Close the breakers of a name in all engines, whatever was found.",
        takes=ResetBreaker,
        run=_reset,
    ),
)
