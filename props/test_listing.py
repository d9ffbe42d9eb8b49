"""Which schedules deployments list: whoever is started, killed or late, the newest list holds."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from props.lockstep import Call, LockStep, as_test
from trioq.core.schedules.listed import NOTHING, Listed, SaidList

pytestmark = pytest.mark.usefixtures("lockstep_server")

MINUTE = 60_000
HOUR = 60 * MINUTE

#: What deployments of each app list, and with what rows.
LISTS = ({}, {"a": b"1"}, {"a": b"2", "b": b"1"}, {"b": b"1"}, {"c": b"1", "d": b"1"})
APPS = ("one", "one", "two")


class Listing(LockStep):
    """Engines of several deployments, of two apps, and a client."""

    copies_come_late: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.engines: list[tuple[str, str, int]] = []
        self.born = 0

    @rule(ms=st.sampled_from([1000, 30_000, MINUTE, HOUR]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @precondition(lambda self: len(self.engines) < 4)
    @rule(app=st.sampled_from(APPS), nth=st.integers(0, len(LISTS) - 1))
    def start(self, app: str, nth: int) -> None:
        self.born += 1
        self.engines.append((f"e.{self.born}", app, nth))
        self.execute(Call("register", (f"e.{self.born}", b"{}")))
        self.say(self.engines[-1], with_rows=True)

    @precondition(lambda self: self.engines)
    @rule(data=st.data(), with_rows=st.booleans())
    def say_again(self, data: st.DataObject, with_rows: bool) -> None:
        self.say(data.draw(st.sampled_from(self.engines)), with_rows=with_rows)

    @precondition(lambda self: self.engines)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        engine = data.draw(st.sampled_from(self.engines))
        self.engines.remove(engine)
        self.execute(Call("sign_off", (engine[0],)))

    @rule(name=st.sampled_from("abc"), is_put=st.booleans())
    def change_by_hand(self, name: str, is_put: bool) -> None:
        row, at = (b"mine", self.now_ms + HOUR) if is_put else (b"", None)
        self.write("put_schedule", "s1", name, row, at)

    def say(self, engine: tuple[str, str, int], *, with_rows: bool) -> None:
        boot, app, nth = engine
        rows, at = LISTS[nth], self.now_ms + MINUTE
        listed = tuple(Listed(name, row, at) for name, row in rows.items())
        digest = f"{nth}" if rows else NOTHING
        before = self.model.space.listing.retired
        heard = self.execute(
            Call("list_schedules", (boot, SaidList(app, digest, listed if with_rows else None)))
        )
        self.reached[f"say: {heard.word}"] += 1
        self.reached["say: taken"] += bool(heard.taken)
        for each in heard.unlisted:
            self.reached["say: unlisted" if each.retired_ms is None else "say: retired"] += 1
        after = self.model.space.listing.retired
        self.reached["say: back again"] += bool(before - after)
        assert not after & self.held.ticks.keys(), "what is retired makes no ticks"


TestListing = as_test(
    Listing,
    "say: ok",
    "say: rows",
    "say: older",
    "say: taken",
    "say: unlisted",
    "say: retired",
    "say: back again",
    share=0.3,
)
