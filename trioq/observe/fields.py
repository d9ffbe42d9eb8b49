"""What every line of a log says of the job that runs where it is written.

A handler's own lines carry these fields, by whichever way they come, in its tasks and in its
threads too. Nothing is set up for each job: who writes a line looks at the context then.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

from trioq.core.current import job_here
from trioq.engine.handlers.place import place

#: In the order in which people read them.
FIELDS = (
    "ts", "level", "event", "job_id", "job", "queue", "attempt", "engine_id", "worker",
    "trace_id", "span_id", "process", "namespace",
)  # fmt: skip

#: Fields that hold an engine's id: its host, its process, what tells it apart, and its boot.
ENGINES = ("engine_id", "reaped_engine_id")
ENGINE_ID = re.compile(r"^.+-\d+-([0-9a-f]{6})(\.\w+)?$")


def job_fields() -> dict[str, Any]:
    """The fields of the job that runs here, and of the current span."""
    fields: dict[str, Any] = {}
    if (job := job_here()) is not None:
        fields |= {
            "job_id": job.uid, "job": job.name, "queue": job.queue, "attempt": job.attempt,
        }  # fmt: skip
    if (here := place.get(None)) is not None:
        fields |= {"engine_id": here.boot, "worker": here.worker}
    return fields | _span_fields()


def add_job_fields(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: put it into a configuration of your own.

    What a line says already is left as it is.
    """
    for name, value in job_fields().items():
        event_dict.setdefault(name, value)
    return event_dict


class JobFields(logging.Filter):
    """A filter for handlers of the standard library's logging, in a configuration of your own:
    it lets every record pass, and gives it the fields as attributes, for ``%(job_id)s``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        found = job_fields()
        for name in FIELDS[3:-2]:
            if not hasattr(record, name):
                setattr(record, name, found.get(name, ""))
        return True


def in_order(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: the known fields first."""
    ordered = {name: event_dict[name] for name in FIELDS if name in event_dict}
    return ordered | dict(event_dict)


def short_ids(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor for people: of an engine's id what tells it from others."""
    for name in ENGINES:
        if isinstance(engine := event_dict.get(name), str):
            event_dict[name] = ENGINE_ID.sub(r"\1", engine)
    return event_dict


def _span_fields() -> dict[str, str]:
    # Nothing is traced where the library was never imported, and importing it costs.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
