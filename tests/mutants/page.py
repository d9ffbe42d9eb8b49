"""The page ``docs/mutants.md``: what was broken, and who noticed."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.asks import ASKS
from tests.mutants.bytes import BYTES
from tests.mutants.catalogue import ENGINES, FACES, GOES, IN_A_ROW, SCRIPTS, SETTINGS, Mutant
from tests.mutants.clients import CLIENTS
from tests.mutants.deadlines import DEADLINES
from tests.mutants.follows import FOLLOWS
from tests.mutants.notes import NOTES_MUTANTS
from tests.mutants.parts import AROUND, DURING, HANDLERS, READ, SEEN
from tests.mutants.pressure import PRESSURE
from tests.mutants.processes import PROCESSES
from tests.mutants.returns import RETURNS
from tests.mutants.runners import RUNNERS
from tests.mutants.servers import SERVERS
from tests.mutants.stops import STOPS
from tests.mutants.told import TOLD
from tests.mutants.waited import WAITED
from tests.mutants.wrong import WRONG

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"


def page() -> str:
    """Drawn from the catalogue, and written once every mutant in it was killed."""
    return f"""# Mutants

<!-- written by `make mutants`, once all of these were killed -->

A test that can't fail proves nothing. So these things are broken on purpose, one at a time, in
a copy of the tree, and the part of the suite named beside each must notice.

## Scripts

{_table(SCRIPTS + TOLD)}
## Engine

{_table(ENGINES + DURING + ASKS + FOLLOWS + NOTES_MUTANTS)}
## Deadlines

{_table(DEADLINES)}
## Full queues

{_table(PRESSURE)}
## Handlers

{_table(HANDLERS + STOPS)}
## Handlers in processes of their own

{_table(RUNNERS)}
## Jobs run in one go

{_table([*GOES, *IN_A_ROW])}
## Results

{_table(RETURNS)}
## Big payloads

{_table(BYTES)}
## Clients

{_table(CLIENTS + WAITED)}
## What is read and allowed

{_table(READ + WRONG)}
## Settings

{_table(SETTINGS)}
## Commands, operators, metrics

{_table(FACES + AROUND)}
## Several processes

{_table(PROCESSES)}
## The way to a server, and one of one's own

{_table(SERVERS)}
## What is seen of it

{_table(SEEN)}"""


def _table(mutants: tuple[Mutant, ...]) -> str:
    rows = "".join(
        f"| {m.name} | `{m.file}` | {', '.join(f'`{k}`' for k in m.killers if '/' in k)} |\n"
        for m in mutants
    )
    return f"| what is wrong | where | killed by |\n| --- | --- | --- |\n{rows}"
