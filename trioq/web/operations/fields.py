"""What an operation is told: from JSON, or from a form, to its class; all faults at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import attrs

from trioq.core.config.kinds import Wrong
from trioq.core.config.numbers import Duration
from trioq.core.config.rules import did_you_mean
from trioq.core.convert import CONVERTER, faults_of
from trioq.web.problems import Problem

#: A value of a limit's key.
Key = str | int | float | bool

#: What JSON's values are called.
WORDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    None: "null",
}

#: How a box of a form, or a query, says it.
TRUTHS = dict.fromkeys(("on", "true", "1"), True) | dict.fromkeys(("off", "false", "0"), False)

#: As JSON has it; neither ``1_000`` nor ``nan``.
NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,2})?")


@attrs.frozen
class Field:
    """One thing that is told."""

    name: str
    kind: Any
    """Its annotation."""
    says: str
    """What it is, for the API's document."""
    required: bool
    default: Any

    @property
    def arms(self) -> tuple[Any, ...]:
        """What it may be, but None."""
        is_union = get_origin(self.kind) in (Union, UnionType)
        return tuple(
            arm
            for arm in (get_args(self.kind) if is_union else (self.kind,))
            if arm is not type(None)
        )

    @property
    def words(self) -> str:
        """What it may be, for people; empty where its kinds say that better."""
        kinds = [*self.arms, *([] if self.required or self.default is not None else [None])]
        return " or ".join(WORDS[kind] for kind in kinds) if WORDS.keys() >= {*kinds} else ""


@cache
def fields_of(takes: type) -> Mapping[str, Field]:
    """What an operation takes, by name."""
    hints = get_type_hints(takes, include_extras=True)
    found = {}
    for each in attrs.fields(takes):
        hint = hints[each.name]
        assert get_origin(hint) is Annotated, f"{takes.__name__}.{each.name} says what it is"
        kind, says = get_args(hint)
        default: Any = each.default
        required = default is attrs.NOTHING
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        found[each.name] = Field(each.name, kind, says, required, None if required else default)
    return found


def structured(
    takes: type, told: Mapping[str, Any], *, is_form: bool = False, is_query: bool = False
) -> Any:
    """An object of the class.

    Args:
      takes: The class.
      told: Its fields, as JSON has them; unknown ones are faults.
      is_form: They are a form's: texts, or lists of texts. An empty one is one that isn't told,
        and a time in seconds may be said as ``5m``.
      is_query: They are a query's: texts, or lists of texts, and nothing is meant by an empty one.

    Raises:
      Problem: Something doesn't fit (422): all of it.
    """
    known = fields_of(takes)
    values: dict[str, Any] = {}
    faults: list[dict[str, str]] = []
    for name in told:
        if name not in known:
            near = did_you_mean(name, known) or f"; known here: {', '.join(known) or 'nothing'}"
            faults.append({"where": name, "what": f"there is no such field{near}"})
    for name, field in known.items():
        try:
            value = told.get(name, attrs.NOTHING)
            if is_form or is_query:
                value = _of_texts(field, value, is_form=is_form)
            if value is not attrs.NOTHING:
                values[name] = CONVERTER.structure(value, field.kind)
            elif field.required:
                faults.append({"where": name, "what": "missing"})
        except _Unfit as error:
            faults.append({"where": name, "what": str(error)})
        except Exception as error:  # cattrs raises groups, and of each kind
            faults += [_fault(field, line) for line in faults_of(error, name)]
    if faults:
        raise Problem(422, "Wrong fields", _in_words(faults), faults=faults)
    return takes(**values)


class _Unfit(Exception):
    """A text of a form isn't what it should be."""


def _fault(field: Field, line: str) -> dict[str, str]:
    where, _, what = line.partition(": ")
    if where in ("missing", "unexpected"):
        where, what = what, where
    if where == field.name and field.words and (got := what.rpartition(", got ")[2]):
        what = f"expected {field.words}, got {got}"
    return {"where": where, "what": what}


def _in_words(faults: list[dict[str, str]]) -> str:
    return "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)


def _of_texts(field: Field, said: Any, *, is_form: bool) -> Any:
    """What the texts of a field mean, as JSON."""
    texts = list(said) if isinstance(said, list | tuple) else [said]
    texts = [text for text in texts if text is not None and text is not attrs.NOTHING]
    if is_form:
        texts = [text for text in texts if text]
    if not texts:
        return attrs.NOTHING
    kinds = [get_origin(arm) or arm for arm in field.arms]
    if list in kinds:
        return texts
    if len(texts) > 1:
        raise _Unfit(f"said {len(texts)} times")
    is_time = is_form and field.name.endswith("_s") and float in kinds
    return _time(texts[0]) if is_time else _value(kinds, texts[0])


def _time(text: str) -> float:
    duration = Duration()
    try:
        return float(duration.read(duration.from_text(text)))
    except Wrong:
        raise _Unfit('expected a time, such as 90, "30s", "5m" or "2h"') from None


def _value(kinds: list[Any], text: str) -> Any:
    if dict in kinds or len(kinds) > 2:  # an object, or the value of a key
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            if str in kinds:
                return text
            raise _Unfit("expected JSON") from None
    if str in kinds:
        return text
    try:
        if bool in kinds:
            return TRUTHS[text.lower()]
        if not NUMBER.fullmatch(text):
            raise ValueError(text)
        return int(text) if int in kinds else float(text)
    except (ValueError, KeyError):
        raise _Unfit(
            f"expected {' or '.join(WORDS[kind] for kind in kinds if kind in WORDS)}"
        ) from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)
