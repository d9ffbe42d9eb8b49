"""Frameworks: what would leak from one run into the next, or tell what nobody should hear."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

FLASK: Killers = ("tests/contrib/test_flask.py",)
SENTRY: Killers = ("tests/contrib/test_sentry.py",)
STARLETTE: Killers = ("tests/contrib/test_starlette.py",)
TRACED: Killers = ("tests/client/test_traced.py",)

FRAMEWORKS = (
    Mutant(
        "each run makes an application of Flask", "contrib/flask.py",
        "if not made:", "if True:", FLASK,
    ),
    Mutant(
        "an application serves whose engine couldn't start", "contrib/starlette.py",
        "if not engine.done():", "if True:", STARLETTE,
    ),
    Mutant(
        "what an application's handlers use is closed while they run", "contrib/starlette.py",
        "            state = None if own is None else await stack.enter_async_context(own(app))\n"
        "            if engine is not None:\n"
        "                await stack.enter_async_context(_running(engine, config))\n",
        "            if engine is not None:\n"
        "                await stack.enter_async_context(_running(engine, config))\n"
        "            state = None if own is None else await stack.enter_async_context(own(app))\n",
        STARLETTE,
    ),
    Mutant(
        "nobody hears of an engine that has failed beside its application", "contrib/starlette.py",
        "            engine.add_done_callback(_tell)\n", "", STARLETTE,
    ),
    Mutant(
        "an application's jobs go to another namespace than its own", "contrib/flask.py",
        '            namespace=app.config.get("TRIOQ_NAMESPACE"),\n', "", FLASK,
    ),
    Mutant(
        "what a program tells Sentry later is its last job's", "contrib/sentry.py",
        "sentry_sdk.get_isolation_scope().fork()", "sentry_sdk.get_isolation_scope()", SENTRY,
    ),
    Mutant(
        "Sentry hears with each failure what the program did before", "contrib/sentry.py",
        "    scope.clear_breadcrumbs()\n", "", SENTRY,
    ),
    Mutant(
        "Sentry hears nothing of what led to a death", "contrib/sentry.py",
        "scopes.append((job.token, scope))", 'scopes.append(("", scope))', SENTRY,
    ),
    Mutant(
        "Sentry hears of each failure", "contrib/sentry.py",
        "if failure.retry_in is not None and not each_failure:", "if False:", SENTRY,
    ),
    Mutant(
        "a wish to run again is an error of its transaction", "contrib/sentry.py",
        "if not isinstance(error, trioq.RetryLater | trioq.Snooze):", "if True:", SENTRY,
    ),
    Mutant(
        "OpenTelemetry decides what Sentry keeps", "contrib/sentry.py",
        'flag = "" if kept is None else', 'flag = "-1" if kept is None else', SENTRY,
    ),
    Mutant(
        "a job carries any baggage of another tracer", "observe/tracing.py",
        "> BAGGAGE_BYTES:", "> 2 * BAGGAGE_BYTES:", TRACED,
    ),
)  # fmt: skip
