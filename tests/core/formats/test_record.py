"""What is written for each job by hand is what a JSON encoder would have written."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.formats.records import IDS, NAMES, OPTIONS, QUEUES, TIMES_MS, TRACES
from trioq.core.formats import payload as payloads
from trioq.core.formats import summary
from trioq.core.formats.record import decode, encode, plain_header, split_big
from trioq.core.job import Options, Record
from trioq.errors import PayloadRejected, RecordUnreadable

TEXT = st.text(max_size=20)
RECORDS = st.builds(
    Record,
    uid=st.just("0" * 32),
    name=NAMES,
    queue=QUEUES,
    payload=st.binary(max_size=20) | st.just(b"x" * 9000),
    id=st.none() | IDS,
    enqueued_ms=TIMES_MS,
    options=OPTIONS,
    trace=TRACES,
    due_ms=st.just(0) | TIMES_MS,
)


@given(RECORDS, st.data())
def test_a_header_says_the_same_in_any_order(record: Record, data: st.DataObject) -> None:
    stored, _ = encode(record)
    line, _, payload = stored.partition(b"\n")
    fields = data.draw(st.permutations(list(json.loads(line).items())))
    shuffled = json.dumps(dict(fields), separators=(",", ":")).encode()
    assert decode(record.uid, shuffled + b"\n" + payload) == decode(record.uid, stored)


@pytest.mark.parametrize(
    "line",
    [
        b'{"v":1,"name":"a","queue":"q","x":{"y":1,"at":5,"id":"no"}}',
        b'{"v":1,"name":"a","queue":"q","x":{"at":5,"at":6,"id":"no"}}',
        b'{"v":1,"name":"a","queue":"q","x":[{"v":1,"at":5,"id":"no"}]}',
    ],
)
def test_what_a_header_has_inside_of_another_field_is_none_of_its_own(line: bytes) -> None:
    read = decode("0" * 32, line + b"\n{}")
    assert read.record == Record("0" * 32, "a", "q", b"{}")


def test_what_a_header_says_twice_is_what_it_says_last() -> None:
    line = b'{"v":1,"name":"a","queue":"q","at":5,"id":"x","name":"b","at":6,"id":"y"}'
    read = decode("0" * 32, line + b"\n{}")
    assert read.record == Record("0" * 32, "b", "q", b"{}", "y", 6)


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    stored, big = encode(record)
    read = decode(record.uid, stored)

    assert read.payload_is_big == bool(big)
    payload = big if read.payload_is_big else read.record.payload
    assert payload == record.payload
    assert attrs.evolve(read.record, payload=payload) == record


@given(RECORDS)
def test_a_records_first_line_is_json_in_ascii(record: Record) -> None:
    line, _, _ = encode(record)[0].partition(b"\n")

    header = json.loads(line.decode("ascii"))
    assert (header["name"], header["queue"]) == (record.name, record.queue)
    assert header.get("id") == record.id


def test_a_record_says_nothing_of_what_nobody_asked_for() -> None:
    plain = Record("0" * 32, "noop", "low", b"{}", enqueued_ms=7)
    timed = attrs.evolve(plain, options=Options(deadline_ms=9, expires_ms=8))
    start = b'{"v":1,"name":"noop","queue":"low","at":7'
    assert encode(plain)[0] == plain_header("noop", "low", 7) + b"}\n{}" == start + b"}\n{}"
    assert encode(timed)[0] == start + b',"deadline":9,"expires":8}\n{}'
    assert encode(timed)[0] == plain_header("noop", "low", 7, options=timed.options) + b"}\n{}"


@pytest.mark.parametrize("wrong", [b"-1", b"1.5", b'"soon"', b"true", b"100000000000001"])
@pytest.mark.parametrize("field", [b"deadline", b"expires"])
def test_a_time_that_none_is_makes_no_job(field: bytes, wrong: bytes) -> None:
    said = field.decode()
    line = b'{"v":1,"name":"noop","queue":"low","at":7,"' + field + b'":' + wrong + b"}\n{}"
    with pytest.raises(RecordUnreadable, match=f"the record's {said} is .* epoch milliseconds"):
        decode("0" * 32, line)


def big(**about: Any) -> bytes:
    """A record whose payload of 9,000 bytes lies apart."""
    return encode(Record("0" * 32, "noop", "low", b"x" * 9000, enqueued_ms=7, **about))[0]


@pytest.mark.parametrize(
    "about", [{}, {"id": "x"}, {"options": Options(3, 5.0)}, {"due_ms": 9}, {"trace": {"a": "b"}}]
)
def test_a_big_payloads_record_tells_its_size_and_is_like_a_small_ones_without(
    about: dict[str, Any],
) -> None:
    small = encode(Record("0" * 32, "noop", "low", b"", enqueued_ms=7, **about))[0]
    assert split_big(big(**about)) == (small, 9000)


def test_an_older_version_reads_that_a_payload_lies_apart() -> None:
    header = json.loads(big())
    assert header["big"]
    assert bool(header["big"]) is True


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\n",
        big().replace(b"9000", b"true"),
        big().replace(b"9000", b"-9000"),
        big().replace(b"9000", b"9e3"),
        big().replace(b"9000", b"9" * 10),
        big().replace(b"9000", "٩٠٠٠".encode()),
        big().replace(b"9000", b""),
        big() + b"{}",
        big() + big(),
        big().removesuffix(b"\n"),
        big().replace(b"}", b'},"x":{}}'),
        encode(Record("0" * 32, "noop", "low", b'{"a":1,"big":9000}\n'))[0],
    ],
)
def test_what_is_not_as_we_write_it_tells_no_size(stored: bytes) -> None:
    assert split_big(stored) == (stored, 0)


@given(RECORDS, st.none() | TEXT, TEXT)
def test_a_summary_is_json_in_ascii(record: Record, trace: str | None, engine: str) -> None:
    encoded = summary.encode(
        record, attempt=2, took_s=0.0123456, at_ms=17, engine=engine, trace=trace
    )

    expected = {
        "uid": record.uid,
        "name": record.name,
        "queue": record.queue,
        "attempt": 2,
        "took_ms": 12.346,
        "at_ms": 17,
        "enqueued_ms": record.enqueued_ms,
        "engine": engine,
    }
    expected |= {} if record.id is None else {"id": record.id}
    expected |= {} if trace is None else {"trace": trace}
    assert json.loads(encoded.decode("ascii")) == expected


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b'{"v":1}',
        b'{"v":2,"name":"n","queue":"q"}',
        b'{"v":1,"name":7,"queue":"q"}',
        b'{"v":1,"name":"n","queue":"q","id":7}',
        b'{"v":1,"name":"n","queue":"q","at":[]}',
        b'{"v":1,"name":"n","queue":"q","at":1e999}',
        b'{"v":1,"name":"n","queue":"q"} {}',
        b'{"v":1,"name":"\xff","queue":"q"}',
        b'{"v":1,"name":"n","queue":"q","at":%s}' % (b"9" * 400),
        b'{"v":1,"name":"n","queue":"q","at":%d}' % (10**14 + 1),
        b'{"v":1,"name":"n","queue":"q","at":-1}',
        b'{"v":1,"name":"n","queue":"q","due":%s}' % (b"9" * 400),
        b'{"v":1,"name":"\\ud800","queue":"q","at":1}',
        b'{"v":1,"name":"a\\nb","queue":"q","at":1}',
        b'{"v":1,"name":"n","queue":"a:b","at":1}',
        b'{"v":1,"name":"n","queue":"\\ud800","at":1}',
        b'{"v":1,"name":"n","queue":"q","id":"\\ud800"}',
        b'{"v":1,"name":"n","queue":"q","id":""}',
        b'{"v":1,"name":"n","queue":"q","max_attempts":true}',
        b'{"v":1,"name":"n","queue":"q","max_attempts":2.5}',
        b'{"v":1,"name":"n","queue":"q","max_attempts":%s}' % (b"9" * 400),
        b'{"v":1,"name":"n","queue":"q","timeout_s":%s}' % (b"9" * 400),
        b'{"v":1,"name":"n","queue":"q","timeout_s":NaN}',
        b'{"v":1,"name":"n","queue":"q","timeout_s":true}',
        b"[" * 100_000,
    ],
)
def test_a_header_that_cant_be_read_is_named_and_nothing_worse(header: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        decode("0" * 32, header + b"\n{}")


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b' {"a": 1}\n', {"a": 1}),
        ('{"ä":"ö"}'.encode(), {"ä": "ö"}),
        ('{"ä":"ö"}'.encode("utf-16"), {"ä": "ö"}),
    ],
)
def test_a_payload_that_others_wrote_is_read_however_it_is_written(
    payload: bytes, value: object
) -> None:
    assert payloads.decode(payload) == value


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"a":1', b'{"a":1}}', b"[" * 100_000])
def test_a_payload_that_cant_be_read_is_named_and_nothing_worse(payload: bytes) -> None:
    with pytest.raises(RecordUnreadable):
        payloads.decode(payload)


@pytest.mark.parametrize("payload", [[], None, "x", {1: 2}, {"a": 1, None: 2}, {"a": object()}])
def test_what_isnt_a_json_object_isnt_a_payload(payload: object) -> None:
    with pytest.raises(PayloadRejected):
        payloads.encode(payload, 1000)
