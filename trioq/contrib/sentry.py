"""Sentry hears of jobs that die, and of what led to it.

sentry_sdk.init("https://…")
watch(app)
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import trioq

try:
    import sentry_sdk
    from sentry_sdk.scope import use_isolation_scope
    from sentry_sdk.utils import event_from_exception
except ModuleNotFoundError as error:
    told = "trioq.contrib.sentry needs Sentry's SDK: pip install 'trioq[sentry]'"
    raise ModuleNotFoundError(told, name=error.name) from error

#: Scopes of so many failed attempts are kept until it is decided what becomes of their jobs.
KEPT = 200

_MECHANISM = {"type": "trioq", "handled": False}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in (.+)\n(?: {4,}(.*))?', re.MULTILINE)


def watch(app: trioq.App, *, each_failure: bool = False) -> None:
    """Report the jobs of an app that fail for good, one event each.

    Each attempt has a scope of its own, so that breadcrumbs and tags are only its job's, and
    continues the trace of its enqueue; where Sentry traces, it is a transaction. What this process
    enqueues belongs to Sentry's trace of that moment (:func:`trioq.trace_from`).

    Args:
      each_failure: Also report failures after which there is another attempt, as warnings.

    Raises:
      TypeError: It isn't an app.
    """
    if not isinstance(app, trioq.App):
        raise TypeError(f"watch(app) takes the trioq.App of the handlers; got {app!r}")
    scopes = deque[tuple[str, sentry_sdk.Scope]](maxlen=KEPT)

    @app.middleware
    def attempt(job: trioq.Job) -> Iterator[None]:
        if not sentry_sdk.get_client().is_active():
            yield
            return
        wish: trioq.RetryLater | trioq.Snooze | None = None
        with sentry_sdk.isolation_scope() as scope:
            describe(scope, job)
            with sentry_sdk.start_transaction(transaction(job)) as span:
                try:
                    yield
                    span.set_status("ok")
                except BaseException as error:
                    scopes.append((job.token, scope))
                    if not isinstance(error, trioq.RetryLater | trioq.Snooze):
                        raise
                    span.set_status("aborted")
                    wish = error  # which is no error of the transaction's
        if wish is not None:
            raise wish

    @app.on_failure
    def report(failure: trioq.Failure) -> None:
        job = failure.job
        kept = next((each for each in scopes.copy() if each[0] == job.token), None)
        if kept is not None:
            with contextlib.suppress(ValueError):  # other failures have pushed it out
                scopes.remove(kept)
        if failure.retry_in is not None and not each_failure:
            return
        if kept is not None:
            scope = kept[1]
        else:
            scope = sentry_sdk.get_isolation_scope().fork()
            describe(scope, job)
            scope.continue_trace(sentry_trace(job.trace))
        with use_isolation_scope(scope):
            sentry_sdk.capture_event(*event_of(failure))

    trioq.trace_from(trace_here)


def describe(scope: sentry_sdk.Scope, job: trioq.Job) -> None:
    """Say in a ``scope`` which ``job`` this is, and nothing of others. Its payload stays here."""
    scope.clear_breadcrumbs()
    scope.set_transaction_name(job.name, source="task")
    scope.set_tags({"trioq.job": job.name, "trioq.queue": job.queue})
    keys = ("uid", "id", "name", "queue", "attempt", "max_attempts")
    scope.set_context("trioq", {key: getattr(job, key) for key in keys})


def event_of(failure: trioq.Failure) -> tuple[Any, Any]:
    """The event, and what Sentry calls its hint."""
    hint: Any = {}
    if failure.error is not None:
        options = sentry_sdk.get_client().options
        event, hint = event_from_exception(failure.error, options, _MECHANISM)
    else:
        kind, _, value = failure.text.partition(": ")
        error: dict[str, Any] = {"type": kind, "value": value, "mechanism": _MECHANISM}
        if frames := frames_of(failure.traceback):
            error["stacktrace"] = {"frames": frames}
        event = {"exception": {"values": [error]}}
        if not frames:  # else all that took too long would be one issue
            event["fingerprint"] = ["{{ default }}", failure.job.name]
    event["level"] = "error" if failure.retry_in is None else "warning"
    return event, hint


def frames_of(traceback: str) -> list[dict[str, Any]]:
    """Those of the last exception in a traceback that is text."""
    last = traceback.rpartition("\n\n")[2]
    return [
        {"filename": file, "lineno": int(line), "function": function, "context_line": code}
        for file, line, function, code in _FRAME.findall(last)
    ]


# -- traces --------------------------------------------------------------------------------------


def transaction(job: trioq.Job) -> Any:
    """One for an attempt, in its job's trace; that is where what it reports belongs to, too."""
    made = sentry_sdk.continue_trace(
        sentry_trace(job.trace),
        op="queue.process",
        name=job.name,
        source="task",
        origin="auto.queue.trioq",
    )
    made.set_data("messaging.system", "trioq")
    made.set_data("messaging.message.id", job.uid)
    made.set_data("messaging.destination.name", job.queue)
    made.set_data("messaging.message.retry.count", job.attempt - 1)
    return made


def sentry_trace(trace: Mapping[str, str]) -> dict[str, str]:
    """W3C's headers, as Sentry has them.

    Whether a trace is kept is what Sentry's own baggage says, for OpenTelemetry's word isn't meant
    for Sentry. Without any, Sentry decides.
    """
    if (found := _TRACEPARENT.fullmatch(trace.get("traceparent", ""))) is None:
        return {}
    baggage = trace.get("baggage", "")
    kept = re.search(r"\bsentry-sampled=(true|false)", baggage)
    flag = "" if kept is None else "-1" if kept[1] == "true" else "-0"
    return {"sentry-trace": f"{found[1]}-{found[2]}{flag}", "baggage": baggage}


def trace_here() -> dict[str, str]:
    """Sentry's trace of this moment, as W3C has it; empty where Sentry isn't set up."""
    if not sentry_sdk.get_client().is_active() or not (here := sentry_sdk.get_traceparent()):
        return {}
    trace_id, span_id, flag = (*here.split("-"), "0")[:3]
    return {
        "traceparent": f"00-{trace_id}-{span_id}-0{flag}",
        "baggage": sentry_sdk.get_baggage() or "",
    }
