"""What decides when a job may start, from the configuration and its payload: whose turn it is.

Pure: the client works it out when it enqueues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.config.sections import Config
from trioq.core.fair import FairKey, fair_key
from trioq.core.limits import KeyValue

#: A value whose JSON is longer is told from others by its hash.
VALUE_MAX = 200


@attrs.frozen
class Plan:
    """What is so for the jobs of one handler in one queue."""

    fair: str | None = None
    """The field of the payload that they take turns by."""

    def turn(self, payload: Mapping[str, Any]) -> FairKey | None:
        """Whose turn a job with this payload is; None: it has no value there."""
        value = None if self.fair is None else value_at(payload, self.fair)
        return None if value is None else fair_key(value)

    @property
    def reads(self) -> bool:
        """Whether it depends on the payload."""
        return self.fair is not None


#: Of jobs that come as they come.
NO_PLAN = Plan()


@attrs.frozen
class Flow:
    """What a configuration says of it."""

    fair: Mapping[str, str]
    """Queue → the field that its jobs take turns by."""

    def plan(self, queue: str) -> Plan:
        """For the jobs of one queue."""
        fair = self.fair.get(queue)
        return NO_PLAN if fair is None else Plan(fair)


def flow(config: Config) -> Flow:
    """What a configuration that has been checked says of it."""
    return Flow({queue.name: queue.fair for queue in config.queues if queue.fair is not None})


def value_at(payload: Mapping[str, Any], path: str) -> KeyValue:
    """The value in a field, as jobs are told apart by it; None: there is none, or null."""
    value: Any = payload
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return told_apart(value)


def told_apart(value: Any) -> KeyValue:
    """A value of a payload as it is told from others: lists and tables as text, in one order,
    and what is long by its hash."""
    if isinstance(value, dict | list | tuple):
        # Once through JSON, where all keys are texts.
        whole = json.loads(json.dumps(value))
        value = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    if len(text := json.dumps(value)) > VALUE_MAX:
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return value  # type: ignore[no-any-return]
