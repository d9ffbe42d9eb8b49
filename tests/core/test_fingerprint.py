"""What errors have in common, and what tells them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.fingerprint import fingerprint, shape
from trioq.core.outcome import Error


def of(message: str, type: str = "ValueError", reason: str = "") -> str:
    return fingerprint(Error(type, message), reason)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no file b.png", "no file b.png\nand more"),
        ("timeout after 30 s", "timeout after 31.5 s"),
        ("order 1 is gone", "order 981273 is gone"),
        ("no such file: '/srv/a b.png'", "no such file: '/srv/c.png'"),
        ("no such file: /srv/a.png", "no such file: /srv/b/c.png"),
        ("user 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "user 00000000-0000-0000-0000-000000000000"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit abc0123"),
        ("at 0x7f2a, gone", "at 0xdeadbeef, gone"),
        ("mail to ada@example.com bounced", "mail to bob.b@mail.example.org bounced"),
        ("GET https://a.example/x?y=1 failed", "GET http://b.example failed"),
        ("KeyError: 'tenant'", 'KeyError: "customer"'),
        ("10.0.0.7:5432 refused", "10.0.0.8:5433 refused"),
        ("  too  many", "too many"),
        ("job id_9fceb02d is gone", "job id_abc0123f is gone"),
        ("no file a/b/c.png here", "no file x.d/y.png here"),
        ("got -3", "got 4"),
        ("off by 1e-05", "off by 2.5"),
        ("at 2026-12-01T10:00:00Z", "at 2025-01-31T23:59:59.123Z"),
        (f"no file '{'a' * 900}' here", "no file 'b' here"),
    ],
)
def test_what_differs_from_job_to_job_is_not_told_apart(one: str, other: str) -> None:
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connection refused", "connection reset"),
        ("no file", "no such file"),
        ("defaced", "decade"),  # words, though all their letters are hexadecimal digits
        ("", "x"),
        ("can't open the archive and won't retry", "can't reach the server and won't retry"),
        ("it is 'a' then", "it is 'a' now"),
    ],
)
def test_other_words_are_another_error(one: str, other: str) -> None:
    assert of(one) != of(other)


def test_the_type_tells_errors_apart_and_the_reason_only_where_there_is_none() -> None:
    assert of("x", "A") != of("x", "B")
    assert of("x", reason="failures") == of("x", reason="crashes")
    assert fingerprint(None, "failures") != fingerprint(None, "unknown_name")


def test_it_is_kept_in_links_so_it_stays_what_it_is() -> None:
    assert of("no file 17") == "2dce00f2d64a"


@given(st.text())
def test_anything_has_a_fingerprint_and_its_shape_has_its_own(message: str) -> None:
    assert len(of(message)) == 12
    assert "\n" not in shape(message)
    assert len(shape(message)) <= 300


@given(st.text(max_size=200), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_number_at_the_end_never_matters(text: str, one: int, other: int) -> None:
    assert of(f"{text} n {one}") == of(f"{text} n {other}")
