"""Whatever anybody may have kept, as texts and numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioq.store import kept

NAMES = st.lists(st.sampled_from([b"", b"a", b"\n", b"a\nb", b"\xff", "é".encode()]) | st.binary())


@given(NAMES)
def test_many_names_are_read_as_each_by_itself(names: list[bytes]) -> None:
    assert kept.texts(names) == [kept.text(name) for name in names]
    assert [name.encode("utf-8", kept.ENCODING_ERRORS) for name in kept.texts(names)] == names


@given(st.lists(st.none() | st.sampled_from([b"0", b"7", b"-1", b"x", b"", b"9" * 19])))
def test_many_numbers_are_read_as_each_by_itself(counts: list[bytes | None]) -> None:
    assert kept.numbers(counts) == [kept.number(count) for count in counts]
