"""Big payloads: what would make them come late, twice, in another order or without a bound."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

BIG: Killers = ("tests/engine/shard/test_payloads.py",)
AHEAD: Killers = ("tests/core/test_ahead.py",)
RECORD: Killers = ("tests/core/formats/test_record.py",)
CONTRACT: Killers = ("tests/store/contract/test_settlements.py", "-k", "asked_for_together")

PAYLOADS = "engine/shard/payloads.py"
INTAKE = "engine/shard/intake.py"

BYTES = (
    Mutant(
        "what comes behind a big payload overtakes it", PAYLOADS,
        "if not self._coming and not [", "if not [", BIG,
    ),
    Mutant(
        "a record doesn't say how large a payload lies apart", "core/formats/record.py",
        'b"%s%d%s" % (_BIG, len(payload), _END)', 'b"%strue%s" % (_BIG, _END)', RECORD,
    ),
    Mutant(
        "payloads come one by one", PAYLOADS,
        "if uids and total + size > REQUEST_BYTES:", "if uids:", BIG,
    ),
    Mutant(
        "a request for payloads has no bound", PAYLOADS,
        "if uids and total + size > REQUEST_BYTES:", "if False:", BIG,
    ),
    Mutant(
        "payloads in the backlog have no bound", PAYLOADS,
        "            if room < 0:\n                return count\n", "", BIG,
    ),
    Mutant(
        "only records count in the backlog", PAYLOADS,
        'len(held.stored) + len(held.payload or b"")', "len(held.stored)", BIG,
    ),
    Mutant(
        "a payload that never fits is waited for", PAYLOADS,
        "size if size <= AHEAD_BYTES else 0", "size", BIG,
    ),
    Mutant(
        "a job whose payload is gone is forgotten", PAYLOADS,
        "            ready.append(held)\n",
        "            if not size or found[held.uid]:\n                ready.append(held)\n", BIG,
    ),
    Mutant(
        "who waits for room for a payload isn't told of it", "engine/backlog.py",
        "        if len(self.jobs) <= self._few:\n            self._are_few.set()\n", "", BIG,
    ),
    Mutant(
        "what waits for its payload isn't given back at the end", INTAKE,
        "[*self.backlog.take_back(self.by), *self.payloads.take_back()]",
        "self.backlog.take_back(self.by)", BIG,
    ),
    Mutant(
        "waiting for a payload is its handler's time", "engine/runs/start.py",
        "            run.began = trio.current_time()  # what", "            # what", BIG,
    ),
    Mutant(
        "the bytes of payloads don't bound the look-ahead", "core/ahead.py",
        "min(AHEAD_MAX, int(by_time), int(by_size))", "min(AHEAD_MAX, int(by_time))", AHEAD,
    ),
    Mutant(
        "an answer that came short for another reason makes steps small", "core/ahead.py",
        " and _bytes_of(reply.claims) >= FULL_BYTES", "", AHEAD,
    ),
    Mutant(
        "a payload's end is taken for its record's", "core/formats/record.py",
        'or b"\\n" in start or', "or", RECORD,
    ),
    Mutant(
        "payloads that are larger than they say are read all the same", "store/redis.py",
        "            if not _is_too_long(error):\n                raise\n            return [None]",
        "            raise\n            return [None]", CONTRACT,
    ),
    Mutant(
        "payloads are read without a bound", "store/replies.py",
        "Shape(_for_each_name, bytes_max + 32 * (count + 1))", "Shape(_for_each_name)", CONTRACT,
    ),
)  # fmt: skip
