"""Handlers: what runs a job, and how its end is told.

invoke      runs one handler under its timeout; whatever it does becomes an outcome: ending
grace       is what a run has left that is told to end, and how plain code hears of it
begun       what is left of one that was started by hand, to be run by invoke too
timebox     is the timeout: a cancel scope for one run after the other
function    a Python function; binding gives it its arguments, convert makes their values,
            isolated, threads and asyncio_loop (with asyncio_thread) are where it runs; shape is
            what can be one, returned what it may return
around      is an app's middleware, and crossing how that is in asyncio around a thread;
            failure_hook is told of failures
command     a program; group is the process group it runs in, leader the program itself
runners     processes in which functions run that say so
lifespan    what its handlers share; held is one in an engine, lifespans all of them
place       which worker runs it, for log lines
describe    an exception in bounded text
"""

from trioq.engine.handlers.asyncio_loop import AsyncioLoop, host_loop
from trioq.engine.handlers.binding import BadPayload, Binding
from trioq.engine.handlers.command import Command
from trioq.engine.handlers.function import Function, current_job
from trioq.engine.handlers.grace import check_cancelled
from trioq.engine.handlers.invoke import Handler, invoke
from trioq.engine.handlers.lifespan import Lifespan, Runtime
from trioq.engine.handlers.lifespans import Lifespans
from trioq.engine.handlers.place import Place, place
from trioq.engine.handlers.runners import Apart, Launch, Runners
from trioq.engine.handlers.threads import abandoned_threads
from trioq.engine.handlers.timebox import Timebox

__all__ = [
    "Apart",
    "AsyncioLoop",
    "BadPayload",
    "Binding",
    "Command",
    "Function",
    "Handler",
    "Launch",
    "Lifespan",
    "Lifespans",
    "Place",
    "Runners",
    "Runtime",
    "Timebox",
    "abandoned_threads",
    "check_cancelled",
    "current_job",
    "host_loop",
    "invoke",
    "place",
]
