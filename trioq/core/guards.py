"""Which breaker guards which handler: by what the handlers say, and the configuration of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from trioq.core.blame import Breaker
from trioq.core.config.rules import did_you_mean
from trioq.core.config.sections import NamedBreakerConfig
from trioq.errors import ConfigError

Sections = Mapping[str, NamedBreakerConfig]


def guards(handlers: Mapping[str, Breaker | None], sections: Sections) -> dict[str, Breaker]:
    """What holds for the breaker of each handler that has one.

    A section counts for the handlers that it lists and for those that name it; what it says holds
    over what they say.

    Args:
      handlers: What each handler says of its breaker; None: it has none.

    Raises:
      ConfigError: A section lists who doesn't exist, or has another breaker, or none; or its
          handlers say different things of it. With all faults.
    """
    listed = {job: section for section in sections.values() for job in section.jobs}
    made = dict[str, Breaker]()
    for name, said in handlers.items():
        if said is not None:
            section = listed.get(name) or sections.get(said.name or "")
            made[name] = said if section is None else _told(said, section)
    if found := [*_faults(handlers, sections), *_disputes(made)]:
        raise ConfigError(found)
    return made


def _told(said: Breaker, section: NamedBreakerConfig) -> Breaker:
    given: dict[str, Any] = {
        "failure_threshold": section.failure_threshold,
        "window": section.window_s,
        "cooldown": section.cooldown_s,
        "min_samples": section.min_samples,
        "shared": section.shared,
    }
    holds = {key: value for key, value in given.items() if value is not None}
    return attrs.evolve(said, name=section.name, **holds)


def _faults(handlers: Mapping[str, Breaker | None], sections: Sections) -> Iterator[str]:
    named = {said.name for said in handlers.values() if said is not None}
    for section in sections.values():
        here = f"breakers.{section.name}"
        for index, job in enumerate(section.jobs):
            at = f"{here}.jobs[{index}]"
            if job not in handlers:
                yield f"{at}: no handler is called {job!r}{did_you_mean(job, handlers)}"
            elif (said := handlers[job]) is None:
                yield f"{at}: {job!r} says breaker=None; leave it out here, or say that no more"
            elif said.name not in (None, section.name):
                yield f"{at}: {job!r} says that its breaker is {said.name!r}; it can have one"
        if not section.jobs and section.name not in named:
            yield (
                f"{here}: it guards nothing; expected jobs, or a handler with"
                f" breaker=trioq.Breaker({section.name!r})"
            )


def _disputes(made: Mapping[str, Breaker]) -> Iterator[str]:
    """Handlers that share a breaker, and would have it open each in its own way."""
    first = dict[str, str]()
    for name, breaker in made.items():
        if breaker.name is None:
            continue
        other = first.setdefault(breaker.name, name)
        if not breaker.agrees(made[other]):
            yield (
                f"breakers.{breaker.name}: its handlers {other!r} and {name!r} say different things"
                f" of it, {_shown(made[other])} and {_shown(breaker)}: say here what holds"
            )


def _shown(breaker: Breaker) -> str:
    fields = attrs.asdict(breaker, filter=lambda field, _: field.name not in ("name", "on"))
    given = [f"{key}={value!r}" for key, value in fields.items() if value not in (None, False)]
    return " ".join(given) or "nothing"
