"""All runs of one handler: the one without a fault, and then one for each fault at each step."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import trio

from trioq.testing.exploring import plan
from trioq.testing.exploring.instrument import instrumented
from trioq.testing.exploring.plan import BUDGET, FAULTS, Faults
from trioq.testing.exploring.report import Counterexample, Unsteady, title
from trioq.testing.exploring.run import Trial
from trioq.testing.exploring.stepped import Place

#: Which run alone is to be made: ``crash@3``.
ONLY = "TRIOQ_STEP"


@attrs.frozen
class Explored:
    """What was looked at. May be awaited, and is there at once."""

    runs: int
    """With one without a fault."""
    steps: tuple[str, ...]
    """Lines of the handler's source, in the order in which it comes by."""
    left_out: int = 0
    """Runs for which the budget wasn't enough."""

    def __await__(self) -> Iterator[None]:
        yield from ()
        return self  # type: ignore[return-value]


@attrs.frozen
class Explorer:
    """
    Args:
      one: Makes one run in a clean world, watched by this, and raises what the invariant raises.
      roots: Functions from which all of the user's code can be reached that takes part.
      handlers: Whose steps count; empty: all.
      faults: Some of ``crash``, ``cancel``, ``freeze``, ``lost``.
      pairs: Whether, after each fault, the run that follows is hurt too.
      budget: So many runs at most.
      seed: By which they are chosen, where there are more; and by which trio takes turns.

    Raises:
      ValueError: There is no such fault, or the budget is none.
    """

    one: Callable[[Trial], None]
    roots: Sequence[object]
    handlers: frozenset[str] = frozenset()
    faults: Sequence[str] = tuple(FAULTS)
    pairs: bool = False
    budget: int | None = None
    seed: int = 0
    kinds: tuple[plan.Kind, ...] = attrs.field(init=False)

    @kinds.default
    def _kinds(self) -> tuple[plan.Kind, ...]:
        if self.budget is not None and self.budget < 1:
            raise ValueError(f"budget is {self.budget}: expected how many runs there may be")
        return plan.kinds(self.faults)

    def explore(self) -> Explored:
        """Make all runs, up to the first that comes out wrong.

        Raises:
          Counterexample: The invariant doesn't hold after one.
          Unsteady: The steps differ from one run to the next, so that nothing can be done at one.
          LookupError: None of the handlers ran.
        """
        with instrumented(self.roots), _little_garbage():
            plain = self._run((), ())
            places = tuple(plain.steps[0])
            if not places:
                raise LookupError("nothing to explore: no run of such a handler was seen")
            if only := os.environ.get(ONLY):
                return self._explored(1 + self._only(plan.read(only), places), places, 0)
            runs = plan.runs(places, len(plain.calls), self.kinds)
            budget = BUDGET if self.budget is None else self.budget
            chosen = plan.within(budget, runs, self.seed)
            made = self._all(chosen, places, budget if self.pairs else 0)
        return self._explored(1 + made, places, len(runs) - len(chosen))

    def _explored(self, runs: int, places: Iterable[Place], left_out: int) -> Explored:
        return Explored(runs, tuple(map(title, places)), left_out)

    def _only(self, faults: Faults, places: tuple[Place, ...]) -> int:
        if faults:
            self._run(faults, places)
        return len(faults[:1])

    def _all(self, runs: Iterable[Faults], places: tuple[Place, ...], pairs: int) -> int:
        made = 0
        more: list[Faults] = []
        for faults in runs:
            trial = self._run(faults, places)
            made += 1
            if pairs and faults[0].kind in ("crash", "cancel", "freeze"):
                more += plan.second(faults, trial.steps[1], self.kinds)
        for faults in plan.within(max(0, pairs - made), more, self.seed):
            self._run(faults, places)
            made += 1
        return made

    def _run(self, faults: Faults, places: tuple[Place, ...]) -> Trial:
        trial = Trial(faults, self.handlers, places)
        error: BaseException | None = None
        with _same_turns(self.seed):
            try:
                self.one(trial)
            except Exception as raised:
                error = raised
        if faults and not trial.struck and not (faults[0].is_of_calls and error is None):
            raise Unsteady(_unsteady(faults[0], trial, places)) from error
        if error is not None:
            raise Counterexample(faults, trial.struck, error, trial.trace) from error
        return trial


def _unsteady(fault: plan.Fault, trial: Trial, places: tuple[Place, ...]) -> str:
    came = trial.steps[0]
    said = "the handler doesn't come by the same steps each time, in worlds that were the same:"
    for number, place in enumerate(places, 1):
        seen = came[number - 1] if number <= len(came) else None
        if seen != place:
            other = "it had ended" if seen is None else f"it was at {title(seen)}"
            return (
                f"{said} once step {number} was {title(place)}, and in the run for {fault} {other}."
                " What differs in there (a clock, a random number, the order of a set, what an"
                " earlier run has left behind) has to be the same each time"
            )
    return f"{said} {fault} wasn't reached"


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Each world is some garbage in circles; what was there before needn't be looked through again
    with each of them."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _same_turns(seed: int) -> Iterator[None]:
    """Trio takes turns by chance, so that nobody counts on them; here it must be the same each
    time. As hypothesis has it, too."""
    runner = trio._core._run
    before = runner._ALLOW_DETERMINISTIC_SCHEDULING, runner._r.getstate()
    runner._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    runner._r.seed(seed)
    try:
        yield
    finally:
        runner._ALLOW_DETERMINISTIC_SCHEDULING = before[0]  # type: ignore[misc]
        runner._r.setstate(before[1])
