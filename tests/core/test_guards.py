"""Which breaker guards which handler, and what is wrong in what is said of it."""

from __future__ import annotations

from trioq.core.blame import Breaker
from trioq.core.config import NamedBreakerConfig
from trioq.core.config.rules import dotted
from trioq.core.guards import guard_faults, guards


def section(name: str, *jobs: str, **said: float) -> dict[str, NamedBreakerConfig]:
    return {name: NamedBreakerConfig(name=name, jobs=jobs, **said)}  # type: ignore[arg-type]


def faults(
    handlers: dict[str, Breaker | None], sections: dict[str, NamedBreakerConfig]
) -> list[str]:
    return [f"{dotted(fault.path)}: {fault.message}" for fault in guard_faults(handlers, sections)]


def test_without_a_section_it_is_as_the_handlers_say() -> None:
    said = {"charge": Breaker("stripe", window=5), "greet": Breaker(), "noop": None}
    assert guards(said, {}) == {"charge": Breaker("stripe", window=5), "greet": Breaker()}


def test_who_is_listed_shares_the_sections_breaker_and_keeps_what_counts_for_it() -> None:
    said = {"charge": Breaker(on=OSError), "refund": Breaker(), "greet": Breaker()}
    made = guards(said, section("stripe", "charge", "refund", cooldown_s=10.0))
    assert made["charge"] == Breaker("stripe", on=OSError, cooldown=10.0)
    assert made["refund"] == Breaker("stripe", cooldown=10.0)
    assert made["greet"] == Breaker()


def test_who_names_it_need_not_be_listed_and_the_section_holds() -> None:
    said = {"charge": Breaker("stripe", window=5, min_samples=3), "refund": Breaker()}
    made = guards(said, section("stripe", "refund", window_s=60.0, min_samples=3))
    assert made["charge"] == made["refund"] == Breaker("stripe", window=60.0, min_samples=3)


def test_a_section_may_say_no_to_what_a_handler_says() -> None:
    made = guards({"charge": Breaker("stripe", shared=True)}, section("stripe", shared=False))
    assert not made["charge"].shared
    made = guards({"charge": Breaker("stripe", shared=True)}, section("stripe", window_s=60.0))
    assert made["charge"].shared


def test_all_that_is_wrong_is_told_at_once() -> None:
    said = {"charge": Breaker("paypal"), "refund": None, "greet": Breaker()}
    sections = section("stripe", "charge", "refund", "gret") | section("idle")
    assert faults(said, sections) == [
        "breakers.stripe.jobs[0]: 'charge' says that its breaker is 'paypal'; it can have one",
        "breakers.stripe.jobs[1]: 'refund' says breaker=None; leave it out here, or say that no"
        " more",
        "breakers.stripe.jobs[2]: no handler is called 'gret'; did you mean \"greet\"?",
        "breakers.idle: it guards nothing; expected jobs, or a handler with"
        " breaker=trioq.Breaker('idle')",
    ]


def test_handlers_that_would_have_it_open_differently_are_told_so() -> None:
    said = {"charge": Breaker(window=5, on=OSError), "refund": Breaker(cooldown=9)}
    assert faults(said, section("stripe", "charge", "refund", min_samples=3)) == [
        "breakers.stripe: the handlers 'charge' and 'refund' say different things of the breaker"
        " 'stripe', window=5 and cooldown=9: let them say the same, or let [breakers.stripe] say"
        " what holds"
    ]
    settled = section("stripe", "charge", "refund", window_s=5.0, cooldown_s=9.0)
    assert faults(said, settled) == []
