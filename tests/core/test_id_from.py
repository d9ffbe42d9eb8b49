"""Ids that are made of payloads."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioq.core import valid
from trioq.core.id_from import id_from
from trioq.errors import PayloadRejected

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "payload", "id"),
    [
        (["tenant"], {"tenant": "acme", "n": 1}, 'report:["acme"]'),
        (["n", "tenant"], {"tenant": "Müller", "n": 1}, 'report:[1,"Müller"]'),
        (["what"], {"what": {"b": [1.5, None], "a": True}}, 'report:[{"a":true,"b":[1.5,null]}]'),
        (["what"], {"what": {2: "b", "1": "a"}}, 'report:[{"1":"a","2":"b"}]'),
        (["what"], {"what": (1, 2)}, "report:[[1,2]]"),
        (["what"], {"what": "\0"}, r'report:["\u0000"]'),
        (["long"], {"long": "x" * 500},
         "report:7f96627ef8db8f7095e754871685714b5bbe93ffe13abb9b1072348d7760c099"),
        (["half"], {"half": "\ud800"},
         "report:335ffac769e5b3cec6047f6f464a0d24267493f49d3bc75f0a6411ad9448f003"),
    ],
)  # fmt: skip
def test_an_id_says_what_it_is_made_of(fields: list[str], payload: dict[str, Any], id: str) -> None:
    assert id_from("report", fields, payload) == id


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=200), JSON, JSON, st.randoms())
def test_the_same_values_make_the_same_id_and_others_another(
    name: str, a: Any, b: Any, draw: random.Random
) -> None:
    if not valid.NAME.allows(name):
        return
    of_a = id_from(name, ["x"], {"x": a})
    assert valid.ID.allows(of_a)
    assert id_from(name, ["x"], {"y": 1, "x": shuffled(a, draw)}) == of_a
    is_same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (id_from(name, ["x"], {"x": b}) == of_a) == is_same


def shuffled(value: Any, draw: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffled(each, draw) for each in value]
    if not isinstance(value, dict):
        return value
    items = [(key, shuffled(each, draw)) for key, each in value.items()]
    draw.shuffle(items)
    return dict(items)


def test_a_payload_without_a_field_is_refused_with_all_that_it_lacks() -> None:
    said = r"of 'report' is made of 'a', 'b', 'c', and its payload has no 'a', 'c'"
    with pytest.raises(PayloadRejected, match=said):
        id_from("report", ["a", "b", "c"], {"b": None})
