"""What systemd is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from trioq.processes.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    where = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(where)
        listening.settimeout(5)
        yield where, listening


def test_it_is_told_in_lines(
    systemd: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, listening = systemd
    monkeypatch.setenv("NOTIFY_SOCKET", where)
    Notifier.of_environment().tell(READY=1, STATUS="2 of 2 ready")
    assert listening.recv(1000) == b"READY=1\nSTATUS=2 of 2 ready"


def test_an_abstract_name_is_understood() -> None:
    name = f"trioq-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        Notifier(f"@{name}", None).tell(STOPPING=1)
        assert listening.recv(1000) == b"STOPPING=1"


def test_children_do_not_inherit_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert Notifier.of_environment() == Notifier("/nowhere", 1.5)
    assert Notifier.of_environment() == Notifier("", None)


def test_a_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert Notifier.of_environment().watchdog_s is None


@pytest.mark.parametrize("where", ["", "/nowhere/at/all"])
def test_nobody_who_listens_is_no_fault(where: str) -> None:
    Notifier(where, None).tell(READY=1)
