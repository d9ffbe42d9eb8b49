"""What was enqueued comes back as it was; what isn't a record is told so, and nothing worse."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.formats.records import IDS, NAMES, OPTIONS, QUEUES, TIMES_MS, TRACES
from trioq.core.formats.payload import decode as decode_payload
from trioq.core.formats.payload import encode as encode_payload
from trioq.core.formats.record import (
    BIG_BYTES,
    Stored,
    decode,
    encode,
    split_big,
)
from trioq.core.job import Options, Record
from trioq.errors import PayloadRejected, RecordUnreadable

UID = "0" * 32

json_values: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.lists(json_values, max_size=3)
        | st.dictionaries(st.text(), json_values, max_size=3)
    )
)
payloads = st.dictionaries(st.text(), json_values, max_size=4)
records = st.builds(
    Record,
    uid=st.just(UID),
    name=NAMES,
    queue=QUEUES,
    payload=payloads.map(lambda value: encode_payload(value, 1 << 20)),
    id=st.none() | IDS,
    enqueued_ms=TIMES_MS,
    options=OPTIONS,
    trace=TRACES,
    due_ms=TIMES_MS,
)

#: The fields of a header, with anything in them.
headers = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from(sensible)
        for name, sensible in {
            "v": [1, True, 2],
            "name": ["noop"],
            "queue": ["low"],
            "at": [0, 5, -1, 1.5],
            "id": ["x", None],
            "max_attempts": [1, 0, True],
            "timeout_s": [1, 0.5, 0],
            "trace": [{"traceparent": 5}, {}],
            "due": [0, 7],
            "big": [True, 1, "", 9000],
        }.items()
    },
)


@given(records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    stored, big = encode(record)
    back = decode(UID, stored)
    assert back.payload_is_big == (len(record.payload) > BIG_BYTES)
    payload = big if back.payload_is_big else back.record.payload
    assert payload == record.payload
    assert back.record == (record if not big else _without_payload(record))
    without, size = split_big(stored)
    assert size == len(big)
    assert decode(UID, without) == Stored(back.record, payload_is_big=False)


@given(payloads)
def test_a_payload_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    assert decode_payload(encode_payload(payload, 1 << 20)) == payload


@given(st.binary(max_size=60))
@example(b"\n")
@example(b"null\n{}")
@example(b'{"v":1}\n{}')
@example(b"[" * 100_000)
@example(b'{"v":' + b"9" * 5000 + b"}\n")
@example(b'{"v":1,"name":"n","queue":"q","at":' + b"9" * 5000 + b"}\n{}")
def test_whatever_lies_there_is_a_record_or_is_told_not_to_be(stored: bytes) -> None:
    a_record_or_unreadable(stored)


@given(headers, st.binary(max_size=5))
def test_a_header_with_anything_in_it_is_read_or_refused(header: Any, payload: bytes) -> None:
    a_record_or_unreadable(json.dumps(header).encode() + b"\n" + payload)


@given(records, st.data())
def test_a_damaged_record_is_read_or_refused(record: Record, data: st.DataObject) -> None:
    stored, _ = encode(record)
    at = data.draw(st.integers(0, len(stored) - 1))
    damage = data.draw(st.binary(max_size=3))
    a_record_or_unreadable(stored[:at] + damage + stored[at + data.draw(st.integers(0, 3)) :])


@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"a":' + b"9" * 5000 + b"}")
def test_a_payload_that_is_no_object_is_told_not_to_be(payload: bytes) -> None:
    with contextlib.suppress(RecordUnreadable):
        assert isinstance(decode_payload(payload), dict)


@given(json_values, st.integers(0, 40))
def test_a_payload_is_taken_whole_or_rejected(value: Any, most: int) -> None:
    try:
        encoded = encode_payload(value, most)
    except PayloadRejected:
        return
    assert len(encoded) <= most
    assert json.loads(encoded) == value


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (
            b'{"v":1,"name":"noop","queue":"low","at":7}\n{"a":1}',
            Record(UID, "noop", "low", b'{"a":1}', enqueued_ms=7),
        ),
        (
            b'{"v":1,"name":"noop","queue":"low","at":7,"id":"x","max_attempts":2,"timeout_s":1.5}\n{}',
            Record(UID, "noop", "low", b"{}", "x", 7, Options(2, 1.5)),
        ),
        (
            b'{"v":1,"name":"noop","queue":"low"}\n{}',
            Record(UID, "noop", "low", b"{}"),
        ),
        (
            b'{"v":1,"name":"noop","queue":"low","at":7,"from a later version":[1]}\n{}',
            Record(UID, "noop", "low", b"{}", enqueued_ms=7),
        ),
    ],
    ids=["first release", "with options", "no time", "unknown fields"],
)
def test_what_was_written_before_is_still_read(stored: bytes, expected: Record) -> None:
    """Records outlive the program that wrote them: these bytes never change."""
    assert decode(UID, stored) == Stored(expected, False)


def test_a_record_of_another_version_says_which() -> None:
    with pytest.raises(RecordUnreadable, match="version 2"):
        decode(UID, b'{"v":2,"name":"noop","queue":"low","at":7}\n{}')


def a_record_or_unreadable(stored: bytes) -> None:
    """Nothing else may come out, and what is a record has all that an engine relies on."""
    without, size = split_big(stored)
    assert without == stored or 0 < len(without) < len(stored)
    assert 0 <= size < 10**9
    try:
        record = decode(UID, stored).record
    except RecordUnreadable:
        return
    assert isinstance(record.name, str)
    assert isinstance(record.queue, str)
    assert isinstance(record.payload, bytes)
    assert isinstance(record.id, str | None)
    assert isinstance(record.enqueued_ms, int)
    assert isinstance(record.due_ms, int)
    assert record.options.max_attempts is None or record.options.max_attempts >= 1
    assert record.options.timeout_s is None or record.options.timeout_s > 0
    assert all(isinstance(text, str) for text in record.trace.values())


def _without_payload(record: Record) -> Record:
    return Record(
        record.uid, record.name, record.queue, b"", record.id, record.enqueued_ms,
        record.options, record.trace, record.due_ms,
    )  # fmt: skip
