"""What an engine says of itself when it registers: a JSON object in ``engines``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.formats import lenient


@attrs.frozen
class EngineInfo:
    """An engine, in its own words; what it doesn't say is empty."""

    name: str = ""
    """Of the process; its boots have it in common."""
    pid: int = 0
    started_ms: int | None = None
    queues: tuple[str, ...] = ()
    """Those that it claims from, the highest first."""
    names: tuple[str, ...] = ()
    """The handlers that it knows."""
    workers: int = 0
    http: str = ""
    """Where it serves metrics and health; empty: nowhere."""
    lease_s: float = 0.0
    """How long it may be silent; 0: as long as whoever watches it may."""
    supervisor: str = ""
    """Who started it and replaces it; empty: nobody."""
    process: int = 0
    """Its number among the processes of its supervisor, from 1."""
    strict: bool = False
    """Whether a higher queue always goes first: none has a weight. False: that isn't known, too."""
    behind: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Handler → the breaker that guards it, where that isn't called as it is; empty: none does."""
    signatures: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Handler → the signature of what it takes; empty: an engine of an older version, which says
    none."""
    is_readable: bool = True
    """Whether it says what an engine of this version says."""

    def as_json(self) -> dict[str, Any]:
        """The members that are stored and shown."""
        return {
            "name": self.name,
            "pid": self.pid,
            "started_ms": self.started_ms,
            "queues": list(self.queues),
            "names": list(self.names),
            "workers": self.workers,
            "http": self.http,
            "lease_s": self.lease_s,
            "supervisor": self.supervisor,
            "process": self.process,
            "strict": self.strict,
            "behind": dict(self.behind),
            "signatures": dict(self.signatures),
        }


def encode(info: EngineInfo) -> bytes:
    """As it is stored."""
    return json.dumps(info.as_json()).encode("ascii")


def decode(encoded: bytes | None) -> EngineInfo:
    """What can be read of it: it may be of another version, and nobody has to fail of that."""
    told = lenient.members(encoded)
    if told is None:
        return EngineInfo(is_readable=False)
    return EngineInfo(
        name=lenient.text(told.get("name")),
        pid=lenient.count(told.get("pid")),
        started_ms=lenient.time_ms(told.get("started_ms")),
        queues=lenient.texts(told.get("queues")),
        names=lenient.texts(told.get("names")),
        workers=lenient.count(told.get("workers")),
        http=lenient.text(told.get("http")),
        lease_s=lenient.seconds(told.get("lease_s")),
        supervisor=lenient.text(told.get("supervisor")),
        process=lenient.count(told.get("process")),
        strict=told.get("strict") is True,
        behind={job: lenient.text(name) for job, name in lenient.pairs(told.get("behind")).items()},
        signatures={
            job: lenient.text(said) for job, said in lenient.pairs(told.get("signatures")).items()
        },
        is_readable=isinstance(told.get("names"), list) and isinstance(told.get("queues"), list),
    )
