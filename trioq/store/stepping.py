"""A step as it goes to the server, and its answer as it comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import Any, Literal, cast

import attrs

from trioq.core.calls import Ask, Claim, Step, StepReply, WaitedFor
from trioq.core.job import Uid
from trioq.core.settlements import SETTLEMENTS, Park, Settlement
from trioq.store import kept
from trioq.store.keys import Keys
from trioq.store.protocol import StoreOptions

#: How often all of many queues are looked at, for what others may have put there by hand.
LOOK_AT_ALL_S = 10.0

#: The letters by which an answer tells what claims had waited for.
WAITED_FOR: dict[int, WaitedFor] = {ord("l"): "limited", ord("f"): "fair"}

_UID = attrgetter("uid")
_STEP = attrgetter("step")


@attrs.define
class Narrowing:
    """Of steps that name many queues, names only those that anything can be in.

    Args:
      many: How many queues are not yet many.
      clock: Monotonic, in seconds.
    """

    many: int
    clock: Callable[[], float] = time.monotonic
    _look_at_all_at: float = attrs.field(default=-math.inf, init=False)
    _asked: Step | None = attrs.field(default=None, init=False)
    _narrowed: Step | None = attrs.field(default=None, init=False)

    def names_many(self, step: Step) -> bool:
        return len(step.queues) > self.many

    def of(self, step: Step, in_use: Callable[[], set[str]]) -> Step:
        """The step to send instead; for a step that is sent again, the same again.

        Args:
          in_use: The names of all queues that anything is in, and maybe of others.
        """
        if not self.names_many(step):
            return step
        if step is not self._asked or self._narrowed is None:
            self._narrowed = self._made(step, in_use)
            self._asked = step
        return self._narrowed

    def _made(self, step: Step, in_use: Callable[[], set[str]]) -> Step:
        now = self.clock()
        if now >= self._look_at_all_at:
            self._look_at_all_at = now + LOOK_AT_ALL_S
            return step
        if any(settlement.returns for settlement in step.settlements):
            return step  # the name of the queue that a job goes back to may be forgotten
        named = in_use() | {admit.queue for admit in step.admits}
        return attrs.evolve(step, queues=tuple(q for q in step.queues if q in named))


def encode(
    step: Step, keys: Keys, options: StoreOptions, now_ms: int | str, *, forgets: bool
) -> tuple[list[str], list[Any]]:
    """KEYS, after those that the script's header names, and ARGV: the same bytes each time.

    Args:
      now_ms: The server's time; empty: it has its own.
      forgets: Whether the names of empty queues go.
    """
    groups = _by_kind(step.settlements)
    settled = [s for settlements in groups.values() for s in settlements]
    doors: dict[tuple[str, str], int] = {(a.queue, a.name): a.limit for a in step.admits}
    for park in cast("Sequence[Park]", groups.get(Park, ())):
        doors.setdefault((park.queue, park.name), 0)
    lists, bells = _keys_of(keys, step.queues)
    parked = [keys.of("parked", *door) for door in doors]
    dropped = [keys.dropped_behind(*door) for door in doors]
    runs = [(number, len(list(run))) for number, run in groupby(settled, _STEP)]
    args: list[Any] = [
        step.boot, step.number, step.want, int(step.suspect), step.parked_version,
        options.keep_done, options.id_retention_ms, options.claim_bytes, options.pack_max,
        int(forgets), now_ms, step.asked, len(step.queues), len(doors), len(settled), len(runs),
        *step.queues,
    ]  # fmt: skip
    if doors:
        place = {queue: i for i, queue in enumerate(step.queues, 1)}
        for (queue, name), limit in doors.items():
            args += (place[queue], name, limit)
    args += map(_UID, settled)
    args += chain.from_iterable(runs)
    for kind, settlements in groups.items():
        args += (kind.verb, len(settlements))
        columns = zip(*[s.fields() for s in settlements], strict=True)
        if kind.in_lines:
            args += map(b"\n".join, cast("Iterable[Iterable[bytes]]", columns))
        else:
            args += chain.from_iterable(columns)
    own = keys.of_boot(step.boot)[:3]
    return [*own, *lists, *parked, *bells, *dropped], args


def _by_kind(settlements: Sequence[Settlement]) -> dict[type[Settlement], Sequence[Settlement]]:
    """Those that there are of each kind, in the order in which a step settles: mostly it is one."""
    there = set(map(type, settlements))
    if len(there) == 1:
        return {there.pop(): settlements}
    present = filter(there.__contains__, SETTLEMENTS)
    return {kind: [s for s in settlements if type(s) is kind] for kind in present}


@lru_cache(maxsize=8)
def _keys_of(keys: Keys, queues: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Of these queues, which are mostly those of the step before: lists by kind, and bells."""
    kinds = ("ready", "suspects", "scheduled", "dropped")
    return [keys.of(kind, q) for kind in kinds for q in queues], keys.of_queues(queues, "bell")


def decode(word: Literal["ok", "again"], rest: Sequence[Any]) -> StepReply:
    """What the server did."""
    (
        settled, uids, records, attempts, suspects, held, left, next_due, version, index, asks,
        notes, paused, takes, waits, behind,
    ) = rest  # fmt: skip
    claims = map(
        Claim,
        kept.texts(uids),
        # A record that somebody has taken away can't be read, like one that is broken.
        [record or b"" for record in records],
        kept.numbers(attempts) if attempts else repeat(0),
        [uid in suspects for uid in uids] if suspects else repeat(False),
        [tuple(kept.text(took).split("\n")) if took else () for took in takes]
        if takes
        else repeat(()),
    )
    refused, _, cancelled = kept.text(settled).partition("|")
    return StepReply(
        word,
        frozenset(refused.split()),
        tuple(claims),
        held,
        left,
        next_due / 1000 if next_due >= 0 else None,
        kept.number(version),
        None if index is None else tuple(sorted(map(kept.door, kept.texts(index)))),
        frozenset(cancelled.split()),
        None if asks is None else kept.number(asks[0]),
        () if asks is None else tuple(_asks(asks)),
        {kept.text(u): n for u, n in zip(uids, notes, strict=True) if n} if notes else {},
        () if paused is None else tuple(sorted(kept.texts(paused))),
        _waits(uids, waits) if waits else {},
        dict(zip(kept.texts(behind[::2]), kept.texts(behind[1::2]), strict=True)) if behind else {},
    )


def _waits(uids: Sequence[bytes], letters: bytes) -> dict[Uid, WaitedFor]:
    told = ((uid, WAITED_FOR.get(letter)) for uid, letter in zip(uids, letters, strict=True))
    return {kept.text(uid): what for uid, what in told if what is not None}


def _asks(told: Sequence[bytes]) -> Iterator[Ask]:
    for uid, step, summary in zip(told[1::3], told[2::3], told[3::3], strict=True):
        yield Ask(kept.text(uid), kept.number(step), summary)
