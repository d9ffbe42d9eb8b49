"""The built-in handlers."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
import trio

import trioq
from trioq.builtin import BLOCK_BYTES, built_in, fingerprint, media_type
from trioq.core.outcome import Failed, Outcome, Succeeded
from trioq.engine.handlers import Timebox, abandoned_threads, invoke


async def run(
    path: Path,
    timeout_s: float = 60,
    limiter: trio.CapacityLimiter | None = None,
    root: Path | None = None,
) -> Outcome:
    job = trioq.Job(
        uid="0" * 32,
        name="fingerprint",
        queue="low",
        payload={"path": str(path), "size": 1, "mtime": 2.5},  # as a producer sends it
    )
    with closing(Timebox()) as timebox:
        return await invoke(
            built_in(root).handlers["fingerprint"],
            job,
            timeout_s=timeout_s,
            timebox=timebox,
            threads=limiter or trio.CapacityLimiter(1),
        )


@pytest.mark.trio
@pytest.mark.parametrize("length", [0, 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 1])
async def test_a_fingerprint_tells_size_digest_and_media_type(tmp_path: Path, length: int) -> None:
    path, content = tmp_path / "a.pdf", os.urandom(length)
    await trio.Path(path).write_bytes(content)

    assert await run(path) == Succeeded(
        {
            "path": str(path),
            "size": length,
            "sha256": hashlib.sha256(content).hexdigest(),
            "media_type": "application/pdf",
        }
    )


def test_it_can_be_called_like_a_function(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello")

    assert fingerprint(str(path))["size"] == 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("A.PDF", "application/pdf"),
        ("a.tar.gz", "application/gzip"),
        ("a.json", "application/json"),
        ("no-extension", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_the_media_type_is_told_from_the_name(name: str, kind: str) -> None:
    assert media_type(f"some.zip/{name}") == kind


@pytest.mark.trio
@pytest.mark.parametrize("make", ["nothing", "directory", "pipe", "under a file", "nul"])
async def test_what_is_no_plain_file_is_given_up(tmp_path: Path, make: str) -> None:
    path = tmp_path / "it"
    if make == "directory":
        os.mkdir(path)
    elif make == "pipe":
        os.mkfifo(path)
    elif make == "under a file":
        await trio.Path(path).write_text("")
        path = path / "below"
    elif make == "nul":
        path = tmp_path / "a\0b"

    outcome = await run(path)

    assert isinstance(outcome, Failed)
    assert outcome.permanent == "gave_up"
    assert not abandoned_threads()


@pytest.mark.trio
async def test_a_cancelled_fingerprint_ends_its_thread_soon(tmp_path: Path) -> None:
    path, limiter = tmp_path / "large", trio.CapacityLimiter(1)
    with open(path, "wb") as file:  # noqa: ASYNC230  # a hole: it takes no time, nor space
        file.truncate(1 << 40)

    outcome = await run(path, timeout_s=0.05, limiter=limiter)

    assert isinstance(outcome, Failed)
    assert outcome.error.type == "timeout"
    with trio.fail_after(10):
        while limiter.borrowed_tokens:  # noqa: ASYNC110  # it is a thread that we wait for
            await trio.sleep(0.001)


@pytest.mark.trio
async def test_descriptors_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    await trio.Path(path).write_text("x")
    await run(path)
    before = len(os.listdir("/proc/self/fd"))

    await run(path)
    await run(tmp_path)

    assert len(os.listdir("/proc/self/fd")) == before


# -- links, since the scan ---------------------------------------------------------------------


@pytest.mark.trio
@pytest.mark.parametrize("replaced", ["the file", "its directory", "a link in the root"])
async def test_what_leads_out_of_the_scanned_directory_is_not_read(
    tmp_path: Path, replaced: str
) -> None:
    """It's a plain file when it is found, and a way to a secret when its job runs."""
    root, secrets = tmp_path / "root", tmp_path / "secrets"
    (root / "sub").mkdir(parents=True)
    secrets.mkdir()
    (secrets / "a.txt").write_text("secret")
    path = root / "sub" / "a.txt"
    if replaced == "the file":
        path.symlink_to(secrets / "a.txt")
    elif replaced == "its directory":
        (root / "sub").rmdir()
        (root / "sub").symlink_to("../secrets")
    else:
        path.symlink_to("../other.txt")
        (root / "other.txt").symlink_to("../secrets/a.txt")

    outcome = await run(path, root=root)

    assert isinstance(outcome, Failed)
    assert outcome.permanent == "gave_up"
    assert "leads out of" in outcome.error.message


@pytest.mark.trio
async def test_a_link_that_stays_in_the_scanned_directory_is_followed_as_the_scan_does(
    tmp_path: Path,
) -> None:
    root, spelling = tmp_path / "root", tmp_path / "spelling"
    root.mkdir()
    spelling.symlink_to(root)
    (root / "a.txt").write_text("hello")
    (root / "link.txt").symlink_to("a.txt")

    outcome = await run(spelling / "link.txt", root=spelling)

    assert isinstance(outcome, Succeeded)
    assert outcome.result["sha256"] == hashlib.sha256(b"hello").hexdigest()


@pytest.mark.trio
@pytest.mark.parametrize("root", [None, "elsewhere"])
async def test_elsewhere_no_link_is_followed(tmp_path: Path, root: str | None) -> None:
    path = tmp_path / "a.txt"
    path.symlink_to("/etc/passwd")

    outcome = await run(path, root=None if root is None else tmp_path / root)

    assert isinstance(outcome, Failed)
    assert outcome.error.message == f"a link: {str(path)!r}; enqueue the file that it leads to"
    assert outcome.permanent == "gave_up"


@pytest.mark.trio
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("make", ["pipe", "socket", "device"])
async def test_what_would_block_is_given_up_at_once(tmp_path: Path, make: str, below: bool) -> None:
    path = tmp_path / "it"
    with socket.socket(socket.AF_UNIX) as listener:
        if make == "pipe":
            os.mkfifo(path)
        elif make == "socket":
            listener.bind(str(path))
        else:
            path = Path("/dev/zero")

        outcome = await run(path, root=path.parent if below else None)

    assert isinstance(outcome, Failed)
    assert (outcome.permanent, outcome.error.message[:16]) == ("gave_up", "not a plain file")
