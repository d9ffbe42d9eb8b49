"""What somebody types to find jobs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.core.query import FIELDS, Query, QueryInvalid, Term


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  ", []),
        ("name:thumb", [Term("name", "thumb")]),
        ("NAME:thumb", [Term("name", "thumb")]),
        ("name:a queue:b", [Term("name", "a"), Term("queue", "b")]),
        ('error:"no such file"', [Term("error", "no such file")]),
        ("-error:Timeout", [Term("error", "Timeout", is_off=True)]),
        ("acme", [Term("word", "acme")]),
        ('"name:x"', [Term("word", "name:x")]),
        ("id:thumb:a", [Term("id", "thumb:a")]),
        ("thumb*", [Term("word", "thumb*")]),
        ('-"a b"', [Term("word", "a b", is_off=True)]),
    ],
)
def test_what_is_typed_is_read(text: str, terms: list[Term]) -> None:
    assert Query.parse(text).terms == tuple(terms)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("nmae:x", ['"nmae:" is no qualifier; did you mean "name"?']),
        ("http:x", ['"http:" is no qualifier; there are name:, queue:, key:, error:, id:']),
        ('name:""', ['"name:" says nothing']),
        ('name:"x', ["a quote isn't closed"]),
        ("x" * 501, ["it has 501 characters: 500 at most"]),
        ("a " * 21, ["it has 21 terms: 20 at most"]),
        ('foo:x bar:y name:""', [
            '"foo:" is no qualifier; there are name:, queue:, key:, error:, id:',
            '"bar:" is no qualifier; there are name:, queue:, key:, error:, id:',
            '"name:" says nothing',
        ]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_at_once(text: str, faults: list[str]) -> None:
    with pytest.raises(QueryInvalid) as caught:
        Query.parse(text)
    assert caught.value.faults == faults


TOLD = {
    "name": ("thumbnail",), "queue": ("low",), "key": ("acme", "7"), "id": ("thumb:a", "0af3"),
    "error": ("ValueError: no such file", "failures"), "word": ("thumbnail", '{"path": "a.png"}'),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("", True),
        ("name:thumbnail", True),
        ("name:Thumbnail", True),
        ("name:thumb", False),
        ("name:thumb*", True),
        ("name:*nail", True),
        ("name:t*l queue:low", True),
        ("name:thumbnail queue:high", False),
        ("key:acme", True),
        ("key:7", True),
        ("key:ac", False),
        ("error:file", True),
        ("error:no*file", True),
        ("-error:file", False),
        ("-error:disk", True),
        ("id:0af3", True),
        ("a.png", True),
        ("b.png", False),
        ("name:.*", False),
        ("queue:low -name:other", True),
    ],
)
def test_all_terms_have_to_apply(text: str, is_meant: bool) -> None:
    assert Query.parse(text).matches(TOLD) is is_meant


values = st.text(st.characters(blacklist_characters='"', blacklist_categories=["Cs"]), min_size=1)
terms = st.builds(Term, st.sampled_from([*FIELDS, "word"]), values.filter(str.strip), st.booleans())


@given(st.lists(terms, max_size=5).map(lambda some: Query(tuple(some))))
def test_a_query_is_a_link_and_back(query: Query) -> None:
    text = str(query)
    if len(text) <= 500:
        assert Query.parse(text) == query


@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    try:
        found = Query.parse(text)
    except QueryInvalid:
        return
    assert Query.parse(str(found)) == found


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not Query.parse("name:" + "a*" * 100 + "b").matches({"name": ("a" * 5000,)})
