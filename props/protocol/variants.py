"""Rules that somebody might think of instead, each with the network in which it fails.

A search that finds nothing proves nothing unless it finds these.
"""

from __future__ import annotations

from typing import NamedTuple

from props.protocol.server import Rules
from props.protocol.world import Budget, Setup


class Variant(NamedTuple):
    """A rule that doesn't hold, and a promise that it breaks."""

    setup: Setup
    breaks: str


VARIANTS = {
    "the number of a step is not looked at": Variant(
        Setup(budget=Budget(resends=1), rules=Rules(numbers="ignored")),
        "told lost, and it was accepted",
    ),
    "the last number is known, any other is executed": Variant(
        Setup(
            jobs=2, budget=Budget(resends=1), rules=Rules(numbers="repeats known", self_check=False)
        ),
        "a job runs for an engine that doesn't have it",
    ),
    "who is told gone registers the same boot again": Variant(
        Setup(
            budget=Budget(resends=1, reaps=1),
            rules=Rules(numbers="repeats known", same_boot_again=True, replays_outcomes=True),
        ),
        "a job runs for an engine that doesn't have it",
    ),
    "a smaller number is refused, a gap is not": Variant(
        Setup(budget=Budget(rollbacks=1), rules=Rules(numbers="gaps allowed")),
        "told lost, and it was accepted",
    ),
    "an unanswered step is given up": Variant(
        Setup(budget=Budget(resends=1), rules=Rules(resends=False)),
        "told lost, and it was accepted",
    ),
    "an unanswered register is sent again": Variant(
        Setup(budget=Budget(resends=2, reaps=1), rules=Rules(register_resent=True)),
        "a settlement was accepted for a claim it wasn't made for",
    ),
    "a step sent again carries what has finished since": Variant(
        Setup(jobs=2, budget=Budget(resends=1), at_once=False, rules=Rules(resend_grows=True)),
        "told accepted, and it was refused",
    ),
    "the number of a step that waits is given to one that settles": Variant(
        Setup(budget=Budget(resends=1, waits=1), rules=Rules(waiting_is_replaced=True)),
        "told accepted, and it was refused",
    ),
    "outcomes are carried over to the next boot": Variant(
        Setup(budget=Budget(resends=1, reaps=1), rules=Rules(replays_outcomes=True)),
        "told lost, and it was accepted",
    ),
    "a beat makes its engine known": Variant(
        Setup(budget=Budget(resends=1, reaps=1, beats=1), rules=Rules(beat_registers=True)),
        "a settlement was accepted for a claim it wasn't made for",
    ),
    "a reap doesn't compare the counter again": Variant(
        Setup(budget=Budget(reaps=1, beats=1), rules=Rules(reap_compares=False)),
        "an engine that had shown signs of life since was reaped",
    ),
    "a client's writes have no numbers": Variant(
        Setup(jobs=0, new=1, budget=Budget(resends=1), rules=Rules(senders_are_numbered=False)),
        "a job is in two places",
    ),
    "an unanswered enqueue gets another number": Variant(
        Setup(jobs=0, new=1, budget=Budget(resends=1), rules=Rules(client_renumbers=True)),
        "a job is in two places",
    ),
    "a cancel of a job that runs leaves no trace of its number": Variant(
        Setup(
            verbs=("ack", "release"),
            budget=Budget(resends=1, odd=1, cancels=1),
            rules=Rules(asks_are_remembered=False),
        ),
        "told unknown, and it was cancelled",
    ),
    "a job goes back to its queue though somebody asked it to end": Variant(
        Setup(
            verbs=("ack", "release"),
            budget=Budget(odd=1, cancels=1),
            rules=Rules(returns_look_at_asks=False),
        ),
        "a job that was asked to end waits again",
    ),
    "a reap doesn't look at asks": Variant(
        Setup(budget=Budget(kills=1, cancels=1), rules=Rules(reap_looks_at_asks=False)),
        "a job that was asked to end waits again",
    ),
    "a sign-off doesn't look at asks": Variant(
        Setup(budget=Budget(stops=1, cancels=1), rules=Rules(sign_off_looks_at_asks=False)),
        "a job that was asked to end waits again",
    ),
    "a step sent again isn't told whose job was cancelled": Variant(
        Setup(
            verbs=("ack", "release"),
            budget=Budget(resends=1, odd=1, cancels=1),
            rules=Rules(cancelled_is_remembered=False),
        ),
        "told put back, and it was cancelled",
    ),
    "an ask is told once, and counts as heard": Variant(
        Setup(
            endless=True,
            verbs=("cancel",),
            at_once=False,
            budget=Budget(resends=1, cancels=1),
            rules=Rules(asks_are_repeated=False),
        ),
        "not every job can end, even if nothing else goes wrong",
    ),
    "a cancel doesn't look again for an engine that it isn't told of": Variant(
        Setup(budget=Budget(cancels=1), rules=Rules(cancel_looks_again=False)),
        "a job is in two places",
    ),
    "a reap blames every job of the engine": Variant(
        Setup(jobs=2, want=2, budget=Budget(kills=1), rules=Rules(blames_all=True)),
        "one crash was blamed on two jobs",
    ),
    "an engine may hold two suspects": Variant(
        Setup(jobs=2, want=2, budget=Budget(kills=2), rules=Rules(one_suspect=False)),
        "one crash was blamed on two jobs",
    ),
    "a sign-off names the engine, and a late copy of it the next boot": Variant(
        Setup(budget=Budget(resends=1, reaps=1), rules=Rules(sign_off_names="engine")),
        "an engine lost its boot for no reason",
    ),
    "a reap doesn't look again for a queue that it isn't told of": Variant(
        Setup(queues=2, jobs=2, want=2, budget=Budget(reaps=1), rules=Rules(looks_again=False)),
        "a job is nowhere",
    ),
    "a reap keeps what its claims took of a limit": Variant(
        Setup(limit=1, budget=Budget(kills=1), rules=Rules(reap_frees=False)),
        "the slots that are taken aren't those of the claims that are held",
    ),
    "a sign-off keeps what its claims took of a limit": Variant(
        Setup(limit=1, budget=Budget(stops=1), rules=Rules(sign_off_frees=False)),
        "the slots that are taken aren't those of the claims that are held",
    ),
    "a settlement that is refused frees a slot": Variant(
        Setup(
            jobs=2,
            limit=1,
            budget=Budget(resends=1),
            rules=Rules(refused_free_nothing=False, numbers="ignored"),
        ),
        "the slots that are taken aren't those of the claims that are held",
    ),
    "a step sent again takes a slot again": Variant(
        Setup(limit=1, budget=Budget(resends=1), rules=Rules(repeats_take_nothing=False)),
        "the slots that are taken aren't those of the claims that are held",
    ),
    "a limit admits one more": Variant(
        Setup(jobs=2, want=2, limit=1, rules=Rules(limit_is_kept=False)),
        "more run than the limit admits",
    ),
    "nobody is told that a slot is free": Variant(
        Setup(jobs=2, want=2, limit=1, rules=Rules(freed_is_told=False)),
        "somebody waits for what is free, and nobody will look",
    ),
    "a rest is forgotten": Variant(
        Setup(
            limit=1, verbs=("ack", "rest"), budget=Budget(odd=1), rules=Rules(rest_is_kept=False)
        ),
        "a job was started while its limit rests",
    ),
    "nobody looks when a limit has rested": Variant(
        Setup(
            limit=1,
            verbs=("ack", "rest"),
            budget=Budget(odd=1),
            rules=Rules(rest_end_is_told=False),
        ),
        "somebody waits for what is free, and nobody will look",
    ),
    "a pause of a key is forgotten": Variant(
        Setup(limit=1, budget=Budget(pauses=1), rules=Rules(pause_is_kept=False)),
        "a job was started while its key is paused",
    ),
    "nobody looks when a key is resumed": Variant(
        Setup(limit=1, budget=Budget(pauses=1), rules=Rules(resume_is_told=False)),
        "somebody waits for what is free, and nobody will look",
    ),
    "nobody looks when the pause of a key is over": Variant(
        Setup(limit=1, budget=Budget(pauses=1), rules=Rules(pause_end_is_told=False)),
        "somebody waits for what is free, and nobody will look",
    ),
    "who finds out what a job takes runs it first": Variant(
        Setup(limit=1, unbound=1, rules=Rules(unbound_are_bound=False)),
        "a job runs without what it takes of its limit",
    ),
    "what a job takes is forgotten when it is given back": Variant(
        Setup(limit=1, unbound=1, rules=Rules(bindings_are_noted=False)),
        "what a job takes was found out twice",
    ),
    # Not wrong, but not enough where a connection's bytes can outlive a failover: a step that
    # was executed, rolled back and executed again by a late copy names its claims as before.
    "a claim is named by boot and step alone, and copies outlive a rollback": Variant(
        Setup(budget=Budget(resends=2, rollbacks=1), copies_survive=True),
        "a settlement was accepted for a claim it wasn't made for",
    ),
}
