"""Where log lines go and what they look like: one JSON object each, or text for a terminal.

:func:`logger` is a logger of trioq's own, and touches nothing that a program has configured.
:func:`take_over` is for ``trioq serve``, where there is no such program: what handlers log, with
structlog or with the standard library, comes out beside trioq's lines and looks the same.

Whoever logs never waits for whoever reads: see :mod:`trioq.lines`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import attrs
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from trioq.lines import lines_to
from trioq.observe.fields import add_job_fields, in_order, short_ids


def logger(
    level: str, log_format: str, stream: TextIO | None = None, *, namespace: str | None = None
) -> FilteringBoundLogger:
    """A logger that writes to ``stream``, by default to stderr.

    Args:
      log_format: ``json``, ``console``, or ``auto``: console on a terminal.
      namespace: Is in each line.
    """
    out = stream or sys.stderr
    form = _Form.of(log_format, out)
    always = _always(namespace=namespace)
    made: FilteringBoundLogger = structlog.wrap_logger(
        _Writer(out, form, always),
        processors=[*form.before(always), *form.renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
    )
    return made


def take_over(
    level: str,
    log_format: str,
    stream: TextIO | None = None,
    *,
    namespace: str | None = None,
    process: int | None = None,
    runner: int | None = None,
) -> FilteringBoundLogger:
    """The same logger, and everybody else's lines go where its lines go.

    Call it before the handlers are imported: a configuration that they bring is left alone, and
    replaces this one.

    Args:
      process: The number of this process among those of its supervisor, which is in each line.
      runner: The pid of this process, which runs jobs of an engine's, likewise.
    """
    out = stream or sys.stderr
    form = _Form.of(log_format, out)
    always = _always(namespace=namespace, process=process, runner=runner)
    writer = _Writer(out, form, always)
    before = form.before(always)
    handler = _Handler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                *before,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *form.renderers,
            ],
        )
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(_number(level))
    logging.captureWarnings(True)
    bound = structlog.make_filtering_bound_logger(_number(level))
    if not structlog.is_configured():
        structlog.configure(
            processors=[structlog.contextvars.merge_contextvars, *before, *form.renderers],
            wrapper_class=bound,
            logger_factory=lambda *args: writer,
        )
    made: FilteringBoundLogger = structlog.wrap_logger(
        writer, processors=[*before, *form.renderers], wrapper_class=bound
    )
    return made


Fields = Mapping[str, Any]


def _always(**fields: Any) -> Fields:
    """What is in each line."""
    return {name: value for name, value in fields.items() if value is not None}


@attrs.frozen
class _Form:
    """Console or JSON."""

    console: bool
    renderers: list[Processor]

    @classmethod
    def of(cls, log_format: str, out: TextIO) -> _Form:
        console = log_format == "console" or (log_format == "auto" and out.isatty())
        if console:
            render = structlog.dev.ConsoleRenderer(
                colors=out.isatty(),
                timestamp_key="ts",
                # The default shows local variables: payloads, passwords.
                exception_formatter=structlog.dev.plain_traceback,
            )
            return cls(console, [short_ids, render])
        return cls(
            console,
            [in_order, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        )

    def before(self, always: Fields) -> list[Processor]:
        """What gives a line its fields."""

        def add_always(logger: Any, method: str, event_dict: Any) -> Any:
            event_dict.update(always)
            return event_dict

        stamp = structlog.processors.TimeStamper(
            fmt="%H:%M:%S" if self.console else "iso", utc=not self.console, key="ts"
        )
        added: list[Processor] = [add_always] if always else []
        return [structlog.processors.add_log_level, stamp, add_job_fields, *added]

    def line(self, level: str, event: str, always: Fields, **fields: Any) -> str:
        """A line that nobody has logged."""
        made: Any = {"event": event, **fields}
        for process in (*self.before(always), *self.renderers):
            made = process(None, level, made)
        return str(made)


class _Writer:
    """Writes whole lines, whichever thread they come from: what structlog calls a logger.

    A line that can't be written is lost: whoever logs has jobs to settle, and a full disk or a
    reader that has gone must not keep them from it.
    """

    def __init__(self, stream: TextIO, form: _Form, always: Fields) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        lines = lines_to(stream)
        if lines is not None:
            lines.told = lambda count: form.line(
                "warning", "log_lines_dropped", always, dropped=count
            )
        self.msg: Callable[[str], None] = self._here if lines is None else lines.msg
        self.debug = self.info = self.warning = self.warn = self.error = self.msg
        self.critical = self.fatal = self.exception = self.log = self.msg

    def _here(self, line: str) -> None:
        """Where there is nothing but memory to be written to."""
        # ValueError: somebody has closed it.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")


class _Handler(logging.Handler):
    """Gives the standard library's lines to a writer."""

    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.msg(self.format(record))
        except Exception:
            self.handleError(record)


def _number(level: str) -> int:
    number: int = getattr(logging, level.upper())
    return number
