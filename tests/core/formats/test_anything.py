"""Whatever lies in Redis is read without an exception, or told as unreadable."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioq.core.formats import engine_info, history, payload, record, snapshot, summary
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.formats.snapshot import Failure, Run, Shut, Snapshot
from trioq.core.formats.summary import Summary
from trioq.core.job import Record
from trioq.core.valid import LATEST_MS
from trioq.errors import RecordUnreadable

UID = "0" * 32

INFO = EngineInfo("e", 7, 1_000, ("low",), ("noop",), 4, "localhost:1", behind={"noop": "api"})
SNAPSHOT = Snapshot(
    1_000, 2, 3, True, 0.5, (Run(UID, "n", "q", 1, 900, 0.5, "half"),), {"n": "open"},
    {"n": 4_000}, {"q": 3},
    (Failure(800, UID, "n", "q", 1, "E: no", "dead: failures"),), {"n": 1}, ("q",), 7.5, -0.25,
    (Shut("d", ("n",), "half_open", 700, None, 3, 4, True, (UID,)),), 1, 2.5,
)  # fmt: skip

#: What else stands where a value of some type is expected.
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, -1])
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "\x00", "a\nb", "9" * 500])
)
VALUES = st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
MEMBERS = st.dictionaries(
    st.sampled_from(
        sorted(
            {a.name for kind in (EngineInfo, Snapshot, Summary, Run, Failure, Shut)
             for a in attrs.fields(kind)}
            | {"v", "due", "max_attempts", "timeout_s", "type", "message", "traceback", "omitted"}
        )
    ),
    VALUES,
)  # fmt: skip
ENCODED = st.binary() | st.one_of(MEMBERS, VALUES).map(lambda value: json.dumps(value).encode())

odd_bytes = given(ENCODED)


def anything(function: Any) -> Any:
    """The examples that broke decoders, here and elsewhere, and thousands of others."""
    for encoded in (
        b"", b"null", b"3", b"[]", b'"x"', b"\xff", b"NaN", b"[" * 100_000, b'{"a":' * 100_000,
        b"1" + b"0" * 5000, b'{"queues": null}', b'{"names": 3}', b'{"names": [[]]}',
        b'{"names": {"a": 1}}', b'{"name":"\\ud800"}', b'{"at":1e999}', b'{"uid":"a","at_ms":NaN}',
        b'{"v":1,"v":2,"name":"n","queue":"q","at":1}', b'{"omitted":"x"}',
        b'{"v":1,"name":"n","queue":"q","at":' + b"9" * 400 + b"}",
    ):  # fmt: skip
        function = example(encoded)(function)
    return odd_bytes(function)


def sendable(value: Any) -> bool:
    """Whether all its texts could be printed and sent, and all its times shown."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        return all(sendable(k) and sendable(v) for k, v in value.items())
    elif isinstance(value, list | tuple):
        return all(map(sendable, value))
    return True


@anything
def test_what_an_engine_says_of_itself(encoded: bytes) -> None:
    info = engine_info.decode(encoded)

    assert sendable(info.as_json())
    assert all(isinstance(name, str) for name in info.names + info.queues)
    assert info.started_ms is None or 0 <= info.started_ms <= LATEST_MS


@anything
def test_what_an_engine_tells_those_who_watch(encoded: bytes) -> None:
    told = snapshot.decode(encoded)

    if told is not None:
        assert sendable(attrs.asdict(told))
        assert snapshot.decode(snapshot.encode(told)) == told


@anything
def test_what_is_kept_of_the_done(encoded: bytes) -> None:
    kept = summary.decode(encoded)

    if kept is not None:
        assert sendable(kept.as_json())
        assert kept.at_ms is None or 0 <= kept.at_ms <= LATEST_MS


@anything
def test_a_history(encoded: bytes) -> None:
    lines = history.decode(encoded)

    assert sendable([line.as_json() for line in lines])
    assert history.failures(lines) >= 0
    history.last_trace(encoded)
    history.last_error(lines)


@anything
def test_a_payload(encoded: bytes) -> None:
    with contextlib.suppress(RecordUnreadable):
        assert isinstance(payload.decode(encoded), dict)


@anything
def test_a_record(encoded: bytes) -> None:
    with contextlib.suppress(RecordUnreadable):
        assert isinstance(record.decode(UID, encoded).record, Record)


def test_what_is_written_comes_back_as_it_was() -> None:
    assert engine_info.decode(engine_info.encode(INFO)) == INFO
    assert snapshot.decode(snapshot.encode(SNAPSHOT)) == SNAPSHOT
    done = Record(UID, "n", "q", b"{}", id="mine", enqueued_ms=5)
    encoded = summary.encode(done, attempt=2, took_s=0.25, at_ms=9, engine="e.1", trace="00-1")
    assert summary.decode(encoded) == Summary(UID, "n", "q", 2, 250.0, 9, 5, "e.1", "mine", "00-1")


@pytest.mark.parametrize("encoded", [b"", b"[]", b'{"names":3}', b'{"queues":null,"names":[]}'])
def test_an_engine_of_another_version_is_known_as_one(encoded: bytes) -> None:
    assert not engine_info.decode(encoded).is_readable
