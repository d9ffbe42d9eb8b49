"""Mutants of jobs whose payload fits another version of their handler."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

SIGNATURES = "engine/shard/signatures.py"
SIGNED = "engine/handlers/signature.py"
WORKER = "engine/runs/worker.py"
BOOT = "engine/shard/boot.py"

SHARD: Killers = ("tests/engine/shard/test_signatures.py",)
FLEET: Killers = ("tests/engine/test_signatures.py",)
TEXT: Killers = ("tests/engine/handlers/test_signature.py",)

FITS = (
    Mutant(
        "a job dies by what was seen before", SIGNATURES,
        "            await self._see()\n", "            pass\n", SHARD,
    ),
    Mutant(
        "who has the same version as one that is named opens its door", SIGNATURES,
        "        if mine not in door.unfit_of(called):\n", "        if True:\n", SHARD,
    ),
    Mutant(
        "a door that nobody else could open is never opened", SIGNATURES,
        "return looks >= LOOKS and", "return False and", SHARD,
    ),
    Mutant(
        "a door is opened in the end though another could open it", SIGNATURES,
        'door.unfit_of(called)) - {""}\n', "door.unfit_of(called)) or True\n", SHARD,
    ),
    Mutant(
        "what a door says is forgotten by who claims from it", BOOT,
        "        if reply.behind:\n", "        if False:\n", SHARD,
    ),
    Mutant(
        "an engine that says no signature isn't waited for", SIGNATURES,
        "        if others:\n", "        if False:\n", SHARD,
    ),
    Mutant(
        "what has run dies where nobody is left that it fits", WORKER,
        "has_run=claim.suspect or claim.attempt > 1", "has_run=False", SHARD,
    ),
    Mutant(
        "an engine that has just gone isn't waited for by what comes", SIGNATURES,
        "since = trio.current_time() - self.alone_s", "since = trio.current_time()", SHARD,
    ),
    Mutant(
        "one that serves other queues is waited for", SIGNATURES,
        "if name in info.names and queue in info.queues", "if name in info.names", SHARD,
    ),
    Mutant(
        "a payload that doesn't fit is nobody else's", WORKER,
        'run.outcome.permanent == "bad_payload"', "False", FLEET,
    ),
    Mutant(
        "a claim from a door isn't told with what that is called", "store/lua/step/step.lua",
        "claims.behind[n + 1], claims.behind[n + 2] = uid, door.name\n", "\n", FLEET,
    ),
    Mutant(
        "each door has cancelled ones of its own", "store/keys.py",
        'self.of("dropped_behind", queue, name_of(door))',
        'self.of("dropped_behind", queue, door)', FLEET,
    ),
    Mutant(
        "whether a field must be given doesn't count", SIGNED,
        'must = "" if name in binding.required else "?"', 'must = ""', TEXT,
    ),
    Mutant(
        "what a class holds doesn't count", SIGNED,
        "    if not deeper or (fields", "    if True or (fields", TEXT,
    ),
)  # fmt: skip
