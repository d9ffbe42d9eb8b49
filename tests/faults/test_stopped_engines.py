"""An engine whose process stood still, between a claim and its handler, past its lease."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet
from tests.support import Server, wait_until


@pytest.mark.parametrize("name", ["work", "careful"])
def test_no_handler_starts_on_a_lease_that_has_ended(
    own_server: Server, tmp_path: Path, name: str
) -> None:
    fleet = Fleet(own_server, tmp_path, workers=1)
    stopped = fleet.start_engine("job.before:stop")
    fleet.enqueue(1, name, fields=', "wait": 1.0' if name == "work" else '"wait": 1.0')
    wait_until(lambda: _is_stopped(stopped.pid))
    other = fleet.start_engine()
    wait_until(lambda: [run.pid for run in fleet.runs()] == [other.pid])

    stopped.send_signal(signal.SIGCONT)

    wait_until(lambda: fleet.logged("boot_lost") == 1)
    fleet.wait_done(1)
    assert fleet.stop() == [0, 0]
    assert [(run.pid, run.attempt) for run in fleet.runs()] == [(other.pid, 1)]


def _is_stopped(pid: int) -> bool:
    """Whether SIGSTOP has come."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
