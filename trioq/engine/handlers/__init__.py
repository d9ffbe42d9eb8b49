"""Handlers: what runs a job, and how its end is told."""

from trioq.engine.handlers.binding import BadPayload, Binding
from trioq.engine.handlers.command import Command
from trioq.engine.handlers.function import Function, current_job
from trioq.engine.handlers.invoke import Handler, invoke

__all__ = ["BadPayload", "Binding", "Command", "Function", "Handler", "current_job", "invoke"]
