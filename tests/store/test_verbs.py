"""A settlement verb is a value class, a Lua fragment, a model function, moves of the table and
an event; here they are held together."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from trioq.core import events
from trioq.core.lifecycle import RULES, Rule, State
from trioq.core.model.settle import SETTLE
from trioq.core.settlements import SETTLEMENTS, Settlement
from trioq.store import compose
from trioq.store.scripts import load

LUA = Path(compose.__file__).parent / "lua" / "step" / "settle"
FRAGMENTS = {verb.name: verb for verb in load("step").verbs}

every_verb = pytest.mark.parametrize("kind", SETTLEMENTS, ids=lambda kind: kind.verb)


def example(kind: type[Settlement]) -> Settlement:
    values = {"int": 1, "str": "low", "bytes": b"{}", "Uid": "a" * 32, "DeadReason": "failures"}
    fields = {field.name: str(field.type) for field in attrs.fields(kind)}
    return kind(**{name: values.get(type, "done") for name, type in fields.items()})


def rules_of(verb: str) -> list[Rule]:
    return [rule for rule in RULES if rule.verb == verb]


def test_every_verb_has_all_its_pieces() -> None:
    verbs = [kind.verb for kind in SETTLEMENTS]
    settled_by_a_step = [
        rule for rule in RULES if rule.before == (State.RUNNING,) and "step" in rule.scripts
    ]
    assert len(set(verbs)) == len(verbs)
    assert set(FRAGMENTS) == set(verbs)
    assert set(SETTLE) == set(SETTLEMENTS)
    assert {rule.verb for rule in settled_by_a_step} == {*verbs, None}
    assert {rule.verb for rule in RULES} == {*verbs, None}


def test_every_settlement_of_the_table_has_an_event_of_its_own() -> None:
    rules = [rule for kind in SETTLEMENTS for rule in rules_of(kind.verb)]
    told = [rule.told for rule in rules if rule.verb != "deliver"]  # a success, like an ack
    assert len(set(told)) == len(told)
    for event in told:
        assert event is not None
        assert event in vars(events).values()


@every_verb
def test_the_fragment_moves_where_the_table_says(kind: type[Settlement]) -> None:
    for rule in rules_of(kind.verb):
        assert rule.after is not None
        assert FRAGMENTS[kind.verb].move == ("running", rule.after.value)


@every_verb
def test_the_fragment_takes_as_many_fields_as_the_class_gives(kind: type[Settlement]) -> None:
    told = " ".join(FRAGMENTS[kind.verb].header.sections["ARGV"]).split(", ")
    told = [] if told == ["nothing more"] else told
    taken = re.search(r"^  fields = (\d+),$", (LUA / f"{kind.verb}.lua").read_text(), re.MULTILINE)
    assert taken
    assert int(taken[1]) == len(told) == len(example(kind).fields())


@every_verb
def test_the_fragment_knows_as_the_class_does_whether_jobs_go_back_to_a_queue(
    kind: type[Settlement],
) -> None:
    source = (LUA / f"{kind.verb}.lua").read_text()
    assert ("  returns = true,\n" in source) == kind.returns


@every_verb
def test_the_fragment_knows_as_the_class_does_whether_fields_come_in_lines(
    kind: type[Settlement],
) -> None:
    source = (LUA / f"{kind.verb}.lua").read_text()
    assert ("  in_lines = true,\n" in source) == kind.in_lines


@every_verb
def test_the_fragment_touches_the_keys_that_it_names(kind: type[Settlement]) -> None:
    own = load("step").header
    for key in FRAGMENTS[kind.verb].header.fixed_keys:
        assert key in own.fixed_keys
        assert re.search(rf"\b{key}\b", fragment(kind)), key


@every_verb
def test_the_fragment_names_the_keys_that_it_touches(kind: type[Settlement]) -> None:
    """Or the script does, whatever is settled."""
    source = (LUA.parent / "step.lua").read_text()
    named = {*compose.header_of("step", source).fixed_keys}
    named |= {*FRAGMENTS[kind.verb].header.fixed_keys}
    touched = {k for k in load("step").fixed_keys if re.search(rf"[(,{{ ]{k}[,) ]", fragment(kind))}
    assert touched <= named


@every_verb
def test_the_model_says_what_became_of_it_with_the_same_word(kind: type[Settlement]) -> None:
    assert SETTLE[kind].__name__ == kind.verb


def fragment(kind: type[Settlement]) -> str:
    """With what it uses, without comments."""
    text = load("step").text
    begin = rf'^( *)\w+ name == "{kind.verb}" then\n'
    whole = re.search(
        begin + r"\1  verb = \(function\(\)\n(.*?)^\1  end\)\(\)\n", text, re.M | re.S
    )
    assert whole
    return re.sub(r"--.*", "", whole[2])
