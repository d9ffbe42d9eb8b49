"""Which breaker guards which handler: by what the handlers say, and the configuration of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from trioq.core.blame import Breaker
from trioq.core.config.kinds import Path
from trioq.core.config.rules import Fault, meant_or_known
from trioq.core.config.sections import NamedBreakerConfig

Sections = Mapping[str, NamedBreakerConfig]


def guards(handlers: Mapping[str, Breaker | None], sections: Sections) -> dict[str, Breaker]:
    """What holds for the breaker of each handler that has one.

    A section counts for the handlers that it lists and for those that name it; what it says holds
    over what they say.

    Args:
      handlers: What each handler says of its breaker; None: it has none.
    """
    told = _sections_of(handlers, sections)
    return {
        name: _told(said, told[name]) if name in told else said
        for name, said in handlers.items()
        if said is not None
    }


def counted_by(
    handlers: Mapping[str, Breaker | None], sections: Sections
) -> dict[str, tuple[str, ...]]:
    """Of handlers of which a section says so: the classes of which alone errors count, by name."""
    told = _sections_of(handlers, sections)
    return {name: section.on for name, section in told.items() if section.on}


def _sections_of(
    handlers: Mapping[str, Breaker | None], sections: Sections
) -> dict[str, NamedBreakerConfig]:
    """The section that counts for each handler that has a breaker, where there is one."""
    listed = {job: section for section in sections.values() for job in section.jobs}
    told = {
        name: listed.get(name) or sections.get(said.name or "")
        for name, said in handlers.items()
        if said is not None
    }
    return {name: section for name, section in told.items() if section is not None}


def guard_faults(handlers: Mapping[str, Breaker | None], sections: Sections) -> Iterator[Fault]:
    """A section lists who doesn't exist, or has another breaker, or none, or it guards nothing; or
    its handlers say different things of it."""
    named = {said.name for said in handlers.values() if said is not None}
    for section in sections.values():
        here: Path = ("breakers", section.name)
        for index, job in enumerate(section.jobs):
            if told := _misfit(job, section.name, handlers):
                yield Fault((*here, "jobs", index), told, (("commands", job),))
        if not section.jobs and section.name not in named:
            yield Fault(
                here,
                "it guards nothing; expected jobs, or a handler with"
                f" breaker=trioq.Breaker({section.name!r})",
                ((*here, "jobs"),),
            )
    yield from _disputes(guards(handlers, sections), sections)


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


def _misfit(job: str, breaker: str, handlers: Mapping[str, Breaker | None]) -> str:
    if job not in handlers:
        return f"no handler is called {job!r}{meant_or_known(job, handlers)}"
    if (said := handlers[job]) is None:
        return f"{job!r} says breaker=None; leave it out here, or say that no more"
    if said.name not in (None, breaker):
        return f"{job!r} says that its breaker is {said.name!r}; it can have one"
    return ""


def _disputes(made: Mapping[str, Breaker], sections: Sections) -> Iterator[Fault]:
    """Handlers that share a breaker, and would have it open each in its own way."""
    first = dict[str, str]()
    for name, breaker in made.items():
        if breaker.name is None:
            continue
        other = first.setdefault(breaker.name, name)
        if not breaker.agrees(made[other]):
            here: Path = ("breakers", breaker.name)
            ours, theirs = _differing(breaker, made[other]), _differing(made[other], breaker)
            yield Fault(
                here if breaker.name in sections else ("app",),
                f"the handlers {other!r} and {name!r} say different things of the breaker"
                f" {breaker.name!r}, {_shown(theirs)} and {_shown(ours)}: let them say the same,"
                f" or let [breakers.{breaker.name}] say what holds",
                tuple((*here, key) for key in ours),
            )


def _differing(breaker: Breaker, other: Breaker) -> Mapping[str, Any]:
    """What it says otherwise."""
    said, others = attrs.asdict(breaker), attrs.asdict(other)
    return {key: value for key, value in said.items() if value != others[key] and key != "on"}


def _shown(said: Mapping[str, Any]) -> str:
    given = [f"{key}={value!r}" for key, value in said.items() if value not in (None, False)]
    return " ".join(given) or "nothing"
