"""Runners: processes of an engine that run one job each at a time, and can be killed.

frames      what an engine and a runner say to each other
runner      one runner, as its engine sees it
pool        those of an engine; a handler that runs in one
inside      what goes on in one
"""

from trioq.engine.handlers.runners.pool import Apart, Runners
from trioq.engine.handlers.runners.runner import Launch

__all__ = ["Apart", "Launch", "Runners"]
