"""Mutants of pauses: how they begin and end, and what keeps a paused name from running."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

PAUSE = "store/lua/pause.lua"
LOOK = "store/lua/step/look.lua"
LIFT = "store/lua/step/lift.lua"
LIMITED = "store/lua/step/limited.lua"
SHUT = "store/lua/step/limits/shut.lua"

DEMAND = "engine/shard/demand.py"
INTAKE = "engine/shard/intake.py"

WAITS: Killers = ("tests/observe/test_waits.py",)
CAUSES: Killers = ("tests/store/test_causes.py",)
NUMBERS: Killers = ("tests/observe/test_each_number.py", "-k", "namespaces")
EXPLAINED: Killers = ("tests/store/test_explain.py", "-k", "pause")
SHOWN: Killers = ("tests/cli/test_pause.py",)
ENGINE: Killers = ("tests/engine/shard/test_pauses.py",)
APART: Killers = ("tests/engine/runs/test_apart.py", "-k", "tried_again")
TOLD: Killers = ("tests/engine/test_told_pauses.py",)
LOGS: Killers = ("tests/observe/test_logs.py", "-k", "keys")
PAUSES: Killers = ("tests/store/contract/test_pauses.py",)

PAUSED = (
    Mutant(
        "a pause whose time is over goes on", LOOK,
        "tonumber(till) <= now()", "false", PAUSES,
    ),
    Mutant(
        "engines aren't told that the pause of a name is over", LIFT,
        'parked_changed or kind == "@"', "parked_changed", PAUSES,
    ),
    Mutant(
        "engines aren't told that a name is paused", PAUSE,
        "if is_name then\n  bump", "if false then\n  bump", PAUSES,
    ),
    Mutant(
        "nobody is called to where the jobs of a resumed name wait", PAUSE,
        "to_ring[#to_ring + 1] = bell_of[queue]", "to_ring[#to_ring + 1] = nil", PAUSES,
    ),
    Mutant(
        "the bells of queues aren't rung that whoever resumes a name didn't know", PAUSE,
        "if missing[1] then", "if false then", PAUSES,
    ),
    Mutant(
        "a job of a paused key starts", SHUT,
        "paused_takes[limit.take] or is_full(limit)", "is_full(limit)", PAUSES,
    ),
    Mutant(
        "rooms stay shut of a key whose pause is over", LIMITED,
        "resumed, open_rooms({ resumed })[1]", "nil, nil", PAUSES,
    ),
    Mutant(
        "a suspect isn't heard of when the pause of its key is over", LIFT,
        'suspects_moved or kind == "="', "suspects_moved", PAUSES,
    ),
    Mutant(
        "rooms stay shut of a key that is resumed", PAUSE,
        "open_rooms({ take })", "", PAUSES,
    ),
    Mutant(
        "nobody is called to where a resumed key is waited for", PAUSE,
        "elseif pause == \"0\" and take then", "elseif false then", PAUSES,
    ),
    Mutant(
        "who waits for a paused key counts as limited", "store/inspect/causes.py",
        "shut = min(queue.limited, paused_keys.get(name, 0))", "shut = 0", CAUSES,
    ),
    Mutant(
        "a drain waits for jobs of a paused key", "cli/drain.py",
        "if room.take in counts.paused_takes:", "if False:", SHOWN,
    ),
    Mutant(
        "a job isn't said to wait for its key's resume", "store/inspect/reasons.py",
        "counted.pauses.takes.get(taken.take)) is not None", "None) is not None", SHOWN,
    ),
    Mutant(
        "of a queue who waits for a key's resume is said to wait for a limit, too",
        "store/inspect/reasons.py", "        left -= jobs\n", "", EXPLAINED,
    ),
    Mutant(
        "peek says of who waits for a key's resume that it waits for a limit, too", "cli/jobs.py",
        "        limited -= jobs\n", "", SHOWN,
    ),
    Mutant(
        "a paused key of which no engine has told isn't listed", "store/inspect/limits.py",
        "not (self.takes or self.paused)", "not self.takes", SHOWN,
    ),
    Mutant(
        "each engine tells at each look which keys are paused", "engine/sampler.py",
        "seen.paused_takes - before.paused_takes", "seen.paused_takes", TOLD,
    ),
    Mutant(
        "of keys that are paused while an engine runs only one is told", "observe/logs.py",
        "(limit_of(event.take),) if event.at_first_look else None", "(limit_of(event.take),)", LOGS,
    ),
    Mutant(
        "a pause begins anew when it is said again", PAUSE,
        "was_paused and since or", "false and since or", PAUSES,
    ),
    Mutant(
        "a pause that is over counts as one when the next begins", PAUSE,
        "not (till and till ~= \"0\" and tonumber(till) <= now_ms)", "true", PAUSES,
    ),
    Mutant(
        "the jobs of a paused name go round and round", DEMAND,
        "if name not in self.paused and self.opens", "if self.opens", ENGINE,
    ),
    Mutant(
        "what an engine has ahead of a paused name runs all the same", INTAKE,
        "if demand.paused - paused:", "if False:", ENGINE,
    ),
    Mutant(
        "what an engine claims of a paused name runs all the same", INTAKE,
        "claims = self._not_held_up(absorbed.claims)", "claims = absorbed.claims", ENGINE,
    ),
    Mutant(
        "what goes back to a queue that isn't claimed from is refused", DEMAND,
        "any(each.returns for each in boot.outcomes)", "False", APART,
    ),
    Mutant(
        "what was paused until now is shown as if it still were", "store/inspect/pauses.py",
        "return paused.until_ms is not None and paused.until_ms <= now_ms", "return False",
        EXPLAINED,
    ),
    Mutant(
        "a drain waits for jobs of a paused name", "cli/drain.py",
        "counts.paused or name in counts.paused_names", "counts.paused", SHOWN,
    ),
    Mutant(
        "a job isn't said to wait for its name's resume", "store/inspect/reasons.py",
        "counted.pauses.names.get(name)) is not None", "None) is not None", EXPLAINED,
    ),
    Mutant(
        "where a queue and a name were paused that time counts twice", "observe/metrics/waits.py",
        "max(begun, last)", "max(begun, since)", WAITS,
    ),
    Mutant(
        "the pause of a name isn't told apart from other waits", "observe/metrics/waits.py",
        "job.queue, of_name(job.name))", "job.queue)", WAITS,
    ),
    Mutant(
        "what is paused counts as what engines are missing for", "store/inspect/causes.py",
        'add(name, "paused" if queue.paused else "ready", plain', 'add(name, "ready", plain',
        CAUSES,
    ),
    Mutant(
        "what nobody could run is scaled by", "observe/metrics/gauges.py",
        "if cause in RUNNABLE:", "if True:", NUMBERS,
    ),
)  # fmt: skip
