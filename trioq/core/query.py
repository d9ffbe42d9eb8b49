"""What somebody types to find jobs: ``name:thumb* queue:low -error:Timeout acme``.

A qualifier, a colon, and a value; in quotes, if it has spaces. A ``*`` stands for anything, ``-``
in front turns a term round. All terms have to apply. A word alone is looked for in the id, the
name and the payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self, get_args

import attrs

from trioq.core.config.rules import did_you_mean

Field = Literal["name", "queue", "key", "error", "id", "word"]

#: What may stand in front of a colon.
FIELDS: tuple[str, ...] = tuple(name for name in get_args(Field) if name != "word")

#: Characters and terms of a query, at most.
MOST, TERMS = 500, 20

_TERM = re.compile(
    r"""(?P<off>-?)(?:(?P<field>[A-Za-z_]+):)?(?:"(?P<quoted>[^"]*)"|(?P<bare>\S+))"""
)


class QueryInvalid(ValueError):
    """A query says what can't be.

    Args:
      faults: All of them, a sentence each.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@attrs.frozen
class Term:
    """One thing that has to apply, or mustn't."""

    field: Field
    value: str
    is_off: bool = False

    @property
    def is_pattern(self) -> bool:
        """Whether a ``*`` in it stands for anything."""
        return "*" in self.value

    def matches(self, text: str, *, part: bool = False) -> bool:
        """Whether a text is what is meant, whatever the case of its letters.

        Args:
          part: It is enough that the text has it within.
        """
        text = text.casefold()
        first, *between = self.value.casefold().split("*")
        if not between:
            return first in text if part else first == text
        if part:
            return _follow([first, *between], text, 0) is not None
        last = between.pop()
        if not text.startswith(first):
            return False
        at = _follow(between, text, len(first))
        return at is not None and len(text) - at >= len(last) and text.endswith(last)

    def __str__(self) -> str:
        value = self.value
        # A quote within can't stand in quotes, and needn't where nothing else has to.
        if not value or re.search(r"[\s:]", value) or value[0] in '-"':
            value = '"' + value.replace('"', "") + '"'
        field = "" if self.field == "word" else f"{self.field}:"
        return f"{'-' if self.is_off else ''}{field}{value}"


@attrs.frozen
class Query:
    """Terms, all of which have to apply."""

    terms: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what somebody typed.

        Raises:
          QueryInvalid: With all that is wrong.
        """
        if len(text) > MOST:
            raise QueryInvalid([f"it has {len(text)} characters: {MOST} at most"])
        faults, terms = list[str](), list[Term]()
        for found in _terms(text, faults):
            field, value = found["field"], found["quoted"]
            value = found["bare"] if value is None else value
            if field and field.lower() not in FIELDS:
                known = ", ".join(f"{name}:" for name in FIELDS)
                hint = did_you_mean(field, FIELDS) or f"; there are {known}"
                faults.append(f'"{field}:" is no qualifier{hint}')
            elif field and not value:
                faults.append(f'"{field}:" says nothing')
            elif value:
                name: Any = field.lower() if field else "word"
                terms.append(Term(name, value, bool(found["off"])))
        if len(terms) > TERMS:
            faults.append(f"it has {len(terms)} terms: {TERMS} at most")
        if faults:
            raise QueryInvalid(faults)
        return cls(tuple(terms))

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def only(self, field: Field) -> str | None:
        """The value that this field must have, where that is said once and plainly."""
        said = [t for t in self.terms if t.field == field and not t.is_off and not t.is_pattern]
        return said[0].value if len(said) == 1 else None

    def with_(self, field: Field, value: str | None) -> Query:
        """The same with this instead of what it says of a field; None: with nothing of it."""
        others = tuple(term for term in self.terms if term.field != field)
        return Query(others if value is None else (*others, Term(field, value)))

    def allows(self, name: str | None, queue: str | None) -> bool:
        """Whether what it says of names and queues applies, as far as these are known; None: that
        one isn't."""
        known = {"name": name, "queue": queue}
        return all(
            term.is_off != term.matches(text)
            for term in self.terms
            if (text := known.get(term.field)) is not None
        )

    def matches(self, told: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether all terms apply to a job.

        Args:
          told: Field → what the job has of it; of ``error`` and ``word`` a part is enough.
        """
        return all(
            term.is_off
            != any(
                term.matches(text, part=term.field in ("error", "word"))
                for text in told.get(term.field, ())
            )
            for term in self.terms
        )


def _follow(pieces: list[str], text: str, at: int) -> int | None:
    """Where these end that follow each other in a text, each as early as can be; None: nowhere.

    A regular expression would try all ways to have them: ever longer with each ``*``.
    """
    for piece in pieces:
        found = text.find(piece, at)
        if found < 0:
            return None
        at = found + len(piece)
    return at


def _terms(text: str, faults: list[str]) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = _TERM.match(text, at)
        if found is None:  # a qualifier at the end of it, or a quote alone
            faults.append(f"{text[at:].split(maxsplit=1)[0][:40]!r} can't be read")
            return
        if found["bare"] and found["bare"].startswith('"'):
            faults.append("a quote isn't closed")
            return
        yield found
        at = found.end()
