"""What is said while room is waited for, and what Ctrl-C does by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from trioq.cli import patience
from trioq.cli.bulk import Stop
from trioq.cli.patience import Patience
from trioq.core.calls import MustWait

FULL = MustWait("low", 3, 3, 1)


@attrs.define
class AtOnce:
    """A timer whose time is over as it starts."""

    after_s: float
    call: Callable[..., None]
    args: tuple[Any, ...] = ()
    daemon: bool = False

    def start(self) -> None:
        self.call(*self.args)

    def cancel(self) -> None:
        pass


def test_of_several_waits_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "Timer", AtOnce)
    waits = Patience(lambda: "3 jobs were queued")
    for _ in range(2):
        with waits.waiting(FULL):
            pass
    assert capsys.readouterr().err.count("waiting for room") == 1


def test_ctrl_c_ends_a_wait_at_once_and_a_request_when_it_is_through() -> None:
    stop = Stop()
    waits = Patience(lambda: "nothing was queued", stop)
    with waits.waiting(FULL):
        with pytest.raises(KeyboardInterrupt):
            stop.want(2, None)
        assert not stop.wanted
    assert not stop.is_at_once
    stop.want(2, None)
    assert stop.wanted
