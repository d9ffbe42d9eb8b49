"""What an enqueue asks for where its id is another job's: taken where it makes sense, else told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Literal, get_args

from trioq.core import arguments, valid
from trioq.core.calls import IdKeep
from trioq.core.limits import take_of_id
from trioq.core.values import value
from trioq.errors import PayloadRejected

OnConflict = Literal["existing", "raise", "replace", "again", "supersede"]
"""What happens to an enqueue whose id another job has.

``existing``: it is answered with that job. ``raise``: it fails with :class:`~trioq.IdTaken`.
``replace``: a job that waits gets the new payload and time. ``again``: likewise; one that runs is
run once more afterwards, with the newest payload. ``supersede``: likewise, but the one that runs is
asked to end.
"""

IdDead = Literal["block", "free"]
"""Whether a dead job keeps its id from others."""


def _as_it_is(argument: str) -> str:
    return argument


@value
class Same:
    """The arguments, as they were given."""

    on_conflict: OnConflict | None = None
    debounce: Any = None
    max_wait: Any = None
    cooldown: Any = None
    id_retention: Any = None
    id_dead: IdDead | None = None

    @classmethod
    def said(
        cls,
        *,
        on_conflict: OnConflict | None,
        debounce: Any,
        max_wait: Any,
        cooldown: Any,
        id_retention: Any,
        id_dead: IdDead | None,
    ) -> Same:
        """These; ``PLAINLY`` itself where nothing is said, as most often."""
        if (
            on_conflict is None
            and debounce is None
            and max_wait is None
            and cooldown is None
            and id_retention is None
            and id_dead is None
        ):
            return PLAINLY
        return cls(on_conflict, debounce, max_wait, cooldown, id_retention, id_dead)

    @property
    def mode(self) -> OnConflict:
        """What is to happen."""
        if self.on_conflict is None:
            return "existing" if self.debounce is None else "again"
        return self.on_conflict

    @property
    def is_plain(self) -> bool:
        """Whether whoever has the id is all that there is to be told."""
        return self is PLAINLY or (self.mode == "existing" and not self.frees_dead)

    @property
    def wants_newest(self) -> bool:
        """Whether the newest payload is to run, whatever another job with its id does."""
        return self.mode in ("replace", "again", "supersede")

    @property
    def frees_dead(self) -> bool:
        """Whether a dead job loses its id to this one."""
        if self.id_dead is None:
            return self.wants_newest
        return self.id_dead == "free"

    @property
    def takes_turns(self) -> bool:
        """Whether a job of this kind runs only once no other of them with its id does, whatever has
        become of the id."""
        return self.wants_newest or self.frees_dead

    def takes(self, id: str | None) -> tuple[str, ...]:
        """What a job with this id takes for that."""
        return (take_of_id(id),) if self.takes_turns and id is not None else ()

    def settled(
        self,
        id: object,
        delay: Any,
        at: object,
        named: Callable[[str], str] = _as_it_is,
    ) -> tuple[Any, IdKeep | None]:
        """After what time the job is ready, and for how long its id is remembered.

        Args:
          id, delay, at: What the same enqueue says of these, or is made for it.
          named: What the arguments are called, for messages.

        Raises:
          TypeError: They contradict each other, or one is of the wrong kind: all that is so.
          PayloadRejected: No job can have it.
        """
        if contradictions := list(self._contradictions(id, delay, at, named)):
            raise TypeError("; ".join(contradictions))
        _check_word(named("on_conflict"), self.on_conflict, OnConflict)
        _check_word(named("id_dead"), self.id_dead, IdDead)
        debounce_s, max_wait_s, cooldown_s = (
            0.0 if each is None else arguments.keep(named(argument), each)
            for argument, each in (
                ("debounce", self.debounce),
                ("max_wait", self.max_wait),
                ("cooldown", self.cooldown),
            )
        )
        if max_wait_s and max_wait_s < debounce_s:
            raise PayloadRejected(
                f"{named('max_wait')} is {max_wait_s:g} s: expected at least the"
                f" {debounce_s:g} s of {named('debounce')}"
            )
        keep = IdKeep(self._after_end_ms(named), _ms(cooldown_s), _ms(max_wait_s))
        return debounce_s or delay, None if keep == IdKeep() else keep

    def _after_end_ms(self, named: Callable[[str], str]) -> int | None:
        if self.id_retention is not None:
            argument = named("id_retention")
            return _ms(arguments.keep(argument, self.id_retention, valid.RETENTION_S))
        # Who asks for another run, or says until when there is none, doesn't mean the last one's.
        return 0 if self.wants_newest or self.cooldown is not None else None

    def _contradictions(
        self, id: object, delay: Any, at: object, named: Callable[[str], str]
    ) -> Iterator[str]:
        given = [
            named(argument)
            for argument, each in (
                ("on_conflict", self.on_conflict),
                ("debounce", self.debounce),
                ("cooldown", self.cooldown),
                ("id_retention", self.id_retention),
                ("id_dead", self.id_dead),
            )
            if each is not None
        ]
        if id is None and given:
            yield (
                f"{', '.join(given)}: expected an {named('id')} beside it, for it is about jobs"
                " that have the same"
            )
        if self.debounce is None:
            if self.max_wait is not None:
                yield f"{named('max_wait')}: expected {named('debounce')} beside it"
            return
        if delay:
            yield f"{named('debounce')} and {named('delay')} both say when the job is due"
        if at is not None:
            yield f"{named('debounce')} and {named('at')} both say when the job is due"
        if self.on_conflict is not None:
            yield (
                f"{named('debounce')} and {named('on_conflict')} both say what happens to a job"
                f" that waits: {named('debounce')} means 'again'"
            )


#: Nothing.
PLAINLY = Same()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _check_word(argument: str, word: Any, known: Any) -> None:
    words = get_args(known)
    if word is None or (isinstance(word, str) and word in words):
        return
    said = f"{argument} is {valid.shown(word)}: expected {', '.join(map(repr, words))}"
    if not isinstance(word, str):
        raise TypeError(said)
    close = get_close_matches(word, words, 1)
    raise PayloadRejected(said + (f"; did you mean {close[0]!r}?" if close else ""))
