"""A record carries where in a trace it belongs, and no job fails because of that."""

from __future__ import annotations

import json

import pytest

from trioq.core.formats.record import decode, encode
from trioq.core.job import NO_HEADERS, Record

HEADERS = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "vendor=x",
    "baggage": "customer=7",
}
OLD = b'{"v":1,"name":"work","queue":"low","at":1}\n{"n":1}'


def stored(trace: object) -> bytes:
    header = {"v": 1, "name": "work", "queue": "low", "at": 1, "trace": trace}
    return json.dumps(header).encode() + b'\n{"n":1}'


@pytest.mark.parametrize("payload", [b'{"n":1}', b'{"n":"' + b"x" * 9000 + b'"}'])
def test_headers_survive_the_way_to_the_server_and_back(payload: bytes) -> None:
    record = Record("u", "work", "low", payload, trace=HEADERS)
    in_jobs, in_big = encode(record)
    assert decode("u", in_jobs).record.trace == HEADERS
    assert in_jobs.endswith(b"\n" if in_big else payload)


def test_a_record_from_before_there_were_traces_still_decodes_and_is_still_written() -> None:
    record = decode("u", OLD).record
    assert record == Record("u", "work", "low", b'{"n":1}', enqueued_ms=1)
    assert record.trace == NO_HEADERS
    assert encode(record)[0] == OLD


def test_fields_of_a_newer_trioq_are_passed_over() -> None:
    newer = OLD.replace(b'"at":1', b'"at":1,"shard":{"n":3},"trace":{"traceparent":"t","more":1}')
    assert decode("u", newer).record.trace == {"traceparent": "t"}


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\0", "ä", "\ud800", "\x7f"])
def test_what_no_header_can_hold_is_left_out(value: str) -> None:
    record = decode("u", stored({"traceparent": "t", "baggage": value})).record
    assert record.trace == {"traceparent": "t"}


@pytest.mark.parametrize("trace", [None, 7, "00-00", [], ["traceparent"], {"traceparent": None}])
def test_a_trace_that_makes_no_sense_is_none(trace: object) -> None:
    assert decode("u", stored(trace)).record.trace == NO_HEADERS
