"""What a supervisor is made of: what it imports, the cores it counts, its children's words."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from trioq.processes import control
from trioq.processes.channel import Channel
from trioq.processes.cores import usable_cores
from trioq.processes.inside import Inside
from trioq.processes.membership import Membership


def test_a_supervisor_loads_nothing_of_redis_and_no_engine() -> None:
    look = (
        "import sys, trioq.cli.supervise\n"
        "print([m for m in sys.modules if m in ('redis', 'trioq.engine.engine', 'hypercorn')])"
    )
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


# -- cores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("rubbish", None)],
)
def test_no_more_cores_are_counted_than_a_container_may_use(
    tmp_path: Path, quota: str, cores: int | None
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    there = len(os.sched_getaffinity(0))
    assert usable_cores(tmp_path / "cpu.max") == (there if cores is None else cores)


def test_without_a_limit_all_cores_are_counted(tmp_path: Path) -> None:
    there = len(os.sched_getaffinity(0))
    assert usable_cores(tmp_path / "none") == there
    (tmp_path / "cpu.max").write_text(f"{(there + 1) * 100_000} 100000")
    assert usable_cores(tmp_path / "cpu.max") == there, "no more than there are"
    (tmp_path / "cpu.max").write_text("100001 100000")
    assert usable_cores(tmp_path / "cpu.max") == min(2, there), "a part of one is one"


# -- words -------------------------------------------------------------------------------------


def test_whose_child_it_is_is_a_word() -> None:
    for member in (Membership(3, 17, "web-1-ff", "[::1]:80"), Membership(1, 4, "a", "")):
        assert Membership.of_word(member.word) == member
    for word in ("", "1,2", "x,2,a,", "1,2,3,4,5"):
        with pytest.raises(ValueError, match=r"."):
            Membership.of_word(word)


async def pair() -> tuple[Channel, Channel, trio.testing.StapledMemoryStream[object, object]]:
    one, other = trio.testing.memory_stream_pair()
    return Channel(one), Channel(other), one  # type: ignore[arg-type,return-value]


@pytest.mark.trio
async def test_messages_come_whole_however_they_are_cut() -> None:
    one, other, raw = await pair()
    await one.send({"n": 1})
    await raw.send_all(b'{"n":')
    assert await other.receive() == {"n": 1}
    await raw.send_all(b'2}\n{"n":3}\n')
    assert [await other.receive(), await other.receive()] == [{"n": 2}, {"n": 3}]
    await raw.send_all(b'{"half')
    await one.aclose()
    assert await other.receive() is None


@pytest.mark.trio
@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b"\xff\n"])
async def test_what_nobody_can_read_is_an_end(line: bytes) -> None:
    _, other, raw = await pair()
    await raw.send_all(line)
    assert await other.receive() is None


@pytest.mark.trio
async def test_after_half_a_message_nothing_is_said_any_more() -> None:
    one, other = trio.testing.lockstep_stream_pair()
    channel = Channel(one)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.send, {"n": 1})
        await trio.testing.wait_all_tasks_blocked()
        assert await other.receive_some(3) == b'{"n'
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.ClosedResourceError):
        await channel.send({"n": 2})


@pytest.mark.trio
async def test_programs_that_a_child_starts_do_not_keep_its_line_open() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.set_inheritable(True)
        fd = theirs.detach()
        inside = Inside.on(
            fd, page=None, health=lambda: (True, {}), jobs=lambda: 0, orphaned=lambda: None
        )
        assert not os.get_inheritable(fd)
        ours.shutdown(socket.SHUT_WR)
        await inside.run(trio.Event())
        await inside._channel.aclose()


# -- control -----------------------------------------------------------------------------------


@pytest.mark.trio
async def test_who_asks_for_rubbish_is_no_trouble(tmp_path: Path) -> None:
    config = tmp_path / "q.toml"
    listener = control.listen(config)
    assert listener is not None

    def tell(message: dict[str, object]) -> dict[str, object]:
        return control.tell(config, None, message)

    def answer(asked: dict[str, object]) -> dict[str, object]:
        return {"told": int(asked["n"])}  # type: ignore[call-overload]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.obey, listener, answer)
        for rubbish in ({"n": "x"}, {}, {"n": []}, {"n": math.inf}):
            with pytest.raises(control.ControlError, match="doesn't answer"):
                await trio.to_thread.run_sync(tell, rubbish)
        assert await trio.to_thread.run_sync(tell, {"n": 3}) == {"told": 3}
        nursery.cancel_scope.cancel()
    with pytest.raises(control.ControlError, match="no `trioq serve`"):
        tell({"n": 3})


@pytest.mark.trio
async def test_what_nests_too_deep_to_be_read_is_no_trouble_either(tmp_path: Path) -> None:
    listener = control.listen(tmp_path / "q.toml")
    assert listener is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.obey, listener, lambda asked: asked)
        with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as asking:
            await asking.connect(listener.getsockname())
            await asking.send(b"[" * control.MESSAGE_BYTES)
            assert await asking.recv(1) == b""
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_who_asks_hears_why_it_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "q.toml"
    listener = control.listen(config)
    assert listener is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.obey, listener, lambda asked: {"refused": "it drains"})
        with pytest.raises(control.ControlError, match="doesn't do that: it drains"):
            await trio.to_thread.run_sync(control.tell, config, None, {"processes": 2})
        nursery.cancel_scope.cancel()


def test_another_configuration_is_another_supervisor(tmp_path: Path) -> None:
    listener = control.listen(tmp_path / "a.toml")
    assert listener is not None
    with listener, pytest.raises(control.ControlError, match="no `trioq serve`"):
        control.tell(tmp_path / "b.toml", None, {})
